"""
One index for every question: which articles have a key in common?

A key is a band of a signature, or a shingle of a sample. A candidate is not a match: two articles that share a key are
worth an exact comparison, no more. The index answers whole batches. Articles are numbered in the order in which they
are added; of a key that very many have (pages of nothing but boilerplate) the newest are proposed.

Source: Indyk and Motwani 1998 (LSH); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4 (banding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity
from ingestd.core.lsh.postings import MutablePostings, PackedPostings

# The newest postings are merged with the others when they are so many, and an eighth of them: seldom enough that a
# posting is moved nine times in all, and often enough that few take the room of a new one.
_FEWEST_MERGED = 1 << 18
_MERGED_SHARE = 8
# When very many come at once and nothing is asked meanwhile, as at a start, such a share of them at a time: to merge
# takes time, what waits for it takes memory. After the fourth time fewer are left than would be merged otherwise.
_FILLED_SHARE = 0.24
# What is made of so many signatures stays in the processor's cache.
_SIGNATURES_AT_ONCE = 64
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_SPREAD = np.uint32(0x9E3779B1)  # odd: different keys stay different (Knuth 1973, 6.4)


def hash_bands(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.uint32]:
    """
    Return one key a band, shape (n, bands): equal rows of a band give equal keys, those of two bands differ.

    Args:
        signatures: shape (n, >= bands * rows).
        bands: how many.
        rows: positions of the signature that make a band.
    """
    keys = np.empty((len(signatures), bands), dtype=np.uint32)
    for first in range(0, len(signatures), _SIGNATURES_AT_ONCE):
        some = signatures[first : first + _SIGNATURES_AT_ONCE, : bands * rows]
        key = np.tile(np.arange(bands, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), (len(some), 1))
        high = np.empty_like(key)
        for row in range(rows):
            key ^= some[:, row::rows]
            key *= np.uint64(0xD6E8FEB86659FD93)
            np.right_shift(key, _HALF, out=high)
            key ^= high
        keys[first : first + _SIGNATURES_AT_ONCE] = key
    return keys


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that share a key: article `positions[i]` for query `queries[i]`, best first within a query."""

    queries: NDArray[np.int64]  # row of the batch, ascending
    positions: NDArray[np.int64]
    shared: NDArray[np.int64]  # keys in common, >= 1


class InvertedIndex:
    """The keys of all articles in the window. Rebuilt from stored signatures; holds no truth of its own."""

    def __init__(self) -> None:
        """Begin empty."""
        self.truncated_lookups = 0  # keys that more had than were looked at, since start
        self._size = 0  # articles
        self._counts = np.zeros(1 << 8, dtype=np.uint32)  # keys of each article
        self._newest, self._others = MutablePostings(), PackedPostings()
        self._expected = 0  # postings that are still to come before anything is asked

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._newest.nbytes + self._others.nbytes + self._counts.nbytes

    def count_keys(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many keys some articles have."""
        return self._counts[positions].astype(np.int64)

    def reserve(self, keys: int) -> None:
        """Expect so many more keys before anything is asked: they are merged a good part at a time."""
        self._expected = keys
        self._newest.reserve(min(keys, self._most))
        self._others.split_buckets(len(self._newest) + len(self._others) + keys)

    def add(self, keys: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
        """
        Add a batch of articles, which take the next positions.

        Args:
            keys: of all articles in a row, without repeats within one.
            counts: shape (n,), how many of them each article has; one with none is never proposed.
        """
        first, self._size = self._size, self._size + len(counts)
        self._counts = ensure_capacity(self._counts, self._size)
        self._counts[first : self._size] = counts
        self._newest.add(keys * _SPREAD, np.repeat(np.arange(first, self._size), counts))
        self._merge()

    @property
    def _most(self) -> int:
        """How many postings may gather before they are merged."""
        return max(_FEWEST_MERGED, len(self._others) // _MERGED_SHARE, int(self._expected * _FILLED_SHARE))

    def _merge(self) -> None:
        if len(self._newest) > self._most:
            self._others.merge_entries(self._newest.sort_entries())
            self._newest.clear()

    def find_candidates(
        self,
        keys: NDArray[np.uint32],
        counts: NDArray[np.int64],
        positions: NDArray[np.int64],
        before: NDArray[np.int64],
    ) -> Candidates:
        """
        Return the articles that share a key with each of some articles.

        Args:
            keys: of all articles asked about in a row.
            counts: shape (n,), how many of them each article has.
            positions: shape (n,), of the articles asked about; never proposed to themselves.
            before: shape (n,); only positions below it are proposed.
        """
        if self._expected:
            self._expected = 0
            self._merge()
            self._newest.shrink_to_fit()
        # In ascending order, which is that of the buckets: memory is read along, not across.
        asked = (keys * _SPREAD).astype(np.uint64) << _HALF | np.arange(keys.size, dtype=np.uint64)
        asked.sort()
        spread = (asked >> _HALF).astype(np.uint32)
        owner = np.repeat(np.arange(counts.size), counts)[(asked & _LOW).view(np.int64)]
        found = [part.find_articles(spread) for part in (self._newest, self._others)]
        self.truncated_lookups += sum(truncated for _, truncated in found)
        rows, others = (np.concatenate(part) for part in zip(*(pair for pair, _ in found), strict=True))
        queries = owner[rows]
        good = (others < before[queries]) & (others != positions[queries])
        return _counted(queries[good], others[good])

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but these (ascending), which are numbered anew from 0."""
        renumbered = np.full(self._size, -1, dtype=np.int64)
        renumbered[positions] = np.arange(positions.size)
        self._newest.compact(renumbered)
        self._others.compact(renumbered)
        self._counts, self._size = self._counts[positions], positions.size


def _counted(query: NDArray[np.int64], position: NDArray[np.int64]) -> Candidates:
    """Merge repeated pairs, count them, and sort them by query, then by keys shared, then newest first."""
    pairs, shared = np.unique((query << 32) | position, return_counts=True)
    query, position = pairs >> 32, pairs & 0xFFFFFFFF
    order = np.lexsort((-position, -shared, query))
    return Candidates(query[order], position[order], shared[order])
