from __future__ import annotations

import numpy as np
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.core.bands import MAX_CHAIN, BandIndex

BANDS, ROWS = 8, 2
# Few different values, so that bands collide often.
signature = st.lists(st.integers(0, 3), min_size=BANDS * ROWS, max_size=BANDS * ROWS)
signatures = st.lists(signature, min_size=1, max_size=40).map(lambda rows: np.array(rows, dtype=np.uint32))


def everything(index: BandIndex, n: int) -> dict[int, dict[int, int]]:
    positions = np.arange(n)
    found = index.candidates(positions, np.full(n, n))
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
    index = BandIndex(BANDS, ROWS)
    for part in (rows[:cut], rows[cut:]):
        index.add(part, np.ones(len(part), dtype=bool))
    ours = everything(index, len(rows))
    assert {i: set(found) for i, found in ours.items()} == {i: set(lsh.query(m)) - {i} for i, m in enumerate(theirs)}


@given(signatures)
def test_shared_counts_the_bands_that_are_equal(rows: np.ndarray) -> None:
    index = BandIndex(BANDS, ROWS)
    index.add(rows, np.ones(len(rows), dtype=bool))
    bands = rows.reshape(len(rows), BANDS, ROWS)
    for i, found in everything(index, len(rows)).items():
        equal = (bands == bands[i]).all(axis=2).sum(axis=1)
        assert found == {j: int(equal[j]) for j in range(len(rows)) if j != i and equal[j]}


@given(signatures, st.data())
def test_what_is_not_indexed_or_not_kept_is_never_proposed(rows: np.ndarray, data: st.DataObject) -> None:
    flags = st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))
    indexed, keep = np.array(data.draw(flags)), np.flatnonzero(data.draw(flags))
    index = BandIndex(BANDS, ROWS)
    index.add(rows, indexed)
    before = everything(index, len(rows))
    assert all(indexed[j] for found in before.values() for j in found)
    index.keep(keep)
    number = {int(old): new for new, old in enumerate(keep)}
    wanted = {number[i]: {number[j]: n for j, n in before[i].items() if j in number} for i in number}
    assert everything(index, len(keep)) == wanted


def test_only_earlier_articles_are_proposed() -> None:
    index = BandIndex(BANDS, ROWS)
    rows = np.zeros((4, BANDS * ROWS), dtype=np.uint32)
    index.add(rows, np.ones(4, dtype=bool))
    found = index.candidates(np.array([1, 3]), np.array([1, 3]))
    assert list(zip(found.queries, found.positions, strict=True)) == [(0, 0), (1, 2), (1, 1), (1, 0)]


def test_a_bucket_that_fills_up_costs_a_bounded_number_of_steps_and_is_counted() -> None:
    index = BandIndex(BANDS, ROWS)
    rows = np.zeros((MAX_CHAIN + 100, BANDS * ROWS), dtype=np.uint32)
    index.add(rows, np.ones(len(rows), dtype=bool))
    last = len(rows) - 1
    found = index.candidates(np.array([last]), np.array([last]))
    assert found.positions.size < MAX_CHAIN
    assert found.positions.max() == last - 1  # the newest are still found
    assert index.truncated == BANDS
