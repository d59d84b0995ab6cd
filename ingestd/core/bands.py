"""
One index for every question: which articles have a key in common?

A key is a band of a signature, or a shingle of a sample. A candidate is not a match: two articles that share a key are
worth an exact comparison, no more. The index keeps 32 bits of every key and a link, in one array, and answers whole
batches. Articles are numbered in the order in which they are added; a chain runs from the newest to the oldest, so a
bucket that fills up (pages of nothing but boilerplate) costs at most `MAX_CHAIN` steps and still yields its newest
members.

Source: Indyk and Motwani 1998 (LSH); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4 (banding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import with_room

# Links followed for one key. Same-event buckets on the labelled corpora stay under 100; empty forms grow for ever.
MAX_CHAIN = 512
# Keys a chain, at most, in the mean over all chains: longer ones cost time, shorter ones memory.
_LOAD = 4
_FIRST_HEADS = 1 << 16
# Entries linked at once: when all are linked again, what that takes in memory is not several times what they take.
_LINKED_AT_ONCE = 1 << 20
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def band_keys(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.uint32]:
    """
    Return one key a band, shape (n, bands): equal rows of a band give equal keys, those of two bands differ.

    Args:
        signatures: shape (n, >= bands * rows).
        bands: how many.
        rows: positions of the signature that make a band.
    """
    blocks = signatures[:, : bands * rows].astype(np.uint64).reshape(len(signatures), bands, rows)
    key = np.arange(bands, dtype=np.uint64)[None, :] * np.uint64(0x9E3779B97F4A7C15)
    for row in range(rows):
        key = (key ^ blocks[:, :, row]) * np.uint64(0xD6E8FEB86659FD93)
        key ^= key >> _HALF
    return key.astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs that share a key: article `positions[i]` for query `queries[i]`, best first within a query."""

    queries: NDArray[np.int64]  # row of the batch, ascending
    positions: NDArray[np.int64]
    shared: NDArray[np.int64]  # keys in common, >= 1


class KeyIndex:
    """The keys of all articles in the window. Rebuilt from stored signatures; holds no truth of its own."""

    def __init__(self) -> None:
        """Begin empty."""
        self.truncated = 0  # chains given up, since start
        self._size = 0  # articles
        self._starts = np.ones(1 << 8, dtype=np.int64)  # of the entries of each article, and their end
        # An entry is a key above the number of the next entry of its chain. Entries count from 1; 0 ends a chain.
        self._entries = np.zeros(1 << 12, dtype=np.uint64)
        self._heads = np.zeros(_FIRST_HEADS, dtype=np.uint32)

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._entries.nbytes + self._heads.nbytes + self._starts.nbytes

    def counts(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many keys some articles have."""
        return self._starts[positions + 1] - self._starts[positions]

    def reserve(self, keys: int) -> None:
        """Make room for so many more keys at once: growing a step at a time would link all of them again and again."""
        end = int(self._starts[self._size]) + keys
        self._entries = with_room(self._entries, end)
        if self._widen(end):
            self._link(1, int(self._starts[self._size]))

    def _widen(self, end: int) -> bool:
        """Make room for the chains of so many entries; return whether all have to be linked again."""
        if end <= _LOAD * self._heads.size:
            return False
        self._heads = np.zeros(1 << (end // _LOAD).bit_length(), dtype=np.uint32)
        return True

    def add(self, keys: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
        """
        Add a batch of articles, which take the next positions.

        Args:
            keys: of all articles in a row, without repeats within one.
            counts: shape (n,), how many of them each article has; one with none is never proposed.
        """
        n, first = len(counts), int(self._starts[self._size])
        self._starts = with_room(self._starts, self._size + n + 1)
        self._starts[self._size + 1 : self._size + n + 1] = first + np.cumsum(counts)
        self._size += n
        end = first + keys.size
        self._entries = with_room(self._entries, end)
        self._entries[first:end] = keys.astype(np.uint64) << _HALF
        self._link(1 if self._widen(end) else first, end)

    def candidates(self, positions: NDArray[np.int64], before: NDArray[np.int64]) -> Candidates:
        """
        Return the articles that share a key with each of some articles in the index.

        Args:
            positions: shape (n,), the articles asked about; never proposed to themselves.
            before: shape (n,); only positions below it are proposed.
        """
        own, query = self._entries_of(positions)
        wanted = self._entries[own] >> _HALF
        entry = self._heads[wanted & np.uint64(self._heads.size - 1)].astype(np.int64)
        found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for _ in range(MAX_CHAIN):
            on = np.flatnonzero(entry)
            if not on.size:
                break
            wanted, query, entry = wanted[on], query[on], entry[on]
            node = self._entries[entry]
            hit = np.flatnonzero(node >> _HALF == wanted)
            found.append((query[hit], entry[hit]))
            entry = (node & _LOW).view(np.int64)
        else:
            self.truncated += int(np.count_nonzero(entry))
        queries, entries = (np.concatenate(part) for part in zip(*found, strict=True)) if found else (query, entry)
        others = np.searchsorted(self._starts[: self._size + 1], entries, side="right") - 1
        good = (others < before[queries]) & (others != positions[queries])
        return _counted(queries[good], others[good])

    def keep(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but these (ascending), which are numbered anew from 0."""
        entries, _ = self._entries_of(positions)
        starts = np.concatenate([np.ones(1, dtype=np.int64), 1 + np.cumsum(self.counts(positions))])
        self._entries = np.concatenate([np.zeros(1, dtype=np.uint64), self._entries[entries]])
        self._starts, self._size = starts, positions.size
        self._heads = np.zeros(max(_FIRST_HEADS, 1 << (self._entries.size // _LOAD).bit_length()), dtype=np.uint32)
        self._link(1, self._entries.size)

    def _entries_of(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the entries of many articles in a row, and whose each is (index into `positions`)."""
        counts = self.counts(positions)
        owner = np.repeat(np.arange(positions.size), counts)
        offset = self._starts[positions] - (np.cumsum(counts) - counts)
        return np.arange(owner.size) + offset[owner], owner

    def _link(self, first: int, end: int) -> None:
        """Hang entries in front of the chains of their buckets, the newest in front."""
        for start in range(first, end, _LINKED_AT_ONCE):
            self._link_some(start, min(start + _LINKED_AT_ONCE, end))

    def _link_some(self, first: int, end: int) -> None:
        entries = self._entries[first:end]
        entries &= ~_LOW
        # Sorting bucket and entry as one number is several times quicker than a stable sort by bucket.
        both = (entries & np.uint64((self._heads.size - 1) << 32)) | np.arange(first, end, dtype=np.uint64)
        both.sort()
        numbers, buckets = (both & _LOW).view(np.int64), (both >> _HALF).view(np.int64)
        begins = np.ones(numbers.size, dtype=bool)
        np.not_equal(buckets[1:], buckets[:-1], out=begins[1:])
        links = np.empty_like(both)
        links[1:] = numbers[:-1]
        links[begins] = self._heads[buckets[begins]]
        in_place = np.empty_like(links)
        in_place[numbers - first] = links
        entries |= in_place
        ends = np.append(begins[1:], True)
        self._heads[buckets[ends]] = numbers[ends]


def _counted(query: NDArray[np.int64], position: NDArray[np.int64]) -> Candidates:
    """Merge repeated pairs, count them, and sort them by query, then by keys shared, then newest first."""
    pairs, shared = np.unique((query << 32) | position, return_counts=True)
    query, position = pairs >> 32, pairs & 0xFFFFFFFF
    order = np.lexsort((-position, -shared, query))
    return Candidates(query[order], position[order], shared[order])
