from __future__ import annotations

import numpy as np
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.core.bands import MAX_CHAIN, KeyIndex, band_keys

BANDS, ROWS = 8, 2
# Few different values, so that bands collide often.
signature = st.lists(st.integers(0, 3), min_size=BANDS * ROWS, max_size=BANDS * ROWS)
signatures = st.lists(signature, min_size=1, max_size=40).map(lambda rows: np.array(rows, dtype=np.uint32))


def add(index: KeyIndex, rows: np.ndarray) -> None:
    index.add(band_keys(rows, BANDS, ROWS).ravel(), np.full(len(rows), BANDS))


def everything(index: KeyIndex) -> dict[int, dict[int, int]]:
    n = len(index)
    found = index.candidates(np.arange(n), np.full(n, n))
    answer: dict[int, dict[int, int]] = {i: {} for i in range(n)}
    for query, position, shared in zip(found.queries, found.positions, found.shared, strict=True):
        answer[int(query)][int(position)] = int(shared)
    return answer


@given(signatures, st.integers(1, 40))
@settings(deadline=None)
def test_candidates_are_those_of_datasketch(rows: np.ndarray, cut: int) -> None:
    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    theirs = [MinHash(hashvalues=row, scheme="affine32") for row in rows]
    for i, minhash in enumerate(theirs):
        lsh.insert(i, minhash)
    index = KeyIndex()
    for part in (rows[:cut], rows[cut:]):
        add(index, part)
    ours = everything(index)
    assert {i: set(found) for i, found in ours.items()} == {i: set(lsh.query(m)) - {i} for i, m in enumerate(theirs)}


def test_candidates_stay_right_when_the_chains_are_made_anew() -> None:
    rows = np.random.default_rng(5).integers(0, 400, size=(40_000, BANDS * ROWS), dtype=np.uint32)
    index = KeyIndex()
    for start in range(0, len(rows), 1_000):
        add(index, rows[start : start + 1_000])
    bands = rows.reshape(len(rows), BANDS, ROWS)
    asked = np.arange(0, len(rows), 400)
    found = index.candidates(asked, asked)
    for query, article in enumerate(asked):
        equal = (bands[:article] == bands[article]).all(axis=2).any(axis=1)
        assert sorted(found.positions[found.queries == query]) == np.flatnonzero(equal).tolist()
    assert found.positions.size > 50


@given(signatures)
def test_shared_counts_the_bands_that_are_equal(rows: np.ndarray) -> None:
    index = KeyIndex()
    add(index, rows)
    bands = rows.reshape(len(rows), BANDS, ROWS)
    for i, found in everything(index).items():
        equal = (bands == bands[i]).all(axis=2).sum(axis=1)
        assert found == {j: int(equal[j]) for j in range(len(rows)) if j != i and equal[j]}


samples = st.lists(st.sets(st.integers(0, 50), max_size=12), min_size=1, max_size=30)


@given(samples, st.integers(0, 30), st.data())
def test_of_any_number_of_keys_those_in_common_are_counted(keys: list[set[int]], cut: int, data: st.DataObject) -> None:
    index = KeyIndex()
    for part in (keys[:cut], keys[cut:]):
        index.add(np.array([k for s in part for k in s], dtype=np.uint32), np.array([len(s) for s in part], dtype=int))

    def wanted(articles: list[set[int]]) -> dict[int, dict[int, int]]:
        return {i: {j: len(a & b) for j, b in enumerate(articles) if i != j and a & b} for i, a in enumerate(articles)}

    assert everything(index) == wanted(keys)
    kept = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))))
    index.keep(kept)
    assert everything(index) == wanted([keys[i] for i in kept])


def test_only_earlier_articles_are_proposed() -> None:
    index = KeyIndex()
    add(index, np.zeros((4, BANDS * ROWS), dtype=np.uint32))
    found = index.candidates(np.array([1, 3]), np.array([1, 3]))
    assert list(zip(found.queries, found.positions, strict=True)) == [(0, 0), (1, 2), (1, 1), (1, 0)]


def test_a_bucket_that_fills_up_costs_a_bounded_number_of_steps_and_is_counted() -> None:
    index = KeyIndex()
    add(index, np.zeros((MAX_CHAIN + 100, BANDS * ROWS), dtype=np.uint32))
    last = len(index) - 1
    found = index.candidates(np.array([last]), np.array([last]))
    assert found.positions.size < MAX_CHAIN
    assert found.positions.max() == last - 1  # the newest are still found
    assert index.truncated == BANDS
