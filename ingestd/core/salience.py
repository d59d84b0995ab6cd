"""
Which words say what an article is about, and how much each of them says.

Weights come from a fixed background, the word frequencies of the language, and never from the stream: the result
depends neither on the order of arrival nor on history, and two articles alone in the system compare as well as among
millions. Measured on the labelled corpora: correcting the weights by the stream made clusters worse.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
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
NAME_SHARE = 0.8  # of its occurrences in the body that a name has a capital in
PAIR_WEIGHT = 0.5  # of a term for two names in a row, as a share of the mean of both
TITLE_WEIGHT = 0.5
LEAD_WEIGHT = 1.0
LEAD_PARAGRAPHS = 3
LEAD_CHARS = 900
HEADLINE_WORDS = 15  # stand in for a missing title
KEPT_TERMS = 200
MOST_KNOWN = 100_000  # words remembered, some 30 MB; names and misprints never end

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
    words: tuple[str, ...]  # in the same order; empty where only the numbers are known

    def word(self, term: int) -> str | None:
        """Return the word of a hash, if this article has it."""
        at = int(np.searchsorted(self.hashes, term))
        return self.words[at] if at < len(self.words) and self.hashes[at] == term else None


class Salience:
    """Weighs words of one language. Keeps what it has looked up, since most words of an article were seen before."""

    def __init__(self, lang: str, frequency: Background) -> None:
        """Weigh by `frequency`; `lang` goes into every hash, so that languages never compare."""
        self._lang, self._frequency = lang, frequency
        self._known: dict[str, _Term] = {}  # by the word as written
        self._folded: dict[str, _Term] = {}

    def terms(self, title: str | None, text: str) -> SalientTerms:
        """
        Return the most salient terms of an article: its body, its title and its lead, each of unit length, added up.

        Two names in a row are a term of their own beside both: of people, places and bodies it is the whole name that
        tells one from the other.

        Only presence counts: how often a word occurs brought nothing on the labelled corpora.
        """
        if len(self._folded) > MOST_KNOWN:
            self._known.clear()
            self._folded.clear()
        body = words_of(text)
        headline = set(map(self.term, words_of(title) if title else body[:HEADLINE_WORDS]))
        opening = headline | set(map(self.term, words_of(lead(text))))
        everything, names = self._body(body)
        total: dict[_Term, float] = {}
        for terms, share in ((everything or opening, 1.0), (headline, TITLE_WEIGHT), (opening, LEAD_WEIGHT)):
            weights = [term.weight for term in terms]
            norm = sum(weight * weight for weight in weights) ** 0.5
            if norm:
                scale = share / norm
                for term, weight in zip(terms, weights, strict=True):
                    total[term] = total.get(term, 0.0) + scale * weight
        # Two who share a surname, or two quakes in one country, differ in what stands beside it.
        for one, other in {pair for pair in pairwise(body) if pair[0] in names and pair[1] in names}:
            first, second = self.term(one), self.term(other)
            mean = (total.get(first, 0.0) + total.get(second, 0.0)) / 2
            total[self._pair(first, second)] = PAIR_WEIGHT * mean
        return _vector(total)

    def _body(self, body: list[str]) -> tuple[set[_Term], set[str]]:
        """Return all terms of a body, and the words with a capital whose terms nearly always have one."""
        seen: dict[_Term, int] = {}
        capital: dict[_Term, int] = {}
        for word, count in Counter(body).items():
            term = self.term(word)
            seen[term] = seen.get(term, 0) + count
            if word[0].isupper():
                capital[term] = capital.get(term, 0) + count
        names = {term for term, count in capital.items() if count >= NAME_SHARE * seen[term]}
        return set(seen), {word for word in set(body) if word[0].isupper() and self.term(word) in names}

    def term(self, word: str) -> _Term:
        """Return hash and weight of a word as written; its case and a final 's make no difference."""
        known = self._known.get(word)
        if known is None:
            folded = word.lower().replace("’", "'").removesuffix("'s")
            known = self._folded.get(folded)
            if known is None:
                known = self._folded[folded] = self._weighed(folded)
            self._known[word] = known
        return known

    def _pair(self, first: _Term, second: _Term) -> _Term:
        """Return the term for two names in a row; its weight is that of the article, not of the language."""
        words = f"{first.word} {second.word}"
        known = self._folded.get(words)
        if known is None:
            known = self._folded[words] = _Term(self._hash(words), 0.0, words)
        return known

    def _weighed(self, word: str) -> _Term:
        weight = -log(max(1 - exp(-TYPICAL_WORDS * self._frequency(word)), RAREST))
        if word.isdigit():
            weight = min(weight, NUMBER_CAP)
        return _Term(self._hash(word), weight, word)

    def _hash(self, word: str) -> int:
        return crc32(f"{self._lang}:{word}".encode("utf-8", "replace"))


@dataclass(slots=True, eq=False)  # there is one of each word, so identity is equality, and quick to hash
class _Term:
    hash: int
    weight: float
    word: str


def _vector(total: dict[_Term, float]) -> SalientTerms:
    # Ties are broken by the word, so that the same article always has the same terms.
    kept = sorted([(-weight, term.word, term.hash) for term, weight in total.items() if weight > 0])[:KEPT_TERMS]
    hashes = np.array([term_hash for _, _, term_hash in kept], dtype=np.uint32)
    weights = np.array([-weight for weight, _, _ in kept], dtype=np.float32)
    order = np.argsort(hashes, kind="stable")
    norm = float(np.sqrt(np.square(weights).sum())) or 1.0
    words = [word for _, word, _ in kept]
    return SalientTerms(hashes[order], weights[order] / np.float32(norm), tuple(words[i] for i in order.tolist()))


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
