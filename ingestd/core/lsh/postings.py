"""
Postings: pairs of a key and an article, in two structures. `MutablePostings` is fast to extend, `PackedPostings` small.

New postings go into chained hash buckets: 12 bytes a posting, and a share of the head of the chain. The index merges
new postings into sorted arrays at intervals: 6 bytes a posting. The upper bits of the key select the bucket of a packed
posting; the posting stores the lower 16 bits as a check. Bucket and check together are the whole key.

Source: Zobel and Moffat 2006, 5 (inverted files that are merged as they grow).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity

# Postings of one key that a lookup reads, the newest. Keys of one event have fewer than 100 postings on the labelled
# corpora; keys of empty templates grow without limit.
MAX_PER_KEY = 512
# Largest mean number of postings of a chain and of a bucket: higher loads cost time, lower loads memory.
_CHAIN_LOAD = 2
BUCKET_LOAD = 8
_CHECK_BITS = 16
_MIN_BUCKET_BITS = 32 - _CHECK_BITS
BUCKETS_AT_ONCE = 1 << 16  # buckets of one step of a merge; bounds the temporary memory
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

# Rows of the queried keys, and the article of each hit; two arrays of equal length.
Hits = tuple[NDArray[np.int64], NDArray[np.int64]]


class MutablePostings:
    """The newest postings, as chains: each posting links to the posting before in the same bucket."""

    def __init__(self) -> None:
        """Create an empty structure."""
        self._entries = np.zeros(1 << 12, dtype=np.uint64)  # key in the upper 32 bits, article in the lower
        self._size = 0
        self._linked = 0  # entries that are in a chain already
        self._links = np.zeros(0, dtype=np.uint32)  # next entry of the chain, counted from 1; 0 ends a chain
        self._heads = np.zeros(1 << 12, dtype=np.uint32)  # first entry of each chain, counted from 1

    def clear(self) -> None:
        """Remove all postings; reserved capacity stays."""
        self._size = self._linked = 0
        self._links = np.zeros(0, dtype=np.uint32)
        self._heads = np.zeros(1 << 12, dtype=np.uint32)

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return self._entries.nbytes + self._links.nbytes + self._heads.nbytes

    def reserve(self, postings: int) -> None:
        """Reserve capacity for further postings."""
        self._entries = ensure_capacity(self._entries, self._size + postings)

    def add(self, keys: NDArray[np.uint32], articles: NDArray[np.int64]) -> None:
        """Add postings; the next lookup links the new entries."""
        end = self._size + keys.size
        self._entries = ensure_capacity(self._entries, end)
        self._entries[self._size : end] = keys.astype(np.uint64) << _HALF | articles.astype(np.uint64)
        self._size = end

    def find_articles(self, keys: NDArray[np.uint32]) -> tuple[Hits, int]:
        """Return the articles of each key, and the number of chains too long to read to the end."""
        self._link_entries()
        row = np.arange(keys.size)
        number = self._heads[keys >> np.uint32(self._bits_below)]
        wanted = keys.astype(np.uint64)
        rows, articles = [row[:0]], [row[:0]]
        for _ in range(MAX_PER_KEY):
            active = np.flatnonzero(number)
            if not active.size:
                return (np.concatenate(rows), np.concatenate(articles)), 0
            row, wanted, at = row[active], wanted[active], number[active] - np.uint32(1)
            entry = self._entries[at]
            hit = np.flatnonzero(entry >> _HALF == wanted)
            rows.append(row[hit])
            articles.append((entry[hit] & _LOW).view(np.int64))
            number = self._links[at]
        return (np.concatenate(rows), np.concatenate(articles)), int(np.count_nonzero(number))

    def sort_entries(self) -> NDArray[np.uint64]:
        """Sort all entries in place and return a view of them; the caller clears the structure next."""
        entries = self._entries[: self._size]
        entries.sort()
        return entries

    def shrink_to_fit(self) -> None:
        """Release unused capacity."""
        self._entries = self._entries[: self._size].copy()

    def compact(self, new_ids: NDArray[np.int64]) -> None:
        """Replace the number of each article by `new_ids[number]`; remove articles with a negative new number."""
        entries = self._entries[: self._size]
        articles = new_ids[(entries & _LOW).view(np.int64)]
        kept = articles >= 0
        entries, articles = entries[kept], articles[kept]
        self.clear()
        self.add((entries >> _HALF).astype(np.uint32), articles)

    @property
    def _bits_below(self) -> int:
        """Number of lower bits of a key that do not select the bucket."""
        return 33 - self._heads.size.bit_length()

    def _link_entries(self) -> None:
        """Put the entries added since the last call at the front of the chains."""
        if self._linked == self._size:
            return
        if self._size > _CHAIN_LOAD * self._heads.size:
            self._heads = np.zeros(1 << (self._size // _CHAIN_LOAD).bit_length(), dtype=np.uint32)
            self._linked = 0
        self._links = ensure_capacity(self._links, self._size)
        first = self._linked
        of_keys = self._entries[first : self._size] >> np.uint64(32 + self._bits_below)
        # Sorting bucket and entry as one number is several times as fast as a stable sort by bucket.
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
    """Older postings, sorted by bucket, and within a bucket by the order of the merges."""

    def __init__(self, *, bucket_load: float = BUCKET_LOAD, buckets_at_once: int = BUCKETS_AT_ONCE) -> None:
        """Create an empty structure with at most `bucket_load` postings a bucket in the mean."""
        self._bucket_load, self._buckets_at_once = bucket_load, buckets_at_once
        self._bits = _MIN_BUCKET_BITS  # 2**bits buckets
        self._begins = np.zeros((1 << self._bits) + 1, dtype=np.uint32)  # begin of each bucket, and the end of the last
        self._checks = np.zeros(0, dtype=np.uint16)
        self._articles = np.zeros(0, dtype=np.uint32)

    def __len__(self) -> int:
        return self._articles.size

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return self._begins.nbytes + self._checks.nbytes + self._articles.nbytes

    def find_articles(self, keys: NDArray[np.uint32]) -> tuple[Hits, int]:
        """Return the articles of each key, and the number of buckets too full to read to the beginning."""
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
        """Add postings (key in the upper 32 bits, article in the lower), ascending."""
        before, after = len(self), len(self) + entries.size
        self.split_buckets(after)
        self._resize(after)
        ranges = self._list_bucket_ranges()
        shift = np.uint64(64 - self._bits)
        edges = np.searchsorted(entries, np.array([low for low, _ in ranges], dtype=np.uint64) << shift)
        pieces = np.split(entries, edges[1:])
        end = before
        # From the last bucket to the first: postings move towards the end, so nothing unread is overwritten.
        for (low, high), moved, piece in zip(reversed(ranges), edges[::-1].tolist(), reversed(pieces), strict=True):
            end = self._merge_range(low, high, end, piece, moved)
        self._begins[-1] = after

    def _merge_range(self, low: int, high: int, end: int, entries: NDArray[np.uint64], moved: int) -> int:
        """Shift the buckets from `low` to `high` (old end: `end`) by `moved`, merge entries, return the old begin."""
        begin = int(self._begins[low])
        ends = np.append(self._begins[low + 1 : high], end).astype(np.int64)
        size = end - begin + entries.size
        buckets = (entries >> np.uint64(64 - self._bits)).view(np.int64) - low
        new = ends[buckets] + np.arange(-begin, entries.size - begin)  # behind the older postings of the bucket
        free = np.ones(size, dtype=bool)
        free[new] = False
        old = np.flatnonzero(free)  # writing at indices takes a fraction of the time of writing through a mask
        for column, incoming in ((self._checks, entries >> _HALF), (self._articles, entries)):
            merged = np.empty(size, dtype=column.dtype)
            merged[new] = incoming.astype(column.dtype)  # the lower bits
            merged[old] = column[begin:end]
            column[begin + moved : begin + moved + size] = merged
        grown = np.cumsum(np.bincount(buckets, minlength=high - low))
        self._begins[low] = begin + moved
        self._begins[low + 1 : high] = (ends + grown + moved)[:-1]
        return begin

    def compact(self, new_ids: NDArray[np.int64]) -> None:
        """Replace the number of each article by `new_ids[number]`; remove articles with a negative new number."""
        begin = written = 0
        for low, high in self._list_bucket_ranges():
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

    def _list_bucket_ranges(self) -> list[tuple[int, int]]:
        """Return the ranges of buckets that one step takes together."""
        buckets, step = 1 << self._bits, self._buckets_at_once
        return [(low, min(low + step, buckets)) for low in range(0, buckets, step)]

    def split_buckets(self, postings: int) -> None:
        """Split every bucket in place, until there are enough buckets for `postings` postings."""
        bits = min(32, max(self._bits, int(postings / self._bucket_load).bit_length()))
        if bits == self._bits:
            return
        if not len(self):
            self._begins, self._bits = np.zeros((1 << bits) + 1, dtype=np.uint32), bits
            return
        begins = np.empty((1 << bits) + 1, dtype=np.uint32)
        below, more = np.uint32(32 - self._bits), bits - self._bits
        for low, high in self._list_bucket_ranges():
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
        # In place: a copy of these arrays, the largest of the process, would double their memory.
        self._checks.resize(size, refcheck=False)
        self._articles.resize(size, refcheck=False)
