from __future__ import annotations

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex, hash_bands
from ingestd.core.lsh.postings import MAX_PER_KEY, PackedPostings

BANDS, ROWS = 8, 2
# Few different values, so that bands collide often.
signature = st.lists(st.integers(0, 3), min_size=BANDS * ROWS, max_size=BANDS * ROWS)
signatures = st.lists(signature, min_size=1, max_size=40).map(lambda rows: np.array(rows, dtype=np.uint32))
# Postings are merged at every addition, or never.
merge_limits = st.sampled_from([0, 1 << 30])


def flatten_band_keys(rows: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    return hash_bands(rows, BANDS, ROWS).ravel(), np.full(len(rows), BANDS)


def query(index: InvertedIndex, keys: NDArray[np.uint32], counts: NDArray[np.int64], first: int = 0) -> Candidates:
    """Return the candidates, among all articles, of the articles from position `first` on, which have these keys."""
    these = np.arange(first, first + counts.size)
    return index.find_candidates(keys, counts, these, np.full(counts.size, len(index)))


def group_by_query(candidates: Candidates, queries: int) -> dict[int, dict[int, int]]:
    shared_keys: dict[int, dict[int, int]] = {i: {} for i in range(queries)}
    for row, position, shared in zip(candidates.queries, candidates.positions, candidates.shared, strict=True):
        shared_keys[int(row)][int(position)] = int(shared)
    return shared_keys


@given(signatures, st.integers(1, 40), merge_limits)
@settings(deadline=None)
def test_candidates_are_those_of_datasketch(rows: NDArray[np.uint32], cut: int, min_merged: int) -> None:
    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    theirs = [MinHash(hashvalues=row, scheme="affine32") for row in rows]
    for i, minhash in enumerate(theirs):
        lsh.insert(i, minhash)
    index = InvertedIndex(min_merged=min_merged)
    for part in (rows[:cut], rows[cut:]):
        index.add(*flatten_band_keys(part))
    ours = group_by_query(query(index, *flatten_band_keys(rows)), len(rows))
    assert {i: set(found) for i, found in ours.items()} == {i: set(lsh.query(m)) - {i} for i, m in enumerate(theirs)}


@pytest.mark.parametrize("reserved", [False, True])
def test_candidates_stay_right_when_postings_are_merged_and_buckets_divided(reserved: bool) -> None:
    rows = np.random.default_rng(5).integers(0, 400, size=(40_000, BANDS * ROWS), dtype=np.uint32)
    index = InvertedIndex(min_merged=5_000, bucket_load=2)
    bands = rows.reshape(len(rows), BANDS, ROWS)
    if reserved:
        index.reserve(BANDS * len(rows))
    for start in range(0, len(rows), 1_000):
        index.add(*flatten_band_keys(rows[start : start + 1_000]))
        if not reserved or start == 39_000:
            article = start + 500
            found = query(index, *flatten_band_keys(rows[article : article + 1]), article)
            equal = (bands[: start + 1_000] == bands[article]).all(axis=2).any(axis=1)
            assert sorted(found.positions) == [i for i in np.flatnonzero(equal).tolist() if i != article]
    chosen = np.arange(0, len(rows), 400)
    found = index.find_candidates(*flatten_band_keys(rows[chosen]), chosen, chosen)
    for row, article in enumerate(chosen):
        equal = (bands[:article] == bands[article]).all(axis=2).any(axis=1)
        assert sorted(found.positions[found.queries == row]) == np.flatnonzero(equal).tolist()
    assert found.positions.size > 50


@given(signatures, merge_limits)
def test_shared_counts_the_bands_that_are_equal(rows: NDArray[np.uint32], min_merged: int) -> None:
    index = InvertedIndex(min_merged=min_merged)
    index.add(*flatten_band_keys(rows))
    answer = group_by_query(query(index, *flatten_band_keys(rows)), len(rows))
    bands = rows.reshape(len(rows), BANDS, ROWS)
    for i, found in answer.items():
        equal = (bands == bands[i]).all(axis=2).sum(axis=1)
        assert found == {j: int(equal[j]) for j in range(len(rows)) if j != i and equal[j]}


samples = st.lists(st.sets(st.integers(0, 50), max_size=12), min_size=1, max_size=30)


def flatten_sets(articles: list[set[int]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    return np.array([k for a in articles for k in a], dtype=np.uint32), np.array([len(a) for a in articles], dtype=int)


@settings(deadline=None)
@given(samples, st.integers(0, 30), st.lists(merge_limits, min_size=3, max_size=3), st.data())
def test_of_any_number_of_keys_those_in_common_are_counted(
    keys: list[set[int]], cut: int, limits: list[int], data: st.DataObject
) -> None:
    def count_shared(articles: list[set[int]]) -> dict[int, dict[int, int]]:
        return {i: {j: len(a & b) for j, b in enumerate(articles) if i != j and a & b} for i, a in enumerate(articles)}

    def query_index(articles: list[set[int]]) -> dict[int, dict[int, int]]:
        return group_by_query(query(index, *flatten_sets(articles)), len(articles))

    index = InvertedIndex()
    for part, min_merged in zip((keys[:cut], keys[cut:]), limits, strict=False):
        index.min_merged = min_merged
        index.add(*flatten_sets(part))
        query_index(keys[: len(index)])
    index.min_merged = limits[-1]
    assert query_index(keys) == count_shared(keys)
    positions = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))))
    index.compact(positions)
    kept = [keys[i] for i in positions]
    assert query_index(kept) == count_shared(kept)
    index.add(*flatten_sets(keys))
    assert group_by_query(query(index, *flatten_sets(keys), len(kept)), len(keys)) == {
        i: {j: n for j, n in found.items() if j != len(kept) + i}
        for i, found in enumerate({j: len(a & b) for j, b in enumerate(kept + keys) if a & b} for a in keys)
    }


