"""
Which words say what an article is about, and how much each of them says.

Weights come from a fixed background, the word frequencies of the language, and never from the stream: the result
depends neither on the order of arrival nor on history, and two articles alone in the system compare as well as among
millions. Measured on the labelled corpora: correcting the weights by the stream made clusters worse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import exp, log
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity, sort_unique, sort_unique_with_inverse
from ingestd.core.text.languages import LANGUAGES
from ingestd.core.text.tokens import HashIndex, Tokens, tokenize_texts

# Frequencies of words in a language, 0..1 each; 0 for a word that is not in its list.
BackgroundFrequencies = Callable[[Sequence[str]], Sequence[float]]

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
MAX_KNOWN_TERMS = 100_000  # words remembered, some 30 MB; names and misprints never end

_POSSESSIVE = LANGUAGES["en"].possessive
_PARAGRAPH = re.compile(r"\n\s*")
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class TermVector:
    """The terms of one article, as a vector of unit length."""

    hashes: NDArray[np.uint32]  # ascending, of the language and the word
    weights: NDArray[np.float32]
    lines: str  # the words in the same order, one a line; empty where only the numbers are known

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words, in the order of their hashes."""
        return tuple(self.lines.split("\n")) if self.lines else ()


class TermWeighter:
    """
    Weighs words of one language. Keeps what it has looked up, since most words of an article were seen before.

    Words as written and terms are numbered as they come, so that an article is a row of numbers, and all that is asked
    of its words is asked of arrays, for many articles at once.
    """

    def __init__(self, lang: str, frequency: BackgroundFrequencies) -> None:
        """Weigh by `frequency`; `lang` goes into every hash, so that languages never compare."""
        self._lang, self._frequency = lang, frequency
        self._forget()

    def _forget(self) -> None:
        self._written, self._pairs = HashIndex(), HashIndex()  # words as written; terms for two names in a row
        self._term_of = np.zeros(1 << 12, dtype=np.int64)  # by the number of a word as written
        self._capital = np.zeros(1 << 12, dtype=bool)
        self._weight = np.zeros(1 << 12)  # by the number of a term
        self._hash = np.zeros(1 << 12, dtype=np.uint32)
        self._numbers: dict[str, int] = {}  # of the terms
        self._words: list[str] = []
        self._n_written = 0

    def weigh_article(self, title: str | None, text: str) -> TermVector:
        """Return the most salient terms of an article."""
        return self.weigh_articles([(title, text)])[0]

    def weigh_articles(self, articles: Sequence[tuple[str | None, str]]) -> list[TermVector]:
        """
        Return the most salient terms of articles: body, title and lead of each, of unit length, added up.

        Two names in a row are a term of their own beside both: of people, places and bodies it is the whole name that
        tells one from the other. Only presence counts: how often a word occurs brought nothing on the labelled corpora.

        Args:
            articles: title and text of each, at most 65,536; what comes out of one does not depend on the others.
        """
        if len(self._words) > MAX_KNOWN_TERMS:
            self._forget()
        n = len(articles)
        words = tokenize_texts(
            [text for _, text in articles] + [t or "" for t, _ in articles] + [cut_lead(t) for _, t in articles]
        )
        written = self._numbered(words)
        # An article above a term is one number from here on; of a set of terms each is there once, in ascending order.
        owner = np.repeat(np.tile(np.arange(n, dtype=np.uint64) << _HALF, 3), words.counts)
        keys: NDArray[np.uint64] = np.bitwise_or(owner, self._term_of[written].view(np.uint64))
        bodies, titles, leads = np.split(keys, np.cumsum([words.counts[:n].sum(), words.counts[n : 2 * n].sum()]))
        everything, place, times = sort_unique_with_inverse(bodies)
        untitled = np.repeat([not title for title, _ in articles], words.counts[:n])
        within = np.arange(bodies.size) - np.repeat(np.cumsum(words.counts[:n]) - words.counts[:n], words.counts[:n])
        headlines = sort_unique(np.concatenate([titles, bodies[untitled & (within < HEADLINE_WORDS)]]))
        openings = sort_unique(np.concatenate([headlines, leads]))
        terms = sort_unique(np.concatenate([everything, openings]))
        bodiless = words.counts[:n] == 0
        whole = np.concatenate([everything, openings[bodiless[_articles(openings)]]])
        values = self._added_up(terms, ((whole, 1.0), (headlines, TITLE_WEIGHT), (openings, LEAD_WEIGHT)), n)
        capital = self._capital[written[: bodies.size]]
        often = np.bincount(place, weights=capital, minlength=everything.size) >= NAME_SHARE * times
        pairs, pair_values = self._two_names(bodies, capital & often[place], terms, values)
        return self._vectors(np.concatenate([terms, pairs]), np.concatenate([values, pair_values]), n)

    def _added_up(
        self, terms: NDArray[np.uint64], parts: Sequence[tuple[NDArray[np.uint64], float]], n: int
    ) -> NDArray[np.float64]:
        """Return what each term says in all parts of its article; a part is as long as its share."""
        values = np.zeros(terms.size)
        for part, share in parts:
            of, weights = _articles(part), self._weight[_numbers(part)]
            norms = np.sqrt(np.bincount(of, weights=weights * weights, minlength=n))
            shares = np.divide(share, norms, out=np.zeros(n), where=norms > 0)
            values[np.searchsorted(terms, part)] += shares[of] * weights
        return values

    def _two_names(
        self,
        bodies: NDArray[np.uint64],
        is_name: NDArray[np.bool_],
        terms: NDArray[np.uint64],
        values: NDArray[np.float64],
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Return the terms for two names in a row, and what they say: a share of the mean of both."""
        owner = bodies & ~_LOW
        at = np.flatnonzero(is_name[:-1] & is_name[1:] & (owner[:-1] == owner[1:]))
        one, other = _numbers(bodies[at]), _numbers(bodies[at + 1])

        def describe(first: NDArray[np.int64]) -> NDArray[np.int64]:
            names = zip(one[first].tolist(), other[first].tolist(), strict=True)
            return self._terms([f"{self._words[name]} {self._words[next_one]}" for name, next_one in names])

        both = (one + 1).astype(np.uint64) << _HALF | (other + 1).astype(np.uint64)
        pairs, first = np.unique(owner[at] | self._pairs.get_or_add(both, describe).view(np.uint64), return_index=True)
        sums = values[np.searchsorted(terms, bodies[at[first]])] + values[np.searchsorted(terms, bodies[at[first] + 1])]
        return pairs, PAIR_WEIGHT / 2 * sums

    def _vectors(self, terms: NDArray[np.uint64], values: NDArray[np.float64], n: int) -> list[TermVector]:
        positive = values > 0
        terms, values = terms[positive], values[positive]
        hashes = self._hash[_numbers(terms)]
        kept = _heaviest(_articles(terms), hashes, values, n)
        kept = kept[np.argsort((terms[kept] & ~_LOW) | hashes[kept], kind="stable")]
        of, hashes, weights = _articles(terms[kept]), hashes[kept], values[kept].astype(np.float32)
        norms = np.sqrt(np.bincount(of, weights=np.square(weights), minlength=n)).astype(np.float32)
        weights /= norms[of]
        words = [self._words[number] for number in _numbers(terms[kept]).tolist()]
        edges = np.searchsorted(of, np.arange(n + 1)).tolist()
        return [TermVector(hashes[a:b], weights[a:b], "\n".join(words[a:b])) for a, b in pairwise(edges)]

    def _numbered(self, words: Tokens) -> NDArray[np.int64]:
        """Return the numbers of words as written."""

        def describe(first: NDArray[np.int64]) -> NDArray[np.int64]:
            new = words.take(first)
            begin, end = self._n_written, self._n_written + len(new)
            self._n_written = end
            self._term_of, self._capital = ensure_capacity(self._term_of, end), ensure_capacity(self._capital, end)
            self._term_of[begin:end] = self._terms([w.lower().replace("’", "'").removesuffix(_POSSESSIVE) for w in new])
            self._capital[begin:end] = [w[0].isupper() for w in new]
            return np.arange(begin, end)

        return self._written.get_or_add(words.hashes, describe)

    def _terms(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of terms."""
        new = [word for word in dict.fromkeys(words) if word not in self._numbers]
        begin, end = len(self._words), len(self._words) + len(new)
        self._words += new
        self._numbers.update(zip(new, range(begin, end), strict=True))
        self._weight, self._hash = ensure_capacity(self._weight, end), ensure_capacity(self._hash, end)
        self._weight[begin:end] = [_weight(*one) for one in zip(new, self._frequency(new), strict=True)]
        self._hash[begin:end] = [crc32(f"{self._lang}:{word}".encode("utf-8", "replace")) for word in new]
        return np.array([self._numbers[word] for word in words], dtype=np.int64)


def _weight(word: str, frequency: float) -> float:
    """Return what a word of such a frequency says."""
    weight = -log(max(1 - exp(-TYPICAL_WORDS * frequency), RAREST))
    return min(weight, NUMBER_CAP) if word.isdigit() else weight


def _articles(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (keys >> _HALF).view(np.int64)


def _numbers(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (keys & _LOW).view(np.int64)


def _heaviest(
    owners: NDArray[np.int64], hashes: NDArray[np.uint32], values: NDArray[np.float64], n: int
) -> NDArray[np.int64]:
    """
    Return which terms are among the `KEPT_TERMS` heaviest of their article.

    Ties are broken by the hash, so that the same article always has the same terms.
    """
    if not owners.size:
        return owners
    # Positive numbers are in the order of their bits; 48 of them find room beside the article.
    lightness = ~values.view(np.uint64) >> np.uint64(16) | owners.astype(np.uint64) << np.uint64(48)
    ordered, counts = np.sort(lightness), np.bincount(owners, minlength=n)
    last = np.minimum(np.cumsum(counts) - counts + KEPT_TERMS, np.cumsum(counts)) - 1
    limit = ordered[np.maximum(last, 0)][owners]
    sure = lightness < limit
    tied = np.flatnonzero(lightness == limit)
    tied = tied[np.lexsort((hashes[tied], owners[tied]))]
    left = KEPT_TERMS - np.bincount(owners[sure], minlength=n)
    of = owners[tied]
    place = np.arange(tied.size) - np.searchsorted(of, of)
    return np.concatenate([np.flatnonzero(sure), tied[place < left[of]]])


def estimate_frequencies(words: Sequence[str]) -> list[float]:
    """
    Return frequencies for words of a language without a word list: the shorter, the more common.

    Source: Zipf 1935 (law of abbreviation); the slope is that of the English list.
    """
    return [float(10 ** (-1 - len(word) / 1.5)) for word in words]


def cut_lead(text: str) -> str:
    """Return the first paragraphs, where a report says what happened."""
    return "\n".join(_PARAGRAPH.split(text.strip(), LEAD_PARAGRAPHS)[:LEAD_PARAGRAPHS])[:LEAD_CHARS]
