"""
Everything about an article that the two questions compare: made once, beside the reading, and stored.

This is the parallel part of the work; nothing here depends on any other article.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.article import Article
from ingestd.core.lsh.minhash import SignatureScheme, sign_sets, sign_weighted_sets
from ingestd.core.text.boilerplate import hash_lines, remove_known_boilerplate
from ingestd.core.text.shingles import hash_shingles
from ingestd.core.text.term_weights import TermVector, TermWeighter

# Copies: 42 bands of 3 rows find all true copies down to a Jaccard of .3 that the labelled corpora hold.
COPY_SCHEME = SignatureScheme(length=128)
COPY_BANDS, COPY_ROWS = 42, 3
# An excerpt shares few bands with its original, so a sample of the shingles themselves is indexed too: all whose hash
# is in the lowest sixteenth. An excerpt of 80 words shares one with its original with a probability of .99.
SAMPLE_ONE_IN = 16
_SAMPLED_BELOW = np.uint32(2**32 // SAMPLE_ONE_IN)
COPY_LABEL = f"words5b/{COPY_SCHEME.label}+{SAMPLE_ONE_IN}"
# Events: 192 bands of 2 rows propose .93 of the same-event pairs there, and lead to nearly the clusters that comparing
# every pair leads to (B-cubed F1 .9407 and .9413); 128 bands (.90) lead to worse ones, 256 (.95) to no better ones.
# Rows of 3 lose too much (.55).
EVENT_SCHEME = SignatureScheme(length=384)
EVENT_BANDS, EVENT_ROWS = 192, 2
EVENT_LABEL = f"salient2/pminhash/{EVENT_SCHEME.length}/{EVENT_SCHEME.seed}"
SKETCHED_TERMS = 80  # the most salient ones; a term's mass is its weight squared


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is compared of one article."""

    shingles: NDArray[np.uint32]  # sorted, without repeats
    copy_signature: NDArray[np.uint32]  # shape (COPY_SCHEME.length,)
    terms: TermVector
    event_sketch: NDArray[np.uint32]  # shape (EVENT_SCHEME.length,)
    lines: NDArray[np.uint32]  # keys of the lines, by which those that recur are found
    n_words: int
    text_sha256: str

    def __reduce__(self) -> tuple[Any, ...]:
        # It goes from one process to another as one piece: six arrays would take several times as long.
        terms = self.terms
        columns = (self.shingles, self.copy_signature, self.event_sketch, self.lines, terms.hashes, terms.weights)
        piece, sizes = b"".join(column.tobytes() for column in columns), [column.size for column in columns]
        return _put_together, (piece, sizes, terms.lines, self.n_words, self.text_sha256)

    @property
    def sample(self) -> NDArray[np.uint32]:
        """The shingles that are indexed one by one."""
        return sample_shingles(self.shingles)


def _put_together(piece: bytes, sizes: Sequence[int], words: str, n_words: int, text_sha256: str) -> Fingerprint:
    numbers = np.frombuffer(piece, dtype=np.uint32)
    edges = [0, *accumulate(sizes)]
    shingles, signature, sketch, lines, hashes, weights = (numbers[a:b] for a, b in pairwise(edges))
    terms = TermVector(hashes, weights.view(np.float32), words)
    return Fingerprint(shingles, signature, terms, sketch, lines, n_words, text_sha256)


def sample_shingles(shingles: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """
    Return the shingles of a set (sorted) that are indexed one by one: what two texts share of it is what they share.

    Source: Broder 1997 (sampling modulo m, for containment).
    """
    return shingles[: int(shingles.searchsorted(_SAMPLED_BELOW))]


def fingerprint_articles(
    articles: Sequence[Article], salience: Callable[[str | None], TermWeighter]
) -> list[Fingerprint]:
    """
    Return the fingerprints of many articles.

    Args:
        articles: any number; a few dozen at a time are quicker than one.
        salience: the term weights of a language; None where the language is unknown.
    """
    sets = hash_shingles([remove_known_boilerplate(article.body) for article in articles])
    copy_signatures = sign_sets(sets, COPY_SCHEME)
    terms, sketches = compute_event_features(articles, salience)
    return [
        Fingerprint(
            shingles=sets[i],
            copy_signature=copy_signatures[i],
            terms=terms[i],
            event_sketch=sketches[i],
            lines=hash_lines(article.body),
            n_words=len(article.body.split()),
            text_sha256=article.hash_text(),
        )
        for i, article in enumerate(articles)
    ]


def compute_event_features(
    articles: Sequence[Article], salience: Callable[[str | None], TermWeighter]
) -> tuple[list[TermVector], NDArray[np.uint32]]:
    """Return what events are found by: the salient terms of each article, and its sketch of them, a row each."""
    terms = _salient(articles, salience)
    heaviest = [np.argsort(-vector.weights, kind="stable")[:SKETCHED_TERMS] for vector in terms]
    sketches = sign_weighted_sets(
        [vector.hashes[top] for vector, top in zip(terms, heaviest, strict=True)],
        [np.square(vector.weights[top]) for vector, top in zip(terms, heaviest, strict=True)],
        EVENT_SCHEME,
    )
    return terms, sketches


def _salient(articles: Sequence[Article], salience: Callable[[str | None], TermWeighter]) -> list[TermVector]:
    """Return the terms of each article; those of a language are weighed together."""
    found: dict[int, TermVector] = {}
    for lang in dict.fromkeys(article.lang for article in articles):
        these = [i for i, article in enumerate(articles) if article.lang == lang]
        terms = salience(lang).weigh_articles([(articles[i].title, articles[i].text) for i in these])
        found |= dict(zip(these, terms, strict=True))
    return [found[i] for i in range(len(articles))]