batches = st.lists(
    st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3) | st.integers(2**32 - 3, 2**32 - 1)), max_size=6
)


@settings(deadline=None)
@given(batches, st.integers(1, 4), st.sampled_from([1 << 13, 1 << 16]))
def test_merged_postings_are_complete_and_take_six_bytes_each(drawn: list[list[int]], load: int, at_once: int) -> None:
    merged, first = PackedPostings(bucket_load=load / 65_536, buckets_at_once=at_once), 0
    for batch in drawn:
        numbered = [key << 32 | first + i for i, key in enumerate(batch)]
        merged.merge_entries(np.sort(np.array(numbered, dtype=np.uint64)))
        first += len(batch)
    everyone = [key for batch in drawn for key in batch]
    (rows, articles), _ = merged.find_articles(np.array(everyone, dtype=np.uint32))
    expected = {(i, j) for i, a in enumerate(everyone) for j, b in enumerate(everyone) if a == b}
    assert sorted(zip(rows.tolist(), articles.tolist(), strict=True)) == sorted(expected)
    assert len(merged) == len(everyone)
    assert merged.nbytes - merged._begins.nbytes == 6 * len(everyone)


def test_only_earlier_articles_are_proposed() -> None:
    index = InvertedIndex()
    index.add(*flatten_band_keys(np.zeros((4, BANDS * ROWS), dtype=np.uint32)))
    keys, counts = flatten_band_keys(np.zeros((2, BANDS * ROWS), dtype=np.uint32))
    found = index.find_candidates(keys, counts, np.array([1, 3]), np.array([1, 3]))
    assert list(zip(found.queries, found.positions, strict=True)) == [(0, 0), (1, 2), (1, 1), (1, 0)]


@pytest.mark.parametrize("min_merged", [0, 1 << 30])
def test_a_bucket_that_fills_up_costs_a_bounded_number_of_steps_and_is_counted(min_merged: int) -> None:
    index = InvertedIndex(min_merged=min_merged)
    index.add(*flatten_band_keys(np.zeros((MAX_PER_KEY + 100, BANDS * ROWS), dtype=np.uint32)))
    last = len(index) - 1
    keys, counts = flatten_band_keys(np.zeros((1, BANDS * ROWS), dtype=np.uint32))
    found = index.find_candidates(keys, counts, np.array([last]), np.array([last]))
    assert found.positions.size < MAX_PER_KEY
    assert found.positions.max() == last - 1  # the newest are still found
    assert index.truncated_lookups == BANDS
