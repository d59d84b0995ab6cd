"""
Compute the fingerprint of an article: all features that finding copies and events compares, made once and stored.

A fingerprint depends on one article alone, so worker processes compute fingerprints in parallel.
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

# Copies: 42 bands of 3 rows find all true copies of the labelled corpora, down to a Jaccard of .3.
COPY_SCHEME = SignatureScheme(length=128)
COPY_BANDS, COPY_ROWS = 42, 3
# An excerpt shares few bands with the original, so a sample of the shingles is indexed too: all hashes in the lowest
# sixteenth. An excerpt of 80 words shares a sampled shingle with the original with a probability of .99.
SAMPLE_ONE_IN = 16
_SAMPLED_BELOW = np.uint32(2**32 // SAMPLE_ONE_IN)
COPY_LABEL = f"words5b/{COPY_SCHEME.label}+{SAMPLE_ONE_IN}"
# Events: 192 bands of 2 rows propose .93 of the same-event pairs of the labelled corpora. The clusters are nearly those
# of comparing every pair (B-cubed F1 .9407 against .9413); 128 bands (.90) lead to worse clusters, 256 bands (.95) to
# no better clusters, and 3 rows lose too many pairs (.55).
EVENT_SCHEME = SignatureScheme(length=384)
EVENT_BANDS, EVENT_ROWS = 192, 2
EVENT_LABEL = f"salient2/pminhash/{EVENT_SCHEME.length}/{EVENT_SCHEME.seed}"
SKETCHED_TERMS = 80  # the most salient; the mass of a term is the square of the weight


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Features of one article for comparison with others."""

    shingles: NDArray[np.uint32]  # sorted, without repeats
    copy_signature: NDArray[np.uint32]  # shape (COPY_SCHEME.length,)
    terms: TermVector
    event_sketch: NDArray[np.uint32]  # shape (EVENT_SCHEME.length,)
    lines: NDArray[np.uint32]  # hashes of the lines, to find lines that recur
    n_words: int
    text_sha256: str

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled as one piece: pickling six arrays takes several times as long.
        terms = self.terms
        arrays = (self.shingles, self.copy_signature, self.event_sketch, self.lines, terms.hashes, terms.weights)
        piece, sizes = b"".join(array.tobytes() for array in arrays), [array.size for array in arrays]
        return _unpack, (piece, sizes, terms.lines, self.n_words, self.text_sha256)

    @property
    def sample(self) -> NDArray[np.uint32]:
        """The shingles to index."""
        return sample_shingles(self.shingles)


def _unpack(piece: bytes, sizes: Sequence[int], lines: str, n_words: int, text_sha256: str) -> Fingerprint:
    """Return the fingerprint behind a pickle."""
    numbers = np.frombuffer(piece, dtype=np.uint32)
    edges = [0, *accumulate(sizes)]
    shingles, signature, sketch, line_hashes, hashes, weights = (numbers[a:b] for a, b in pairwise(edges))
    terms = TermVector(hashes, weights.view(np.float32), lines)
    return Fingerprint(shingles, signature, terms, sketch, line_hashes, n_words, text_sha256)


def sample_shingles(shingles: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """
    Return the sample of a sorted set of shingles; the overlap of two samples estimates the overlap of the sets.

    Source: Broder 1997 (sampling modulo m, for containment).
    """
    return shingles[: int(shingles.searchsorted(_SAMPLED_BELOW))]


def fingerprint_articles(
    articles: Sequence[Article], get_weighter: Callable[[str | None], TermWeighter]
) -> list[Fingerprint]:
    """
    Return the fingerprints of many articles.

    Args:
        articles: any number; batches of a few dozen are faster than single articles.
        get_weighter: returns the term weighter of a language; the argument None stands for an unknown language.
    """
    sets = hash_shingles([remove_known_boilerplate(article.body) for article in articles])
    copy_signatures = sign_sets(sets, COPY_SCHEME)
    terms, sketches = compute_event_features(articles, get_weighter)
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
    articles: Sequence[Article], get_weighter: Callable[[str | None], TermWeighter]
) -> tuple[list[TermVector], NDArray[np.uint32]]:
    """Return the salient terms of each article, and the sketches of the terms, one row per article."""
    terms = _weigh_articles(articles, get_weighter)
    heaviest = [np.argsort(-vector.weights, kind="stable")[:SKETCHED_TERMS] for vector in terms]
    sketches = sign_weighted_sets(
        [vector.hashes[top] for vector, top in zip(terms, heaviest, strict=True)],
        [np.square(vector.weights[top]) for vector, top in zip(terms, heaviest, strict=True)],
        EVENT_SCHEME,
    )
    return terms, sketches


def _weigh_articles(
    articles: Sequence[Article], get_weighter: Callable[[str | None], TermWeighter]
) -> list[TermVector]:
    """Return the terms of each article; articles of one language are weighed in one batch."""
    vectors: dict[int, TermVector] = {}
    for lang in dict.fromkeys(article.lang for article in articles):
        batch = [i for i, article in enumerate(articles) if article.lang == lang]
        terms = get_weighter(lang).weigh_articles([(articles[i].title, articles[i].text) for i in batch])
        vectors |= dict(zip(batch, terms, strict=True))
    return [vectors[i] for i in range(len(articles))]
