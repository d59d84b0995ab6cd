from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestd.core.lsh import inverted_index as bands_module
from ingestd.core.lsh import postings
from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex, hash_bands
from ingestd.core.lsh.postings import MAX_PER_KEY, PackedPostings

BANDS, ROWS = 8, 2
# Few different values, so that bands collide often.
signature = st.lists(st.integers(0, 3), min_size=BANDS * ROWS, max_size=BANDS * ROWS)
signatures = st.lists(signature, min_size=1, max_size=40).map(lambda rows: np.array(rows, dtype=np.uint32))
merging = st.booleans()


@contextmanager
def merged_at_once(really: bool) -> Iterator[None]:
    """Merge what is new whenever something is asked, and not when there are a quarter of a million postings."""
    with mock.patch.object(bands_module, "_FEWEST_MERGED", 0 if really else 1 << 30):
        yield


def keys_of(rows: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    return hash_bands(rows, BANDS, ROWS).ravel(), np.full(len(rows), BANDS)


def asked(index: InvertedIndex, keys: NDArray[np.uint32], counts: NDArray[np.int64], first: int = 0) -> Candidates:
    """What articles `first` and on, which have these keys, have in common with all."""
    these = np.arange(first, first + counts.size)
    return index.find_candidates(keys, counts, these, np.full(counts.size, len(index)))


def by_query(found: Candidates, queries: int) -> dict[int, dict[int, int]]:
    answer: dict[int, dict[int, int]] = {i: {} for i in range(queries)}
    for query, position, shared in zip(found.queries, found.positions, found.shared, strict=True):
        answer[int(query)][int(position)] = int(shared)
    return answer


@given(signatures, st.integers(1, 40), merging)
@settings(deadline=None)
def test_candidates_are_those_of_datasketch(rows: NDArray[np.uint32], cut: int, merged: bool) -> None:
    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    theirs = [MinHash(hashvalues=row, scheme="affine32") for row in rows]
    for i, minhash in enumerate(theirs):
        lsh.insert(i, minhash)
    index = InvertedIndex()
    with merged_at_once(merged):
        for part in (rows[:cut], rows[cut:]):
            index.add(*keys_of(part))
        ours = by_query(asked(index, *keys_of(rows)), len(rows))
    assert {i: set(found) for i, found in ours.items()} == {i: set(lsh.query(m)) - {i} for i, m in enumerate(theirs)}


@pytest.mark.parametrize("reserved", [False, True])
def test_candidates_stay_right_when_postings_are_merged_and_buckets_divided(reserved: bool) -> None:
    rows = np.random.default_rng(5).integers(0, 400, size=(40_000, BANDS * ROWS), dtype=np.uint32)
    index = InvertedIndex()
    bands = rows.reshape(len(rows), BANDS, ROWS)
    if reserved:
        index.reserve(BANDS * len(rows))
    with mock.patch.multiple(postings, _BUCKET_LOAD=2), mock.patch.object(bands_module, "_FEWEST_MERGED", 5_000):
        for start in range(0, len(rows), 1_000):
            index.add(*keys_of(rows[start : start + 1_000]))
            if not reserved or start == 39_000:
                article = start + 500
                found = asked(index, *keys_of(rows[article : article + 1]), article)
                equal = (bands[: start + 1_000] == bands[article]).all(axis=2).any(axis=1)
                assert sorted(found.positions) == [i for i in np.flatnonzero(equal).tolist() if i != article]
    chosen = np.arange(0, len(rows), 400)
    found = index.find_candidates(*keys_of(rows[chosen]), chosen, chosen)
    for query, article in enumerate(chosen):
        equal = (bands[:article] == bands[article]).all(axis=2).any(axis=1)
        assert sorted(found.positions[found.queries == query]) == np.flatnonzero(equal).tolist()
    assert found.positions.size > 50


@given(signatures, merging)
def test_shared_counts_the_bands_that_are_equal(rows: NDArray[np.uint32], merged: bool) -> None:
    index = InvertedIndex()
    with merged_at_once(merged):
        index.add(*keys_of(rows))
        answer = by_query(asked(index, *keys_of(rows)), len(rows))
    bands = rows.reshape(len(rows), BANDS, ROWS)
    for i, found in answer.items():
        equal = (bands == bands[i]).all(axis=2).sum(axis=1)
        assert found == {j: int(equal[j]) for j in range(len(rows)) if j != i and equal[j]}


samples = st.lists(st.sets(st.integers(0, 50), max_size=12), min_size=1, max_size=30)


def in_a_row(articles: list[set[int]]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    return np.array([k for a in articles for k in a], dtype=np.uint32), np.array([len(a) for a in articles], dtype=int)


@settings(deadline=None)
@given(samples, st.integers(0, 30), st.lists(merging, min_size=3, max_size=3), st.data())
def test_of_any_number_of_keys_those_in_common_are_counted(
    keys: list[set[int]], cut: int, merged: list[bool], data: st.DataObject
) -> None:
    def wanted(articles: list[set[int]]) -> dict[int, dict[int, int]]:
        return {i: {j: len(a & b) for j, b in enumerate(articles) if i != j and a & b} for i, a in enumerate(articles)}

    def told(articles: list[set[int]]) -> dict[int, dict[int, int]]:
        return by_query(asked(index, *in_a_row(articles)), len(articles))

    index = InvertedIndex()
    for part, at_once in zip((keys[:cut], keys[cut:]), merged, strict=False):
        index.add(*in_a_row(part))
        with merged_at_once(at_once):
            told(keys[: len(index)])
    with merged_at_once(merged[-1]):
        assert told(keys) == wanted(keys)
        kept = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))))
        index.compact(kept)
        left = [keys[i] for i in kept]
        assert told(left) == wanted(left)
        index.add(*in_a_row(keys))
        assert by_query(asked(index, *in_a_row(keys), len(left)), len(keys)) == {
            i: {j: n for j, n in found.items() if j != len(left) + i}
            for i, found in enumerate({j: len(a & b) for j, b in enumerate(left + keys) if a & b} for a in keys)
        }


