"""
Hash word shingles, for whole batches of texts, with NumPy.

A shingle is `width` words in a row. The hash of a word is a polynomial over the bytes of the word, computed as a
difference of one running sum over the batch; the hash of a shingle is a polynomial over the hashes of the words.
Hashing word by word in Python would take most of the time of finding copies.

Source: Karp and Rabin 1987 (rolling hashes).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import sort_unique
from ingestd.core.text.normalise import normalise_text
from ingestd.core.text.pieces import PIECE_CHARS, cut_pieces

WIDTH = 5  # words per shingle; the labelled corpora and the peers are measured at this width
SHORT_WORDS = 20  # a shorter text is a single shingle, which can only be equal or not equal to another

# A word is a run of ASCII letters and digits and of any byte of a longer UTF-8 character.
_IS_WORD = np.zeros(256, dtype=bool)
_IS_WORD[[*range(0x30, 0x3A), *range(0x61, 0x7B), *range(0x80, 0x100)]] = True

_BASE = np.uint32(0x9E3779B1)  # odd, so an inverse exists modulo 2**32
_BASE_INVERSE = np.uint32(pow(int(_BASE), -1, 2**32))
_SHINGLE_BASE = np.uint64(0xD6E8FEB86659FD93)
_BATCH_BYTES = 1 << 17  # a batch and its running sums stay in the processor's cache


def hash_shingles(
    texts: Sequence[str], width: int = WIDTH, *, long_chars: int = PIECE_CHARS
) -> list[NDArray[np.uint32]]:
    """
    Return the hashed shingles of every text.

    Args:
        texts: as stored; the function normalises each text.
        width: words per shingle, 1 to `SHORT_WORDS`.
        long_chars: the function hashes a text of more characters piece by piece; the result is the same, except that a
            word of half a piece falls apart.

    Returns:
        One array per text, sorted, without repeats, never empty; a single shingle for a text under `SHORT_WORDS`.
    """
    is_long = [len(text) > long_chars for text in texts]
    encoded = [b"" if long else normalise_text(text) for text, long in zip(texts, is_long, strict=True)]
    sets: list[NDArray[np.uint32]] = []
    start = 0
    while start < len(encoded):
        stop, size = start + 1, len(encoded[start])
        while stop < len(encoded) and size + len(encoded[stop]) <= _BATCH_BYTES:
            size += len(encoded[stop])
            stop += 1
        sets.extend(_hash_batch(encoded[start:stop], width))
        start = stop
    for at in np.flatnonzero(is_long).tolist():
        sets[at] = _hash_long_text(texts[at], width, long_chars)
    return sets


def _hash_batch(encoded: Sequence[bytes], width: int) -> list[NDArray[np.uint32]]:
    words, ends = _hash_words(encoded)
    counts = np.diff(ends, prepend=0)
    short = np.flatnonzero(counts < SHORT_WORDS)
    shingles = _combine_words(words, width)
    # The last words of a text begin no shingle: the shingle would run into the next text.
    last = np.where(counts >= SHORT_WORDS, ends - width, -1)
    begins = np.arange(shingles.size) <= np.repeat(last, counts)[: shingles.size]
    # Text and shingle as one number: one sort for the whole batch.
    owner = np.repeat(np.arange(len(encoded), dtype=np.uint64) << np.uint64(32), counts)[: shingles.size]
    both = sort_unique((owner | shingles)[begins])
    edges = np.searchsorted(both, np.arange(len(encoded) + 1, dtype=np.uint64) << np.uint64(32)).tolist()
    hashes = both.astype(np.uint32)
    sets = [hashes[start:end] for start, end in pairwise(edges)]
    for text in short.tolist():
        sets[text] = _hash_short_text(words[ends[text] - counts[text] : ends[text]])
    return sets


def _hash_long_text(text: str, width: int, piece_chars: int) -> NDArray[np.uint32]:
    """Return the shingles of a text, computed piece by piece."""
    found: list[NDArray[np.uint32]] = []
    words = np.zeros(0, dtype=np.uint64)  # of the piece, and before them the words that are not the first of a shingle
    for piece in cut_pieces(text, piece_chars):
        words = np.concatenate([words, _hash_words([normalise_text(piece)])[0]])
        if found or words.size >= SHORT_WORDS:
            found.append(sort_unique(_combine_words(words, width).astype(np.uint32)))
            words = words[words.size - width + 1 :]
    return sort_unique(np.concatenate(found)) if found else _hash_short_text(words)


def _combine_words(words: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """Return a hash of 32 bits of every `width` words in a row."""
    shingles = words[: max(words.size - width + 1, 0)].copy()
    for offset in range(1, width):
        shingles *= _SHINGLE_BASE
        shingles += words[offset : offset + shingles.size]
    return _mix_bits(shingles) >> np.uint64(32)


def _hash_short_text(words: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the single shingle of a short text: a hash of all words in order and of their number."""
    powers = np.array([pow(int(_SHINGLE_BASE), i, 2**64) for i in range(words.size)], dtype=np.uint64)
    folded = (words * powers).sum(dtype=np.uint64, keepdims=True) + np.uint64(words.size)
    return (_mix_bits(folded) >> np.uint64(32)).astype(np.uint32)


def _hash_words(encoded: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashed words of all texts in one row, and the end of each text in that row."""
    joined = np.frombuffer(b" " + b" ".join(encoded) + b" ", dtype=np.uint8)
    inside = _IS_WORD.take(joined)
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    before, last = edges[0::2], edges[1::2]  # of each word: the byte before the word, and the last byte
    powers, inverses = _get_powers(joined.size)
    # Wrapping is wanted here and below: these hashes are defined modulo 2**32 and 2**64.
    running = np.cumsum(np.multiply(joined, powers[: joined.size], dtype=np.uint32), dtype=np.uint32)
    words = ((running[last] - running[before]) * inverses[before]).astype(np.uint64)
    ends = np.searchsorted(before, np.cumsum([len(text) + 1 for text in encoded]))
    return words, ends


def _mix_bits(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all other bits. Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _get_powers(size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return at least `size` powers of the base and of the inverse of the base."""
    return _get_power_table(max(1 << 18, 1 << size.bit_length()))


@lru_cache(maxsize=2)  # the usual table, and a table for a text of more than 250,000 bytes
def _get_power_table(length: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return _compute_powers(_BASE, length), _compute_powers(_BASE_INVERSE, length)


def _compute_powers(base: np.uint32, length: int) -> NDArray[np.uint32]:
    table = np.full(length, base, dtype=np.uint32)
    table[0] = 1
    return np.multiply.accumulate(table, dtype=np.uint32)  # keeps the products at 32 bits
