"""
Which words say what an article is about, and how much each of them says.

Weights come from a fixed background, the word frequencies of the language, and never from the stream: the result
depends neither on the order of arrival nor on history, and two articles alone in the system compare as well as among
millions. Measured on the labelled corpora: correcting the weights by the stream made clusters worse.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import distinct, with_room

# Frequency of a word in a language, 0..1; 0 for a word that is not in its list.
Background = Callable[[str], float]

# All constants below were set on basil, wikinews_galaxy and ecbplus together (B-cubed F1 of the mixed stream).
TYPICAL_WORDS = 500  # words of an article: a word of frequency f occurs in one with 1 - exp(-500 f)
RAREST = 2e-5  # no word counts as rarer than this
NUMBER_CAP = 4.0  # figures recur by chance: none says more than a fairly common word
NAME_SHARE = 0.8  # of its occurrences in the body that a name has a capital in
PAIR_WEIGHT = 0.5  # of a term for two names in a row, as a share of the mean of both
TITLE_WEIGHT = 0.5
LEAD_WEIGHT = 1.0
LEAD_PARAGRAPHS = 3
LEAD_CHARS = 900
HEADLINE_WORDS = 15  # stand in for a missing title
KEPT_TERMS = 200
# Bits of a hash, the upper ones, by which the window tells terms apart: fewer take less memory. One term in a hundred
# pairs of articles passes for another.
TERM_BITS = 22
MOST_KNOWN = 100_000  # words remembered, some 30 MB; names and misprints never end

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)?")
_PARAGRAPH = re.compile(r"\n\s*")
_UNSPACED_RUN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


@dataclass(frozen=True, slots=True)
class SalientTerms:
    """The terms of one article, as a vector of unit length."""

    hashes: NDArray[np.uint32]  # ascending, of the language and the word
    weights: NDArray[np.float32]
    words: tuple[str, ...]  # in the same order; empty where only the numbers are known

    def words_of(self, terms: NDArray[np.uint32]) -> list[str | None]:
        """Return the words of some hashes of `TERM_BITS` bits, None for those that this article does not have."""
        if not self.words:
            return [None] * terms.size
        hashes = self.hashes >> np.uint32(32 - TERM_BITS)
        at = np.minimum(hashes.searchsorted(terms), hashes.size - 1)
        own = (hashes[at] == terms).tolist()
        return [self.words[i] if has else None for i, has in zip(at.tolist(), own, strict=True)]


class Salience:
    """
    Weighs words of one language. Keeps what it has looked up, since most words of an article were seen before.

    Words as written and terms are numbered as they come, so that an article is a row of numbers, and all that is asked
    of its words is asked of arrays.
    """

    def __init__(self, lang: str, frequency: Background) -> None:
        """Weigh by `frequency`; `lang` goes into every hash, so that languages never compare."""
        self._lang, self._frequency = lang, frequency
        self._forget()

    def _forget(self) -> None:
        self._written, self._terms = _Numbers(self._describe_written), _Numbers(self._describe_term)
        self._term_of = np.zeros(1 << 12, dtype=np.int64)  # by the number of a word as written
        self._capital = np.zeros(1 << 12, dtype=bool)
        self._weight = np.zeros(1 << 12)  # by the number of a term
        self._hash = np.zeros(1 << 12, dtype=np.uint32)
        self._words: list[str] = []

    def terms(self, title: str | None, text: str) -> SalientTerms:
        """
        Return the most salient terms of an article: its body, its title and its lead, each of unit length, added up.

        Two names in a row are a term of their own beside both: of people, places and bodies it is the whole name that
        tells one from the other. Only presence counts: how often a word occurs brought nothing on the labelled corpora.
        """
        if len(self._terms) > MOST_KNOWN:
            self._forget()
        written = self._numbered(words_of(text))
        body = self._term_of[written]
        headline = distinct(self._terms_in(title) if title else body[:HEADLINE_WORDS])
        opening = distinct(np.concatenate([headline, self._terms_in(lead(text))]))
        everything = distinct(body)
        terms = distinct(np.concatenate([everything, opening]))
        values = np.zeros(terms.size)
        whole = everything if body.size else opening
        for part, share in ((whole, 1.0), (headline, TITLE_WEIGHT), (opening, LEAD_WEIGHT)):
            weights = self._weight[part]
            norm = float(np.sqrt(weights @ weights))
            if norm:
                values[np.searchsorted(terms, part)] += share / norm * weights
        capital = self._capital[written]
        place = np.searchsorted(everything, body)
        times = np.bincount(place, minlength=everything.size)
        names = np.bincount(place, weights=capital, minlength=everything.size) >= NAME_SHARE * times
        pairs, pair_values = self._pairs(body, capital & names[place], terms, values)
        return self._vector(np.concatenate([terms, pairs]), np.concatenate([values, pair_values]))

    def _pairs(
        self, body: NDArray[np.int64], is_name: NDArray[np.bool_], terms: NDArray[np.int64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the terms for two names in a row, and what they say: a share of the mean of both."""
        at = np.flatnonzero(is_name[:-1] & is_name[1:])
        both = distinct(body[at] << 32 | body[at + 1])
        first, second = both >> 32, both & 0xFFFFFFFF
        mean = (values[np.searchsorted(terms, first)] + values[np.searchsorted(terms, second)]) / 2
        named = zip(first.tolist(), second.tolist(), strict=True)
        numbers = [self._terms[f"{self._words[one]} {self._words[other]}"] for one, other in named]
        return np.array(numbers, dtype=np.int64), PAIR_WEIGHT * mean

    def _vector(self, terms: NDArray[np.int64], values: NDArray[np.float64]) -> SalientTerms:
        # Ties are broken by the hash, so that the same article always has the same terms.
        kept = np.lexsort((self._hash[terms], -values))[:KEPT_TERMS]
        kept = kept[values[kept] > 0]
        kept = kept[np.argsort(self._hash[terms[kept]], kind="stable")]
        weights = values[kept].astype(np.float32)
        norm = float(np.sqrt(np.square(weights).sum())) or 1.0
        words = tuple(map(self._words.__getitem__, terms[kept].tolist()))
        return SalientTerms(self._hash[terms[kept]], weights / np.float32(norm), words)

    def _terms_in(self, text: str) -> NDArray[np.int64]:
        written = self._numbered(words_of(text))  # first, since new words make the arrays grow
        return self._term_of[written]

    def _numbered(self, words: list[str]) -> NDArray[np.int64]:
        return np.fromiter(map(self._written.__getitem__, words), dtype=np.int64, count=len(words))

    def _describe_written(self, number: int, word: str) -> None:
        self._term_of, self._capital = with_room(self._term_of, number + 1), with_room(self._capital, number + 1)
        self._term_of[number] = self._terms[word.lower().replace("’", "'").removesuffix("'s")]
        self._capital[number] = word[0].isupper()

    def _describe_term(self, number: int, word: str) -> None:
        self._weight, self._hash = with_room(self._weight, number + 1), with_room(self._hash, number + 1)
        weight = -log(max(1 - exp(-TYPICAL_WORDS * self._frequency(word)), RAREST))
        self._weight[number] = min(weight, NUMBER_CAP) if word.isdigit() else weight
        self._hash[number] = crc32(f"{self._lang}:{word}".encode("utf-8", "replace"))
        self._words.append(word)


