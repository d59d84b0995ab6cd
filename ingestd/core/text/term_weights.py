"""
Weigh the terms of an article by how rarely the language uses them.

Weights come from a fixed background, the word frequencies of the language, and never from the stream: the result
depends neither on the order of arrival nor on history, and two articles alone in the system compare as well as among
millions. Measured on the labelled corpora: correcting the weights by the stream made clusters worse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import sort_unique, sort_unique_with_inverse
from ingestd.core.text.pieces import cut_pieces
from ingestd.core.text.tokens import tokenize_texts
from ingestd.core.text.vocabulary import BackgroundFrequencies, Vocabulary

# All constants below were set on basil, wikinews_galaxy and ecbplus together (B-cubed F1 of the mixed stream).
NAME_SHARE = 0.8  # a word is a name if this share of its occurrences in the body has a capital
PAIR_WEIGHT = 0.5  # weight of a term for two names in a row, as a share of the mean of both
TITLE_WEIGHT = 0.5
LEAD_WEIGHT = 1.0
LEAD_PARAGRAPHS = 3
LEAD_CHARS = 900
OPENING_CHARS = 1 << 18  # of the body that is weighed: no report is so long, and each new word takes memory
TITLE_CHARS = 10_000  # of the title that is weighed: a longer one is a text in the wrong field
HEADLINE_WORDS = 15  # the first words of the body, in place of a missing title
KEPT_TERMS = 200
# Upper bits of a hash by which the window distinguishes terms; fewer bits take less memory. Two different terms are
# equal in one of a hundred pairs of articles.
TERM_BITS = 22
MAX_KNOWN_TERMS = 100_000  # some 30 MB; names and misprints never end

_PARAGRAPH = re.compile(r"\n\s*")
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class TermVector:
    """The terms of one article, as a vector of unit length."""

    hashes: NDArray[np.uint32]  # of language and term, ascending
    weights: NDArray[np.float32]
    lines: str  # the terms in the same order, one per line; empty if only hashes are known

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The terms, in the order of the hashes."""
        return tuple(self.lines.split("\n")) if self.lines else ()


