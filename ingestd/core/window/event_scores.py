"""Event scores of pairs of articles in the window: the cosine of the terms, less a penalty for the time apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestd.core.events.term_vectors import TermVectorStore, compute_time_penalty
from ingestd.core.features import EVENT, EventColumns
from ingestd.core.text.term_weights import KEPT_TERMS, TERM_BITS
from ingestd.core.window.article_table import ArticleTable
from ingestd.core.window.columns import WindowColumns
from ingestd.core.window.memberships import Memberships


class EventScores:
    """Term vectors of the articles of a table, and the scores that follow from them. Articles are named by id."""

    def __init__(self, articles: ArticleTable, memberships: Memberships) -> None:
        """Begin empty."""
        self._articles, self._memberships = articles, memberships
        self._vectors = TermVectorStore()
        self._spread = np.zeros(1 << TERM_BITS, dtype=np.int32)  # articles that have a term

    @property
    def nbytes(self) -> int:
        """Memory of the vectors, in bytes."""
        return self._vectors.nbytes

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further articles."""
        self._vectors.reserve(articles, articles * KEPT_TERMS)

    def add(self, columns: WindowColumns) -> None:
        """Add the vectors of articles that take the next positions."""
        event: EventColumns = columns.features[EVENT.name]
        np.add.at(self._spread, self._vectors.add(event.terms, event.weights), np.int32(1))

    def remove(self, positions: NDArray[np.int64]) -> None:
        """No longer count the terms of articles that leave the window."""
        np.subtract.at(self._spread, self._vectors.gather_hashes(positions), np.int32(1))

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Follow the table, of which only the rows at `positions` are left."""
        self._vectors.compact(positions)

    def score(self, article_id: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of an article with others."""
        return self.score_pairs(np.array([article_id]), others, np.zeros(others.size, dtype=np.int64))

    def score_pairs(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], of: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """
        Return the scores of pairs.

        Args:
            articles: shape (m,), one side of the pairs.
            others: shape (n,), the other side.
            of: shape (n,), the index in `articles` of the first side of each pair, ascending.
        """
        own, theirs = self._articles.find_positions(articles), self._articles.find_positions(others)
        penalties = compute_time_penalty(self._articles.published[own][of], self._articles.published[theirs])
        return self._vectors.compute_cosines(own, theirs, of) - penalties

    def score_all_pairs(self, articles: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of all pairs of n articles, shape (n, n)."""
        positions = self._articles.find_positions(articles)
        days = self._articles.published[positions]
        return self._vectors.compute_gram(positions) - compute_time_penalty(days[:, np.newaxis], days)

    def find_lowest(self, cluster_id: int) -> float:
        """Return the lowest score between two members of a cluster, infinite for less than two; it is remembered."""
        remembered = self._memberships.lowest_scores
        if cluster_id not in remembered:
            members = self._memberships.list_members(cluster_id)
            if members.size < 2:
                return np.inf
            scores = self.score_all_pairs(members)
            np.fill_diagonal(scores, np.inf)
            remembered[cluster_id] = float(scores.min())
        return remembered[cluster_id]

    def list_terms(
        self, articles: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]]:
        """Return hashes and weights of the terms of articles in a row, and the index of the article of each term."""
        return self._vectors.gather_terms(self._articles.find_positions(articles))

    def find_shared_terms(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], most: int
    ) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        """Return, for pairs, hashes of `TERM_BITS` bits and weights of the terms that make most of the score."""
        return self._vectors.find_shared_terms(
            self._articles.find_positions(articles), self._articles.find_positions(others), most
        )

    def count_articles_with(self, terms: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Return how many articles of the window have each of some terms (hashes of `TERM_BITS` bits)."""
        counts: NDArray[np.int32] = self._spread[terms]
        return counts
