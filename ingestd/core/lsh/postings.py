"""
Which articles have a key? Two answers: one that is quick to add to, and one that is small.

What comes in is hung into chains (12 bytes a posting, and a few for the head of its chain). From time to time all that
has gathered there is merged into sorted arrays (6 bytes). A posting stands in the bucket of the upper bits of its key
there, and of the lower ones only a check is kept: both together are the whole key.

Source: Zobel and Moffat 2006, 5 (inverted files that are merged as they grow).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity

# Postings of one key that are looked at, the newest. Same-event buckets on the labelled corpora stay under 100; empty
# forms grow for ever.
MAX_PER_KEY = 512
# Postings a chain or a bucket, at most, in the mean: more cost time, fewer memory.
_CHAIN_LOAD, _BUCKET_LOAD = 2, 8
_CHECK_BITS = 16
_FEWEST_BUCKET_BITS = 32 - _CHECK_BITS
# Buckets taken in hand at once while merging: what that takes in memory is not several times what the postings take.
_BUCKETS_AT_ONCE = 1 << 16
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

# Rows of the keys asked for, and an article that has each: of two arrays the same places.
Found = tuple[NDArray[np.int64], NDArray[np.int64]]


class MutablePostings:
    """The newest postings, each linked to the one before it in its bucket."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries = np.zeros(1 << 12, dtype=np.uint64)  # a key above its article
        self.clear()

    def clear(self) -> None:
        """Forget all; the room that was reserved stays."""
        self._size = self._linked = 0
        self._links = np.zeros(0, dtype=np.uint32)  # entries count from 1 here; 0 ends a chain
        self._heads = np.zeros(1 << 12, dtype=np.uint32)

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._entries.nbytes + self._links.nbytes + self._heads.nbytes

    def reserve(self, postings: int) -> None:
        """Make room for so many more at once."""
        self._entries = ensure_capacity(self._entries, self._size + postings)

    def add(self, keys: NDArray[np.uint32], articles: NDArray[np.int64]) -> None:
        """Add postings; they are linked when they are looked for."""
        end = self._size + keys.size
        self._entries = ensure_capacity(self._entries, end)
        self._entries[self._size : end] = keys.astype(np.uint64) << _HALF | articles.astype(np.uint64)
        self._size = end

    def find_articles(self, keys: NDArray[np.uint32]) -> tuple[Found, int]:
        """Return who has each of some keys, and how many chains were too long to be followed to their end."""
        self._link()
        row = np.arange(keys.size)
        number = self._heads[keys >> np.uint32(self._bits_below)]
        wanted = keys.astype(np.uint64)
        rows, articles = [row[:0]], [row[:0]]
        for _ in range(MAX_PER_KEY):
            on = np.flatnonzero(number)
            if not on.size:
                return (np.concatenate(rows), np.concatenate(articles)), 0
            row, wanted, at = row[on], wanted[on], number[on] - np.uint32(1)
            entry = self._entries[at]
            hit = np.flatnonzero(entry >> _HALF == wanted)
            rows.append(row[hit])
            articles.append((entry[hit] & _LOW).view(np.int64))
            number = self._links[at]
        return (np.concatenate(rows), np.concatenate(articles)), int(np.count_nonzero(number))

    def sort_entries(self) -> NDArray[np.uint64]:
        """Return all postings (a key above its article), ascending, in a part of this index: to be cleared next."""
        entries = self._entries[: self._size]
        entries.sort()
        return entries

    def shrink_to_fit(self) -> None:
        """Give back the room that was reserved."""
        self._entries = self._entries[: self._size].copy()

    def compact(self, new_ids: NDArray[np.int64]) -> None:
        """Forget the articles whose new number is negative, and number the others anew."""
        entries = self._entries[: self._size]
        articles = new_ids[(entries & _LOW).view(np.int64)]
        kept = articles >= 0
        entries, articles = entries[kept], articles[kept]
        self.clear()
        self.add((entries >> _HALF).astype(np.uint32), articles)

    @property
    def _bits_below(self) -> int:
        """How many bits of a key do not tell its bucket: the upper ones do."""
        return 33 - self._heads.size.bit_length()

    def _link(self) -> None:
        """Hang the entries that came since this was done in front of the chains of their buckets."""
        if self._linked == self._size:
            return
        if self._size > _CHAIN_LOAD * self._heads.size:
            self._heads = np.zeros(1 << (self._size // _CHAIN_LOAD).bit_length(), dtype=np.uint32)
            self._linked = 0
        self._links = ensure_capacity(self._links, self._size)
        first = self._linked
        of_keys = self._entries[first : self._size] >> np.uint64(32 + self._bits_below)
        # Sorting bucket and entry as one number is several times quicker than a stable sort by bucket.
        both = of_keys << _HALF | np.arange(first + 1, self._size + 1, dtype=np.uint64)
        both.sort()
        numbers, buckets = (both & _LOW).view(np.int64), (both >> _HALF).view(np.int64)
        changes = np.flatnonzero(buckets[1:] != buckets[:-1])
        begins, ends = np.append(0, changes + 1), np.append(changes, buckets.size - 1)
        links = np.empty(numbers.size, dtype=np.uint32)
        links[1:] = numbers[:-1]
        links[begins] = self._heads[buckets[begins]]
        self._links[numbers - 1] = links
        self._heads[buckets[ends]] = numbers[ends]
        self._linked = self._size


class PackedPostings:
    """All others, in the order of their buckets; those of a bucket in the order in which they were merged."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bits = _FEWEST_BUCKET_BITS
        self._begins = np.zeros((1 << self._bits) + 1, dtype=np.uint32)  # of each bucket, and the end
        self._checks = np.zeros(0, dtype=np.uint16)
        self._articles = np.zeros(0, dtype=np.uint32)

    def __len__(self) -> int:
        return self._articles.size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._begins.nbytes + self._checks.nbytes + self._articles.nbytes

    def find_articles(self, keys: NDArray[np.uint32]) -> tuple[Found, int]:
        """Return who has each of some keys, and how many buckets were too full to be read to their beginning."""
        buckets = keys >> np.uint32(32 - self._bits)
        begins, ends = self._begins[buckets].astype(np.int64), self._begins[buckets + np.uint32(1)].astype(np.int64)
        full = int(np.count_nonzero(ends - begins > MAX_PER_KEY))
        np.maximum(begins, ends - MAX_PER_KEY, out=begins)
        sizes = ends - begins
        edges = np.cumsum(sizes)
        at = np.repeat(begins - (edges - sizes), sizes)
        at += np.arange(at.size)
        hit = np.flatnonzero(self._checks[at] == np.repeat(keys.astype(np.uint16), sizes))
        return (np.searchsorted(edges, hit, side="right"), self._articles[at[hit]].astype(np.int64)), full

    def merge_entries(self, entries: NDArray[np.uint64]) -> None:
        """Take in postings (a key above its article), ascending."""
        before, after = len(self), len(self) + entries.size
        self.split_buckets(after)
        self._resize(after)
        stretches = self._stretches()
        shift = np.uint64(64 - self._bits)
        edges = np.searchsorted(entries, np.array([low for low, _ in stretches], dtype=np.uint64) << shift)
        pieces = np.split(entries, edges[1:])
        end = before
        # From the last bucket to the first: all moves towards the end, and nothing is overwritten that is still needed.
        for (low, high), moved, piece in zip(reversed(stretches), edges[::-1].tolist(), reversed(pieces), strict=True):
            end = self._merge_stretch(low, high, end, piece, moved)
        self._begins[-1] = after

    def _merge_stretch(self, low: int, high: int, end: int, entries: NDArray[np.uint64], moved: int) -> int:
        """Merge into the buckets from `low` to `high`, which end at `end` and move by `moved`; return their begin."""
        begin = int(self._begins[low])
        ends = np.append(self._begins[low + 1 : high], end).astype(np.int64)
        size = end - begin + entries.size
        buckets = (entries >> np.uint64(64 - self._bits)).view(np.int64) - low
        new = ends[buckets] + np.arange(-begin, entries.size - begin)  # behind those that the bucket has
        free = np.ones(size, dtype=bool)
        free[new] = False
        old = np.flatnonzero(free)  # both columns go to places in a fraction of the time that they go to a mask
        for column, incoming in ((self._checks, entries >> _HALF), (self._articles, entries)):
            merged = np.empty(size, dtype=column.dtype)
            merged[new] = incoming.astype(column.dtype)  # its lower bits
            merged[old] = column[begin:end]
            column[begin + moved : begin + moved + size] = merged
        grown = np.cumsum(np.bincount(buckets, minlength=high - low))
        self._begins[low] = begin + moved
        self._begins[low + 1 : high] = (ends + grown + moved)[:-1]
        return begin

    def compact(self, new_ids: NDArray[np.int64]) -> None:
        """Forget the articles whose new number is negative, and number the others anew."""
        begin = written = 0
        for low, high in self._stretches():
            begins, end = self._begins[low:high].astype(np.int64) - begin, int(self._begins[high])
            articles = new_ids[self._articles[begin:end]]
            kept = articles >= 0
            before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept)])
            stop = written + int(before[-1])
            self._checks[written:stop] = self._checks[begin:end][kept]
            self._articles[written:stop] = articles[kept]
            self._begins[low:high] = written + before[begins]
            begin, written = end, stop
        self._begins[-1] = written
        self._resize(written)

    def _stretches(self) -> list[tuple[int, int]]:
        buckets = 1 << self._bits
        return [(low, min(low + _BUCKETS_AT_ONCE, buckets)) for low in range(0, buckets, _BUCKETS_AT_ONCE)]

    def split_buckets(self, postings: int) -> None:
        """Have as many buckets as so many postings need, each divided in its place."""
        bits = min(32, max(self._bits, int(postings / _BUCKET_LOAD).bit_length()))
        if bits == self._bits:
            return
        if not len(self):
            self._begins, self._bits = np.zeros((1 << bits) + 1, dtype=np.uint32), bits
            return
        begins = np.empty((1 << bits) + 1, dtype=np.uint32)
        below, more = np.uint32(32 - self._bits), bits - self._bits
        for low, high in self._stretches():
            begin, end = int(self._begins[low]), int(self._begins[high])
            sizes = np.diff(self._begins[low : high + 1])
            old = np.repeat(np.arange(low, high, dtype=np.uint32), sizes)
            checks = self._checks[begin:end]
            keys = old << below | (checks.astype(np.uint32) & np.uint32((1 << int(below)) - 1))
            new = keys >> np.uint32(32 - bits)
            order = np.argsort(new, kind="stable")
            self._checks[begin:end] = checks[order]
            self._articles[begin:end] = self._articles[begin:end][order]
            counts = np.bincount(new.astype(np.int64) - (low << more), minlength=(high - low) << more)
            begins[low << more : high << more] = begin + np.cumsum(counts) - counts
        begins[-1] = len(self)
        self._begins, self._bits = begins, bits

    def _resize(self, size: int) -> None:
        # In place: a copy of the largest arrays that there are would take as much again.
        self._checks.resize(size, refcheck=False)
        self._articles.resize(size, refcheck=False)