class _Numbers(dict[str, int]):
    """Numbers words from 0 as they are asked for, and has each new one described."""

    def __init__(self, describe: Callable[[int, str], None]) -> None:
        super().__init__()
        self._describe = describe

    def __missing__(self, word: str) -> int:
        number = len(self)
        self._describe(number, word)
        self[word] = number
        return number


def frequency_by_length(word: str) -> float:
    """
    Return a frequency for a word of a language without a word list: the shorter, the more common.

    Source: Zipf 1935 (law of abbreviation); the slope is that of the English list.
    """
    return float(10 ** (-1 - len(word) / 1.5))


def words_of(text: str) -> list[str]:
    """Return the words of a text as written; characters of unspaced scripts in overlapping pairs."""
    if text.isascii():
        return _ASCII_WORD.findall(text)  # the same words, sooner
    text = unicodedata.normalize("NFKC", text.replace("\u00ad", ""))
    if _UNSPACED_RUN.search(text):
        text = _UNSPACED_RUN.sub(lambda run: f" {' '.join(_pairs(run.group()))} ", text)
    return _WORD.findall(text)


def lead(text: str) -> str:
    """Return the first paragraphs, where a report says what happened."""
    return "\n".join(_PARAGRAPH.split(text.strip(), LEAD_PARAGRAPHS)[:LEAD_PARAGRAPHS])[:LEAD_CHARS]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]
