"""
One index for both questions: which articles share a band of their signature?

A candidate is not a match: two articles that share a band are worth an exact comparison, no more. The index keeps one
32-bit tag and one link for every band of every article, in arrays, and answers whole batches. Articles are numbered in
the order in which they are added; a chain runs from the newest to the oldest, so a bucket that fills up (pages of
nothing but boilerplate) costs at most `MAX_CHAIN` steps and still yields its newest members.

Source: Indyk and Motwani 1998 (LSH); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4 (banding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Links followed for one band. Same-event buckets on the labelled corpora stay under 100; empty forms grow for ever.
MAX_CHAIN = 512
_NONE = -1  # the end of a chain
_UNLINKED = -2  # an entry whose article is not indexed


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that share a band: article `positions[i]` for query `queries[i]`, best first within a query."""

    queries: NDArray[np.int64]  # row of the batch, ascending
    positions: NDArray[np.int64]
    shared: NDArray[np.int64]  # bands in common, >= 1


class BandIndex:
    """Bands of all articles in the window. Rebuilt at start from stored signatures; holds no truth of its own."""

    def __init__(self, bands: int, rows: int) -> None:
        """Index signatures of at least `bands * rows` positions."""
        self.bands, self.rows = bands, rows
        self.truncated = 0  # chains given up, since start
        self._size = 0  # articles
        self._tags = np.zeros(0, dtype=np.uint32)
        self._links = np.zeros(0, dtype=np.int32)
        self._heads = np.full(1 << 12, _NONE, dtype=np.int32)

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._tags.nbytes + self._links.nbytes + self._heads.nbytes

    def tags(self, signatures: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return one tag a band, shape (n, bands): equal rows of a band give equal tags."""
        used = signatures[:, : self.bands * self.rows].astype(np.uint64)
        blocks = used.reshape(len(signatures), self.bands, self.rows)
        key = np.arange(self.bands, dtype=np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15)
        for row in range(self.rows):
            key = (key ^ blocks[:, :, row]) * np.uint64(0xD6E8FEB86659FD93)
            key ^= key >> np.uint64(32)
        return key.astype(np.uint32)

    def add(self, signatures: NDArray[np.uint32], indexed: NDArray[np.bool_]) -> None:
        """
        Add a batch of articles, which take the next positions.

        Args:
            signatures: shape (n, >= bands * rows).
            indexed: shape (n,); where False the article takes its position but is never proposed.
        """
        n = len(signatures)
        entries = (self._size + n) * self.bands
        self._reserve(entries)
        first = self._size * self.bands
        self._tags[first:entries] = self.tags(signatures).ravel()
        self._size += n
        rows = np.flatnonzero(np.repeat(indexed, self.bands)) + first
        if entries > self._heads.size:
            self._grow(first, rows)
        else:
            self._link(rows)

    def candidates(self, positions: NDArray[np.int64], before: NDArray[np.int64]) -> Candidates:
        """
        Return the articles that share a band with each of some articles in the index.

        Args:
            positions: shape (n,), the articles asked about; never proposed to themselves.
            before: shape (n,); only positions below it are proposed.
        """
        n = positions.size
        wanted = self._tags[(positions[:, None] * self.bands + np.arange(self.bands)).ravel()]
        query = np.repeat(np.arange(n), self.bands)
        entry = self._heads[wanted & np.uint32(self._heads.size - 1)]
        found_query: list[NDArray[np.int64]] = []
        found_position: list[NDArray[np.int64]] = []
        for _ in range(MAX_CHAIN):
            on = np.flatnonzero(entry != _NONE)
            if not on.size:
                break
            wanted, query, entry = wanted[on], query[on], entry[on]
            hit = np.flatnonzero(self._tags[entry] == wanted)
            position = entry[hit] // self.bands
            whose = query[hit]
            other = (position < before[whose]) & (position != positions[whose])
            found_query.append(whose[other])
            found_position.append(position[other].astype(np.int64))
            entry = self._links[entry]
        else:
            self.truncated += int(np.count_nonzero(entry != _NONE))
        return _counted(found_query, found_position)

    def keep(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but these (ascending), which are numbered anew from 0."""
        entries = (positions[:, None] * self.bands + np.arange(self.bands)).ravel()
        linked = self._links[entries] != _UNLINKED
        self._tags = self._tags[entries]
        self._links = np.full(entries.size, _UNLINKED, dtype=np.int32)
        self._size = positions.size
        self._grow(0, np.flatnonzero(linked))

    def _reserve(self, entries: int) -> None:
        if entries > self._tags.size:
            capacity = max(entries, self._tags.size + self._tags.size // 2, 1 << 10)
            more = capacity - self._tags.size
            self._tags = np.concatenate([self._tags, np.zeros(more, dtype=np.uint32)])
            self._links = np.concatenate([self._links, np.full(more, _UNLINKED, dtype=np.int32)])

    def _grow(self, first: int, new: NDArray[np.int64]) -> None:
        """Make room for more chains, and link every entry anew: those below `first` that were linked, and the new."""
        linked = np.flatnonzero(self._links[:first] != _UNLINKED)
        self._heads = np.full(max(1 << 12, 1 << int(self._tags.size - 1).bit_length()), _NONE, dtype=np.int32)
        self._link(np.concatenate([linked, new]))

    def _link(self, entries: NDArray[np.int64]) -> None:
        """Hang entries, given in ascending order, in front of the chains of their buckets."""
        if not entries.size:
            return
        buckets = self._tags[entries] & np.uint32(self._heads.size - 1)
        # Sorting bucket and entry as one number is several times quicker than a stable sort by bucket.
        both = np.sort((buckets.astype(np.uint64) << np.uint64(32)) | entries.astype(np.uint64))
        entries, buckets = both.astype(np.uint32).astype(np.int32), (both >> np.uint64(32)).astype(np.uint32)
        new_run = np.ones(entries.size, dtype=bool)
        new_run[1:] = buckets[1:] != buckets[:-1]
        links = np.empty(entries.size, dtype=np.int32)
        links[1:] = entries[:-1]
        links[new_run] = self._heads[buckets[new_run]]
        self._links[entries] = links
        last = np.append(new_run[1:], True)
        self._heads[buckets[last]] = entries[last]


def _counted(queries: list[NDArray[np.int64]], positions: list[NDArray[np.int64]]) -> Candidates:
    """Merge repeated pairs, count them, and sort them by query, then by bands shared, then newest first."""
    empty = np.zeros(0, dtype=np.int64)
    query, position = np.concatenate([empty, *queries]), np.concatenate([empty, *positions])
    pairs, shared = np.unique((query << 32) | position, return_counts=True)
    query, position = pairs >> 32, pairs & 0xFFFFFFFF
    order = np.lexsort((-position, -shared, query))
    return Candidates(query[order], position[order], shared[order])
