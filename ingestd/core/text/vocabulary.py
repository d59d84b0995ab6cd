"""
Number the words and terms of one language, so that an article is a row of numbers and a property of words an array.

A term is a word without case and without a final 's, or a pair of names in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity
from ingestd.core.text.languages import LANGUAGES
from ingestd.core.text.tokens import HashIndex, Tokens

# Returns the frequencies of words in a language, 0..1 each; 0 for a word outside of the word list.
BackgroundFrequencies = Callable[[Sequence[str]], Sequence[float]]

# Set on basil, wikinews_galaxy and ecbplus together (B-cubed F1 of the mixed stream).
TYPICAL_WORDS = 500  # words of an article: a word of frequency f occurs with a probability of 1 - exp(-500 f)
RAREST = 2e-5  # lower limit of that probability
NUMBER_CAP = 4.0  # figures recur by chance: a figure weighs at most as much as a fairly common word

_POSSESSIVE = LANGUAGES["en"].possessive
_HALF = np.uint64(32)


class Vocabulary:
    """Known words and terms of one language, with their weights and hashes. Grows with every new word."""

    def __init__(self, lang: str, frequencies: BackgroundFrequencies) -> None:
        """Weigh terms by `frequencies`; `lang` is a part of every hash, so terms of two languages never match."""
        self._lang, self._frequencies = lang, frequencies
        self._words, self._pairs = HashIndex(), HashIndex()  # words as written; terms of two names in a row
        self._n_words = 0
        self._numbers: dict[str, int] = {}  # by term
        self.term_of = np.zeros(1 << 12, dtype=np.int64)  # by number of the word as written
        self.is_capital = np.zeros(1 << 12, dtype=bool)  # by number of the word as written
        self.terms: list[str] = []
        self.weights = np.zeros(1 << 12)  # by number of the term
        self.hashes = np.zeros(1 << 12, dtype=np.uint32)  # by number of the term

    def number_words(self, tokens: Tokens) -> NDArray[np.int64]:
        """Return the numbers of words as written."""

        def add_words(first: NDArray[np.int64]) -> NDArray[np.int64]:
            new = tokens.take(first)
            begin, end = self._n_words, self._n_words + len(new)
            self._n_words = end
            self.term_of, self.is_capital = ensure_capacity(self.term_of, end), ensure_capacity(self.is_capital, end)
            terms = [word.lower().replace("’", "'").removesuffix(_POSSESSIVE) for word in new]
            self.term_of[begin:end] = self._number_terms(terms)
            self.is_capital[begin:end] = [word[0].isupper() for word in new]
            return np.arange(begin, end)

        return self._words.get_or_add(tokens.hashes, add_words)

    def number_pairs(self, names: NDArray[np.int64], next_names: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of the terms for two names in a row, given the numbers of the terms of both names."""

        def add_pairs(first: NDArray[np.int64]) -> NDArray[np.int64]:
            new = zip(names[first].tolist(), next_names[first].tolist(), strict=True)
            return self._number_terms([f"{self.terms[name]} {self.terms[next_name]}" for name, next_name in new])

        both = (names + 1).astype(np.uint64) << _HALF | (next_names + 1).astype(np.uint64)
        return self._pairs.get_or_add(both, add_pairs)

    def _number_terms(self, terms: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of terms."""
        new = [term for term in dict.fromkeys(terms) if term not in self._numbers]
        begin, end = len(self.terms), len(self.terms) + len(new)
        self.terms += new
        self._numbers.update(zip(new, range(begin, end), strict=True))
        self.weights, self.hashes = ensure_capacity(self.weights, end), ensure_capacity(self.hashes, end)
        self.weights[begin:end] = [_weigh_term(*item) for item in zip(new, self._frequencies(new), strict=True)]
        self.hashes[begin:end] = [crc32(f"{self._lang}:{term}".encode("utf-8", "replace")) for term in new]
        return np.array([self._numbers[term] for term in terms], dtype=np.int64)


def estimate_frequencies(words: Sequence[str]) -> list[float]:
    """
    Return frequencies for words of a language without a word list: the shorter, the more common.

    Source: Zipf 1935 (law of abbreviation); the slope is that of the English list.
    """
    return [float(10 ** (-1 - len(word) / 1.5)) for word in words]


def _weigh_term(term: str, frequency: float) -> float:
    """Return the weight of a term: the information of finding a word of this frequency in an article, in nats."""
    weight = -log(max(1 - exp(-TYPICAL_WORDS * frequency), RAREST))
    return min(weight, NUMBER_CAP) if term.isdigit() else weight
