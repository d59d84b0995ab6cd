"""
An inverted index from keys to articles, for whole batches of queries.

A key is a band of a signature, or a sampled shingle. A candidate is not a match: a shared key only makes an exact
comparison worthwhile. Articles are numbered in the order of arrival. For a key of very many articles (pages of nothing
but boilerplate) the index proposes the newest.

Source: Indyk and Motwani 1998 (LSH); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4 (banding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity
from ingestd.core.lsh.postings import BUCKET_LOAD, MutablePostings, PackedPostings

# New postings are merged into the packed postings at this number, and at an eighth of the packed postings: a posting is
# moved nine times in all, and few postings take the larger room of a new posting.
MIN_MERGED = 1 << 18
_MERGED_SHARE = 8
# A reserved load (a start of the service) is merged in parts of this share: merging takes time, waiting postings take
# memory. After the fourth merge fewer postings are left than the limits above allow.
_RESERVED_SHARE = 0.24
_SIGNATURES_AT_ONCE = 64  # intermediate results stay in the processor's cache
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_SPREAD = np.uint32(0x9E3779B1)  # odd: different keys stay different (Knuth 1973, 6.4)


def hash_bands(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.uint32]:
    """
    Return one key per band, shape (n, bands). Equal bands have equal keys; the keys of two bands differ.

    Args:
        signatures: shape (n, >= bands * rows).
        bands: number of bands.
        rows: signature positions per band.
    """
    keys = np.empty((len(signatures), bands), dtype=np.uint32)
    for first in range(0, len(signatures), _SIGNATURES_AT_ONCE):
        batch = signatures[first : first + _SIGNATURES_AT_ONCE, : bands * rows]
        key = np.tile(np.arange(bands, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), (len(batch), 1))
        high = np.empty_like(key)
        for row in range(rows):
            key ^= batch[:, row::rows]
            key *= np.uint64(0xD6E8FEB86659FD93)
            np.right_shift(key, _HALF, out=high)
            key ^= high
        keys[first : first + _SIGNATURES_AT_ONCE] = key
    return keys


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that share a key: article `positions[i]` for query `queries[i]`; within a query, best first."""

    queries: NDArray[np.int64]  # rows of the batch, ascending
    positions: NDArray[np.int64]
    shared: NDArray[np.int64]  # keys in common, >= 1


class InvertedIndex:
    """Index of the keys of all articles in the window. A cache: can be rebuilt from stored signatures."""

    def __init__(self, *, min_merged: int = MIN_MERGED, bucket_load: float = BUCKET_LOAD) -> None:
        """Create an empty index that merges `min_merged` new postings or more at a time."""
        self.min_merged = min_merged
        self.truncated_lookups = 0  # lookups that did not read all articles of a key
        self._size = 0  # articles
        self._counts = np.zeros(1 << 8, dtype=np.uint32)  # keys of each article
        self._newest, self._packed = MutablePostings(), PackedPostings(bucket_load=bucket_load)
        self._reserved = 0  # postings expected before the next query

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory of the index, in bytes."""
        return self._newest.nbytes + self._packed.nbytes + self._counts.nbytes

    def count_keys(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of keys of each article."""
        return self._counts[positions].astype(np.int64)

    def reserve(self, keys: int) -> None:
        """Prepare for `keys` further keys before the next query: large parts are merged at a time."""
        self._reserved = keys
        self._newest.reserve(min(keys, self._merge_limit))
        self._packed.split_buckets(len(self._newest) + len(self._packed) + keys)

    def add(self, keys: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
        """
        Add a batch of articles at the next positions.

        Args:
            keys: keys of all articles in one row, without repeats within an article.
            counts: shape (n,), number of keys of each article; an article without keys is never proposed.
        """
        first, self._size = self._size, self._size + len(counts)
        self._counts = ensure_capacity(self._counts, self._size)
        self._counts[first : self._size] = counts
        self._newest.add(keys * _SPREAD, np.repeat(np.arange(first, self._size), counts))
        self._merge_newest()

    @property
    def _merge_limit(self) -> int:
        """Number of new postings above which the index merges."""
        return max(self.min_merged, len(self._packed) // _MERGED_SHARE, int(self._reserved * _RESERVED_SHARE))

    def _merge_newest(self) -> None:
        """Merge the new postings into the packed postings, if above the limit."""
        if len(self._newest) > self._merge_limit:
            self._packed.merge_entries(self._newest.sort_entries())
            self._newest.clear()

    def find_candidates(
        self,
        keys: NDArray[np.uint32],
        counts: NDArray[np.int64],
        positions: NDArray[np.int64],
        before: NDArray[np.int64],
    ) -> Candidates:
        """
        Return the articles that share a key with each queried article.

        Args:
            keys: keys of all queried articles in one row.
            counts: shape (n,), number of keys of each queried article.
            positions: shape (n,), positions of the queried articles; no article is its own candidate.
            before: shape (n,), upper limit: only lower positions are proposed.
        """
        if self._reserved:
            self._reserved = 0
            self._merge_newest()
            self._newest.shrink_to_fit()
        # Ascending keys are in the order of the buckets: memory is read sequentially.
        lookups = (keys * _SPREAD).astype(np.uint64) << _HALF | np.arange(keys.size, dtype=np.uint64)
        lookups.sort()
        spread = (lookups >> _HALF).astype(np.uint32)
        owner = np.repeat(np.arange(counts.size), counts)[(lookups & _LOW).view(np.int64)]
        results = [part.find_articles(spread) for part in (self._newest, self._packed)]
        self.truncated_lookups += sum(truncated for _, truncated in results)
        rows, others = (np.concatenate(part) for part in zip(*(pair for pair, _ in results), strict=True))
        queries = owner[rows]
        valid = (others < before[queries]) & (others != positions[queries])
        return _count_pairs(queries[valid], others[valid])

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Remove all articles but those at `positions` (ascending), and number the rest from 0."""
        new_ids = np.full(self._size, -1, dtype=np.int64)
        new_ids[positions] = np.arange(positions.size)
        self._newest.compact(new_ids)
        self._packed.compact(new_ids)
        self._counts, self._size = self._counts[positions], positions.size


def _count_pairs(query: NDArray[np.int64], position: NDArray[np.int64]) -> Candidates:
    """Count repeated pairs; sort pairs by query, then by shared keys (most first), then by position (newest first)."""
    pairs, shared = np.unique((query << 32) | position, return_counts=True)
    query, position = pairs >> 32, pairs & 0xFFFFFFFF
    order = np.lexsort((-position, -shared, query))
    return Candidates(query[order], position[order], shared[order])
