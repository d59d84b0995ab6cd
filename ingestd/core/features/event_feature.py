"""
The event feature: the weighted salient terms of an article, and a sketch of the heaviest terms.

A value is stored as its numbers, little-endian, 32 bits each: the sketch, then the hashes and then the weights of the
terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.features.feature import FeatureInputs
from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex, hash_bands
from ingestd.core.lsh.minhash import SignatureScheme, sign_weighted_sets, split_signatures
from ingestd.core.ragged_array import RaggedArray
from ingestd.core.text.term_weights import TermVector

# 192 bands of 2 rows propose .93 of the same-event pairs of the labelled corpora, and lead to nearly the clusters that
# comparing every pair leads to (B-cubed F1 .9407 and .9413); 128 bands (.90) lead to worse clusters, 256 (.95) to no
# better ones. Rows of 3 lose too much (.55).
EVENT_SCHEME = SignatureScheme(length=384)
EVENT_BANDS, EVENT_ROWS = 192, 2
EVENT_LABEL = f"salient2/pminhash/{EVENT_SCHEME.length}/{EVENT_SCHEME.seed}"
SKETCHED_TERMS = 80  # the most salient terms; a term's mass is its weight squared
# Candidates compared exactly, best first: the best 16 give the clusters that the best 64 give.
EVENT_CANDIDATES = 16


@dataclass(frozen=True, slots=True)
class EventSketch:
    """The event feature of one article."""

    sketch: NDArray[np.uint32]  # shape (EVENT_SCHEME.length,); means nothing without a term
    terms: TermVector

    def pack(self) -> tuple[Sequence[NDArray[Any]], str]:
        """Return the arrays and the words of the value."""
        return (self.sketch, self.terms.hashes, self.terms.weights), self.terms.lines

    @classmethod
    def unpack(cls, arrays: Sequence[NDArray[np.uint32]], text: str) -> EventSketch:
        """Return the value with these arrays and words."""
        sketch, hashes, weights = arrays
        return cls(sketch, TermVector(hashes, weights.view(np.float32), text))


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The event feature of n articles."""

    keys: NDArray[np.uint32]  # shape (n, EVENT_BANDS), of the sketches
    terms: RaggedArray  # hashes, ascending for each article
    weights: NDArray[np.float32]  # of the terms, in the same order

    def select(self, mask: NDArray[np.bool_]) -> EventColumns:
        """Return the columns of the articles for which the mask is true."""
        return EventColumns(self.keys[mask], self.terms.select(mask), self.weights[np.repeat(mask, self.terms.counts)])

    def list_keys(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the keys of all articles in a row, and the number of keys of each: none without a term."""
        has_terms = self.terms.counts > 0
        return self.keys[has_terms].ravel(), np.where(has_terms, EVENT_BANDS, 0)


class EventFeatureIndex:
    """The bands of the sketches behind the interface of every feature's index."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bands = InvertedIndex()

    @property
    def nbytes(self) -> int:
        """Memory of the index, in bytes."""
        return self._bands.nbytes

    @property
    def truncated(self) -> int:
        """How often a bucket held more articles than the search read."""
        return self._bands.truncated_lookups

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further articles."""
        self._bands.reserve(articles * EVENT_BANDS)

    def add(self, columns: EventColumns) -> None:
        """Add articles, which take the next positions."""
        self._bands.add(*columns.list_keys())

    def find_candidates(
        self, columns: EventColumns, positions: NDArray[np.int64], before: NDArray[np.int64]
    ) -> Candidates:
        """Return the candidates of articles with these positions, of positions below `before`, best first."""
        return self._bands.find_candidates(*columns.list_keys(), positions, before)

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but those at `positions` (ascending), and number these anew from 0."""
        self._bands.compact(positions)


class EventFeature:
    """Articles that share salient terms. Source: Moulton and Jiang 2018 (P-MinHash)."""

    name = "event"
    scheme = EVENT_LABEL
    most_candidates = EVENT_CANDIDATES

    def compute(self, inputs: FeatureInputs) -> list[EventSketch]:
        """Return the salient terms of each article with a sketch of the heaviest."""
        terms = _weigh_terms(inputs)
        heaviest = [np.argsort(-vector.weights, kind="stable")[:SKETCHED_TERMS] for vector in terms]
        sketches = sign_weighted_sets(
            [vector.hashes[top] for vector, top in zip(terms, heaviest, strict=True)],
            [np.square(vector.weights[top]) for vector, top in zip(terms, heaviest, strict=True)],
            EVENT_SCHEME,
        )
        return [EventSketch(sketch, vector) for sketch, vector in zip(sketches, terms, strict=True)]

    def encode(self, value: EventSketch) -> bytes:
        """Return a value as it is stored."""
        return b"".join(
            (
                value.sketch.astype("<u4", copy=False).tobytes(),
                value.terms.hashes.astype("<u4", copy=False).tobytes(),
                value.terms.weights.astype("<f4", copy=False).tobytes(),
            )
        )

    def decode(self, payloads: Sequence[bytes]) -> EventColumns:
        """Return stored values as columns."""
        sketches, vectors = split_signatures(payloads, EVENT_SCHEME)
        return EventColumns(
            make_event_keys(sketches),
            RaggedArray.from_bytes([vector[: len(vector) // 2] for vector in vectors]),
            np.frombuffer(b"".join([vector[len(vector) // 2 :] for vector in vectors]), dtype="<f4"),
        )

    def gather(self, values: Sequence[EventSketch]) -> EventColumns:
        """Return values as columns."""
        return EventColumns(
            make_event_keys(np.stack([value.sketch for value in values])),
            RaggedArray.from_rows([value.terms.hashes for value in values]),
            np.concatenate([value.terms.weights for value in values]),
        )

    def make_index(self) -> EventFeatureIndex:
        """Return an empty index."""
        return EventFeatureIndex()


def make_event_keys(sketches: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the keys of the bands of event sketches, a row for each sketch."""
    return hash_bands(sketches, EVENT_BANDS, EVENT_ROWS)


def _weigh_terms(inputs: FeatureInputs) -> list[TermVector]:
    """Return the terms of each article; the articles of one language are weighed together."""
    articles = inputs.articles
    vectors: dict[int, TermVector] = {}
    for lang in dict.fromkeys(article.lang for article in articles):
        same_lang = [i for i, article in enumerate(articles) if article.lang == lang]
        terms = inputs.get_weighter(lang).weigh_articles([(articles[i].title, articles[i].text) for i in same_lang])
        vectors |= dict(zip(same_lang, terms, strict=True))
    return [vectors[i] for i in range(len(articles))]