class TermWeighter:
    """Weighs the terms of articles in one language, and remembers known words: most words of an article are known."""

    def __init__(
        self,
        lang: str,
        frequencies: BackgroundFrequencies,
        *,
        kept_terms: int = KEPT_TERMS,
        max_known_terms: int = MAX_KNOWN_TERMS,
        opening_chars: int = OPENING_CHARS,
    ) -> None:
        """Weigh terms by `frequencies`; `lang` is a part of every hash, so terms of two languages never match."""
        self._lang, self._frequencies = lang, frequencies
        self._kept_terms, self._max_known_terms = kept_terms, max_known_terms
        self._opening_chars = opening_chars
        self._vocabulary = Vocabulary(lang, frequencies)

    def weigh_article(self, title: str | None, text: str) -> TermVector:
        """Return the most salient terms of an article."""
        return self.weigh_articles([(title, text)])[0]

    def weigh_articles(self, articles: Sequence[tuple[str | None, str]]) -> list[TermVector]:
        """
        Return the most salient terms of each article: the sum of the unit vectors of body, title and lead.

        Two names in a row are a term besides both names: the whole name distinguishes people, places and bodies. Only
        presence counts: counting occurrences improved nothing on the labelled corpora.

        Args:
            articles: title and text of each, at most 65,536; the result for one article does not depend on the others.
        """
        if len(self._vocabulary.terms) > self._max_known_terms:
            self._vocabulary = Vocabulary(self._lang, self._frequencies)
        n = len(articles)
        tokens = tokenize_texts(
            [next(cut_pieces(text, self._opening_chars)) for _, text in articles]
            + [(title or "")[:TITLE_CHARS] for title, _ in articles]
            + [cut_lead(text) for _, text in articles]
        )
        words = self._vocabulary.number_words(tokens)
        # From here on a key is an article above a term in one number; a set of keys is sorted, without repeats.
        owner = np.repeat(np.tile(np.arange(n, dtype=np.uint64) << _HALF, 3), tokens.counts)
        keys: NDArray[np.uint64] = np.bitwise_or(owner, self._vocabulary.term_of[words].view(np.uint64))
        sizes = tokens.counts[:n]  # words of each body
        bodies, titles, leads = np.split(keys, np.cumsum([sizes.sum(), tokens.counts[n : 2 * n].sum()]))
        body_terms, inverse, times = sort_unique_with_inverse(bodies)
        untitled = np.repeat([not title for title, _ in articles], sizes)
        place = np.arange(bodies.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # of a word in the body
        headlines = sort_unique(np.concatenate([titles, bodies[untitled & (place < HEADLINE_WORDS)]]))
        openings = sort_unique(np.concatenate([headlines, leads]))
        terms = sort_unique(np.concatenate([body_terms, openings]))
        whole = np.concatenate([body_terms, openings[(sizes == 0)[_get_articles(openings)]]])
        values = self._sum_parts(terms, ((whole, 1.0), (headlines, TITLE_WEIGHT), (openings, LEAD_WEIGHT)), n)
        capital = self._vocabulary.is_capital[words[: bodies.size]]
        is_name = np.bincount(inverse, weights=capital, minlength=body_terms.size) >= NAME_SHARE * times
        pairs, pair_values = self._weigh_name_pairs(bodies, capital & is_name[inverse], terms, values)
        return self._build_vectors(np.concatenate([terms, pairs]), np.concatenate([values, pair_values]), n)

    def _sum_parts(
        self, terms: NDArray[np.uint64], parts: Sequence[tuple[NDArray[np.uint64], float]], n: int
    ) -> NDArray[np.float64]:
        """Return the sum of the weights of each term over the parts of the article; each part has its own length."""
        values = np.zeros(terms.size)
        for part, length in parts:
            of, weights = _get_articles(part), self._vocabulary.weights[_get_terms(part)]
            norms = np.sqrt(np.bincount(of, weights=weights * weights, minlength=n))
            factors = np.divide(length, norms, out=np.zeros(n), where=norms > 0)
            values[np.searchsorted(terms, part)] += factors[of] * weights
        return values

    def _weigh_name_pairs(
        self,
        bodies: NDArray[np.uint64],
        is_name: NDArray[np.bool_],
        terms: NDArray[np.uint64],
        values: NDArray[np.float64],
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
        """Return the terms for two names in a row, and their values: a share of the mean of both names."""
        owner = bodies & ~_LOW
        at = np.flatnonzero(is_name[:-1] & is_name[1:] & (owner[:-1] == owner[1:]))
        numbers = self._vocabulary.number_pairs(_get_terms(bodies[at]), _get_terms(bodies[at + 1]))
        pairs, first = np.unique(owner[at] | numbers.view(np.uint64), return_index=True)
        sums = values[np.searchsorted(terms, bodies[at[first]])] + values[np.searchsorted(terms, bodies[at[first] + 1])]
        return pairs, PAIR_WEIGHT / 2 * sums

    def _build_vectors(self, terms: NDArray[np.uint64], values: NDArray[np.float64], n: int) -> list[TermVector]:
        """Return the vector of the heaviest terms of each article."""
        positive = values > 0
        terms, values = terms[positive], values[positive]
        hashes = self._vocabulary.hashes[_get_terms(terms)]
        kept = _find_heaviest(_get_articles(terms), hashes, values, n, self._kept_terms)
        kept = kept[np.argsort((terms[kept] & ~_LOW) | hashes[kept], kind="stable")]
        of, hashes, weights = _get_articles(terms[kept]), hashes[kept], values[kept].astype(np.float32)
        norms = np.sqrt(np.bincount(of, weights=np.square(weights), minlength=n)).astype(np.float32)
        weights /= norms[of]
        words = [self._vocabulary.terms[number] for number in _get_terms(terms[kept]).tolist()]
        edges = np.searchsorted(of, np.arange(n + 1)).tolist()
        return [TermVector(hashes[a:b], weights[a:b], "\n".join(words[a:b])) for a, b in pairwise(edges)]


def _get_articles(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (keys >> _HALF).view(np.int64)


def _get_terms(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (keys & _LOW).view(np.int64)


def _find_heaviest(
    owners: NDArray[np.int64], hashes: NDArray[np.uint32], values: NDArray[np.float64], n: int, most: int
) -> NDArray[np.int64]:
    """
    Return the indices of the `most` heaviest terms of each article.

    The hash breaks ties, so that the same article always has the same terms.
    """
    if not owners.size:
        return owners
    # Positive numbers are in the order of their bits; 48 bits of the value fit beside the article.
    lightness = ~values.view(np.uint64) >> np.uint64(16) | owners.astype(np.uint64) << np.uint64(48)
    ordered, counts = np.sort(lightness), np.bincount(owners, minlength=n)
    last = np.minimum(np.cumsum(counts) - counts + most, np.cumsum(counts)) - 1
    limit = ordered[np.maximum(last, 0)][owners]
    sure = lightness < limit
    tied = np.flatnonzero(lightness == limit)
    tied = tied[np.lexsort((hashes[tied], owners[tied]))]
    free = most - np.bincount(owners[sure], minlength=n)
    of = owners[tied]
    place = np.arange(tied.size) - np.searchsorted(of, of)
    return np.concatenate([np.flatnonzero(sure), tied[place < free[of]]])


def cut_lead(text: str) -> str:
    """Return the first paragraphs, where a report says what happened."""
    return "\n".join(_PARAGRAPH.split(text.strip(), LEAD_PARAGRAPHS)[:LEAD_PARAGRAPHS])[:LEAD_CHARS]