batches = st.lists(
    st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3) | st.integers(2**32 - 3, 2**32 - 1)), max_size=6
)


@settings(deadline=None)
@given(batches, st.integers(1, 4), st.sampled_from([1 << 13, 1 << 16]))
def test_merged_postings_are_all_there_and_hold_six_bytes(drawn: list[list[int]], load: int, at_once: int) -> None:
    merged, first = PackedPostings(), 0
    with mock.patch.multiple(postings, _BUCKET_LOAD=load / 65_536, _BUCKETS_AT_ONCE=at_once):
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
    index.add(*keys_of(np.zeros((4, BANDS * ROWS), dtype=np.uint32)))
    keys, counts = keys_of(np.zeros((2, BANDS * ROWS), dtype=np.uint32))
    found = index.find_candidates(keys, counts, np.array([1, 3]), np.array([1, 3]))
    assert list(zip(found.queries, found.positions, strict=True)) == [(0, 0), (1, 2), (1, 1), (1, 0)]


@pytest.mark.parametrize("merged", [False, True])
def test_a_bucket_that_fills_up_costs_a_bounded_number_of_steps_and_is_counted(merged: bool) -> None:
    index = InvertedIndex()
    index.add(*keys_of(np.zeros((MAX_PER_KEY + 100, BANDS * ROWS), dtype=np.uint32)))
    last = len(index) - 1
    with merged_at_once(merged):
        found = index.find_candidates(
            *keys_of(np.zeros((1, BANDS * ROWS), dtype=np.uint32)), np.array([last]), np.array([last])
        )
    assert found.positions.size < MAX_PER_KEY
    assert found.positions.max() == last - 1  # the newest are still found
    assert index.truncated_lookups == BANDS
