"""
Word shingles as numbers, straight from the bytes of a batch of texts.

A shingle is `width` words in a row. Hashing them word by word in Python costs most of what finding copies costs, so
the words of a whole batch are hashed at once: a polynomial over the bytes of every word, by differences of one running
sum (Karp and Rabin 1987), and a polynomial over the words of every shingle.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import sort_unique
from ingestd.core.text.normalise import normalise_text

WIDTH = 5  # words a shingle; the width at which the labelled corpora and the peers are measured
SHORT_WORDS = 20  # a text of fewer words is one shingle: too little to say more than "equal" or "not equal"

# A word is a run of ASCII letters and digits and of any byte of a longer UTF-8 character.
_IS_WORD = np.zeros(256, dtype=bool)
_IS_WORD[[*range(0x30, 0x3A), *range(0x61, 0x7B), *range(0x80, 0x100)]] = True

_BASE = np.uint32(0x9E3779B1)  # odd, so it has an inverse modulo 2**32
_BASE_INVERSE = np.uint32(pow(int(_BASE), -1, 2**32))
_SHINGLE_BASE = np.uint64(0xD6E8FEB86659FD93)
_BATCH_BYTES = 1 << 17  # what stays in the processor's cache, with the running sums


def hash_shingles(texts: Sequence[str], width: int = WIDTH) -> list[NDArray[np.uint32]]:
    """
    Return the set of shingles of every text.

    Args:
        texts: as stored; they are normalised here.
        width: words a shingle, 1 to `SHORT_WORDS`.

    Returns:
        One array a text, sorted, without repeats, never empty; a single shingle for a text under `SHORT_WORDS`.
    """
    encoded = [normalise_text(text) for text in texts]
    sets: list[NDArray[np.uint32]] = []
    start = 0
    while start < len(encoded):
        stop, size = start + 1, len(encoded[start])
        while stop < len(encoded) and size + len(encoded[stop]) <= _BATCH_BYTES:
            size += len(encoded[stop])
            stop += 1
        sets.extend(_batch(encoded[start:stop], width))
        start = stop
    return sets


def _batch(encoded: Sequence[bytes], width: int) -> list[NDArray[np.uint32]]:
    words, ends = _words(encoded)
    counts = np.diff(ends, prepend=0)
    short = np.flatnonzero(counts < SHORT_WORDS)
    shingles = words[: max(words.size - width + 1, 0)].copy()
    for offset in range(1, width):
        shingles *= _SHINGLE_BASE
        shingles += words[offset : offset + shingles.size]
    # The last words of a text begin no shingle: the one there would run on into the next text.
    last = np.where(counts >= SHORT_WORDS, ends - width, -1)
    begins = np.arange(shingles.size) <= np.repeat(last, counts)[: shingles.size]
    # Text and shingle as one number: one sort for the whole batch.
    owner = np.repeat(np.arange(len(encoded), dtype=np.uint64) << np.uint64(32), counts)[: shingles.size]
    both = sort_unique((owner | _mixed(shingles) >> np.uint64(32))[begins])
    edges = np.searchsorted(both, np.arange(len(encoded) + 1, dtype=np.uint64) << np.uint64(32)).tolist()
    hashes = both.astype(np.uint32)
    sets = [hashes[start:end] for start, end in pairwise(edges)]
    for text in short.tolist():
        sets[text] = _whole(words[ends[text] - counts[text] : ends[text]])
    return sets


def _whole(words: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the one shingle of a short text: all its words in their order, and how many they are."""
    powers = np.array([pow(int(_SHINGLE_BASE), i, 2**64) for i in range(words.size)], dtype=np.uint64)
    folded = (words * powers).sum(dtype=np.uint64, keepdims=True) + np.uint64(words.size)
    return (_mixed(folded) >> np.uint64(32)).astype(np.uint32)


def _words(encoded: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashed words of all texts in a row, and where the words of each text end among them."""
    joined = np.frombuffer(b" " + b" ".join(encoded) + b" ", dtype=np.uint8)
    inside = _IS_WORD.take(joined)
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    before, last = edges[0::2], edges[1::2]  # of each word: the byte before it, and its last byte
    powers, inverses = _powers(joined.size)
    # Wrapping is wanted here and below: these hashes are defined modulo 2**32 and 2**64.
    running = np.cumsum(np.multiply(joined, powers[: joined.size], dtype=np.uint32), dtype=np.uint32)
    words = ((running[last] - running[before]) * inverses[before]).astype(np.uint64)
    ends = np.searchsorted(before, np.cumsum([len(text) + 1 for text in encoded]))
    return words, ends


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all others. Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _powers(size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return at least `size` powers of the base and of its inverse."""
    return _power_table(max(1 << 18, 1 << size.bit_length()))


@lru_cache(maxsize=2)  # the usual one, and one for a text of more than 250,000 bytes
def _power_table(length: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return _geometric(_BASE, length), _geometric(_BASE_INVERSE, length)


def _geometric(ratio: np.uint32, length: int) -> NDArray[np.uint32]:
    table = np.full(length, ratio, dtype=np.uint32)
    table[0] = 1
    return np.multiply.accumulate(table, dtype=np.uint32)  # it would widen otherwise
