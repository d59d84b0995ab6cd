"""
Word shingles as numbers, straight from the bytes of a batch of texts.

A shingle is `width` words in a row. Hashing them word by word in Python costs most of what finding copies costs, so
the words of a whole batch are hashed at once: a polynomial over the bytes of every word, by differences of one running
sum, and a polynomial over the words of every shingle.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingestd.core.normalise import normalise

WIDTH = 5  # words a shingle; the width at which the labelled corpora and the peers are measured
SHORT_WORDS = 20  # a text of fewer words is one shingle: too little to say more than "equal" or "not equal"

# A word is a run of ASCII letters and digits and of any byte of a longer UTF-8 character.
_IS_WORD = np.zeros(256, dtype=bool)
_IS_WORD[[*range(0x30, 0x3A), *range(0x61, 0x7B), *range(0x80, 0x100)]] = True

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so it has an inverse modulo 2**64
_BASE_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))
_SHINGLE_BASE = np.uint64(0xD6E8FEB86659FD93)
_BATCH_BYTES = 1 << 17  # what stays in the processor's cache, with the running sums


def shingle_sets(texts: Sequence[str], width: int = WIDTH) -> list[NDArray[np.uint32]]:
    """
    Return the set of shingles of every text.

    Args:
        texts: as stored; they are normalised here.
        width: words a shingle, >= 1.

    Returns:
        One array a text, sorted, without repeats, never empty; a single shingle for a text under `SHORT_WORDS`.
    """
    encoded = [normalise(text).encode("utf-8", "replace") + b" " for text in texts]
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
    words, n_words = _words(encoded)
    n = words.size - width + 1
    shingles = words[: max(n, 0)].copy()
    for offset in range(1, width):
        shingles *= _SHINGLE_BASE
        shingles += words[offset : offset + n]
    hashed = (_mixed(shingles) >> np.uint64(32)).astype(np.uint32)
    sets = []
    end = 0
    for count in n_words.tolist():
        start, end = end, end + count
        if count < SHORT_WORDS:
            sets.append(_whole(words[start:end]))
        else:
            # The last words of a text begin no shingle: the one there would run on into the next text.
            sets.append(_distinct(hashed[start : end - width + 1]))
    return sets


def _distinct(shingles: NDArray[np.uint32]) -> NDArray[np.uint32]:
    # np.unique does the same in ten times the time.
    ordered = np.sort(shingles)
    first = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def _whole(words: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the one shingle of a short text: all its words in their order, and how many they are."""
    powers = _powers(words.size + 1)[0][: words.size]
    folded = (words * powers).sum(dtype=np.uint64, keepdims=True) + np.uint64(words.size)
    return (_mixed(folded) >> np.uint64(32)).astype(np.uint32)


def _words(encoded: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashed words of all texts in a row, and how many each text has."""
    joined = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    inside = _IS_WORD[joined]
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    starts, ends = edges[0::2], edges[1::2]
    powers, inverses = _powers(joined.size + 1)
    running = np.zeros(joined.size + 1, dtype=np.uint64)
    # Wrapping is wanted here and below: these hashes are defined modulo 2**64.
    np.cumsum((joined + np.uint64(1)) * powers[: joined.size], out=running[1:])
    words = _mixed((running[ends] - running[starts]) * inverses[starts])
    text_ends = np.cumsum([len(text) for text in encoded])
    counts = np.diff(np.searchsorted(starts, text_ends), prepend=0)
    return words, counts


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all others. Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _powers(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return at least `size` powers of the base and of its inverse."""
    return _power_table(max(1 << 18, 1 << size.bit_length()))


@lru_cache(maxsize=2)  # the usual one, and one for a text of more than 250,000 bytes
def _power_table(length: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return _geometric(_BASE, length), _geometric(_BASE_INVERSE, length)


def _geometric(ratio: np.uint64, length: int) -> NDArray[np.uint64]:
    table = np.full(length, ratio, dtype=np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)
