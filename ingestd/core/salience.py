"""
Which words say what an article is about, and how much each of them says.

Weights come from a fixed background, the word frequencies of the language, and never from the stream: the result
depends neither on the order of arrival nor on history, and two articles alone in the system compare as well as among
millions. Measured on the labelled corpora: correcting the weights by the stream made clusters worse.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, log
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

# Frequency of a word in a language, 0..1; 0 for a word that is not in its list.
Background = Callable[[str], float]

# All constants below were set on basil, wikinews_galaxy and ecbplus together (B-cubed F1 of the mixed stream).
TYPICAL_WORDS = 500  # words of an article: a word of frequency f occurs in one with 1 - exp(-500 f)
RAREST = 2e-5  # no word counts as rarer than this
NUMBER_CAP = 4.0  # figures recur by chance: none says more than a fairly common word
NAME_BOOST = 1.2  # words written with a capital
NAME_SHARE = 0.8  # of their occurrences in the body, to count as a name
TITLE_WEIGHT = 0.5
LEAD_WEIGHT = 1.0
LEAD_PARAGRAPHS = 3
LEAD_CHARS = 900
HEADLINE_WORDS = 15  # stand in for a missing title
KEPT_TERMS = 200

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_PARAGRAPH = re.compile(r"\n\s*")
_UNSPACED_RUN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


@dataclass(frozen=True, slots=True)
class SalientTerms:
    """The terms of one article, as a vector of unit length."""

    hashes: NDArray[np.uint32]  # ascending, of the language and the word
    weights: NDArray[np.float32]
    words: tuple[str, ...]  # in the same order


class Salience:
    """Weighs words of one language. Keeps what it has looked up, since most words of an article were seen before."""

    def __init__(self, lang: str, frequency: Background) -> None:
        """Weigh by `frequency`; `lang` goes into every hash, so that languages never compare."""
        self._lang, self._frequency = lang, frequency
        self._known: dict[str, tuple[int, float]] = {}

    def terms(self, title: str | None, text: str) -> SalientTerms:
        """
        Return the most salient terms of an article: its body, its title and its lead, each of unit length, added up.

        Only presence counts: how often a word occurs brought nothing on the labelled corpora.
        """
        body = words_of(text)
        headline = words_of(title) if title else body[:HEADLINE_WORDS]
        names = _names(body)
        total: dict[str, float] = {}
        opening = set(map(_folded, words_of(lead(text)))) | set(map(_folded, headline))
        for words, share in (
            (set(map(_folded, body)) or opening, 1.0),
            (set(map(_folded, headline)), TITLE_WEIGHT),
            (opening, LEAD_WEIGHT),
        ):
            self._add(total, words, names, share)
        return self._vector(total)

    def _add(self, total: dict[str, float], words: Iterable[str], names: set[str], share: float) -> None:
        weights = {w: self.term(w)[1] * (NAME_BOOST if w in names else 1.0) for w in words}
        norm = sum(x * x for x in weights.values()) ** 0.5
        if norm:
            for word, weight in weights.items():
                total[word] = total.get(word, 0.0) + share * weight / norm

    def _vector(self, total: dict[str, float]) -> SalientTerms:
        # Ties are broken by the word, so that the same article always has the same terms.
        kept = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:KEPT_TERMS]
        hashed = sorted((self.term(word)[0], weight, word) for word, weight in kept if weight > 0)
        weights = np.array([weight for _, weight, _ in hashed], dtype=np.float32)
        norm = float(np.sqrt(np.square(weights).sum())) or 1.0
        hashes = np.array([h for h, _, _ in hashed], dtype=np.uint32)
        return SalientTerms(hashes, weights / np.float32(norm), tuple(word for _, _, word in hashed))

    def term(self, word: str) -> tuple[int, float]:
        """Return hash and weight of a word in lower case."""
        known = self._known.get(word)
        if known is None:
            weight = -log(max(1 - exp(-TYPICAL_WORDS * self._frequency(word)), RAREST))
            if word.isdigit():
                weight = min(weight, NUMBER_CAP)
            known = self._known[word] = (crc32(f"{self._lang}:{word}".encode("utf-8", "replace")), weight)
        return known


def frequency_by_length(word: str) -> float:
    """
    Return a frequency for a word of a language without a word list: the shorter, the more common.

    Source: Zipf 1935 (law of abbreviation); the slope is that of the English list.
    """
    return float(10 ** (-1 - len(word) / 1.5))


def words_of(text: str) -> list[str]:
    """Return the words of a text as written; characters of unspaced scripts in overlapping pairs."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.replace("\u00ad", ""))
        if _UNSPACED_RUN.search(text):
            text = _UNSPACED_RUN.sub(lambda run: f" {' '.join(_pairs(run.group()))} ", text)
    return _WORD.findall(text)


def lead(text: str) -> str:
    """Return the first paragraphs, where a report says what happened."""
    return "\n".join(_PARAGRAPH.split(text.strip(), LEAD_PARAGRAPHS)[:LEAD_PARAGRAPHS])[:LEAD_CHARS]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _folded(word: str) -> str:
    word = word.lower().replace("’", "'")
    return word.removesuffix("'s")


def _names(body: list[str]) -> set[str]:
    """Return the words, folded, that are nearly always written with a capital."""
    seen: dict[str, list[int]] = {}
    for word in body:
        counts = seen.setdefault(_folded(word), [0, 0])
        counts[0] += word[0].isupper()
        counts[1] += 1
    return {word for word, (capital, all_) in seen.items() if capital >= NAME_SHARE * all_}
