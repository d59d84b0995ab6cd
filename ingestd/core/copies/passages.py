"""
Find the passages that two texts share: runs of three words or more, compared by hash.

`template` reads the gaps between shared passages; `diff` shows the passages to people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingestd.core.text.normalise import compose_text
from ingestd.core.text.tokens import Tokens, tokenize_caseless

_PASSAGE_WORDS = 3  # words in a row that count as a shared passage
_PASSAGE_BASE = np.uint64(0x5851F42D4C957F2D)


@dataclass(frozen=True, slots=True)
class SortedHashes:
    """Hashes in reading order, with their sort order: lookups in ascending order are several times as fast."""

    order: NDArray[np.int64]
    ascending: NDArray[np.uint64]

    @classmethod
    def sort(cls, hashes: NDArray[np.uint64]) -> SortedHashes:
        """Sort hashes and keep the order."""
        order = np.argsort(hashes)
        return cls(order, hashes[order])

    def find_in(self, others: SortedHashes) -> NDArray[np.bool_]:
        """Return a mask, in reading order: true where the hash is among the others."""
        mask = np.zeros(self.order.size, dtype=bool)
        if others.order.size:
            at = others.ascending.searchsorted(self.ascending)
            mask[self.order] = others.ascending[np.minimum(at, others.order.size - 1)] == self.ascending
        return mask


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text as words and passages, hashed."""

    tokens: Tokens
    words: SortedHashes
    passages: SortedHashes  # of every `_PASSAGE_WORDS` words in a row

    @property
    def size(self) -> int:
        """Number of words."""
        return self.tokens.hashes.size

    def find_words_missing_in(self, other: ParsedText) -> NDArray[np.bool_]:
        """Return a mask of the words that the other text lacks, in upper and lower case alike."""
        return ~self.words.find_in(other.words)


# Texts of one group are compared with one another again and again, and soon no more. A text of 400 words takes 25 kB.
@lru_cache(maxsize=256)
def parse_text(text: str) -> ParsedText:
    """Return the words and passages of a text."""
    if not text.isascii():
        text = compose_text(text.replace("\u00ad", ""))
    tokens = tokenize_caseless(text)
    passages = tokens.hashes
    for _ in range(1, _PASSAGE_WORDS):  # wrapping is wanted
        passages = passages[:-1] * _PASSAGE_BASE ^ passages[1:]
    return ParsedText(tokens, SortedHashes.sort(tokens.hashes), SortedHashes.sort(passages))


def find_shared_passages(text: ParsedText, other: ParsedText) -> list[tuple[int, int]]:
    """Return the passages of the first text that the other text has too: ranges of word numbers, ascending."""
    begins = text.passages.find_in(other.passages)
    shared = np.zeros(text.size + 2, dtype=bool)  # padded on each side, so that every run has two ends
    for offset in range(1, _PASSAGE_WORDS + 1):
        shared[offset : offset + begins.size] |= begins
    edges = np.flatnonzero(shared[1:] != shared[:-1]).tolist()
    return list(zip(edges[0::2], edges[1::2], strict=True))


def is_fact(word: str) -> bool:
    """Return whether a word looks like a name or a figure."""
    return word[0].isupper() or any(map(str.isdigit, word))
