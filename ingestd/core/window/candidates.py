"""The candidates of an article: the articles in reach that share bands of a feature, best first."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.core.features import COPY, EVENT, FEATURES
from ingestd.core.lsh.inverted_index import Candidates
from ingestd.core.window.article_table import ArticleTable
from ingestd.core.window.columns import WindowColumns


@dataclass(frozen=True, slots=True)
class CandidateIds:
    """The articles worth comparing with an article, best first, by id."""

    copies: tuple[int, ...]  # share a band of their signatures, or a good part of their samples
    coverage: tuple[int, ...]  # share a band of their salient terms


class CandidateIndex:
    """The indexes of all features over the rows of a table."""

    def __init__(self, articles: ArticleTable, days: int) -> None:
        """Begin empty; propose articles up to `days` apart."""
        self._articles, self._days = articles, days
        self._indexes = {feature.name: feature.make_index() for feature in FEATURES}

    @property
    def nbytes(self) -> int:
        """Memory of the indexes, in bytes."""
        return sum(index.nbytes for index in self._indexes.values())

    @property
    def truncated(self) -> int:
        """How often a bucket held more articles than the search read."""
        return sum(index.truncated for index in self._indexes.values())

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further articles."""
        for index in self._indexes.values():
            index.reserve(articles)

    def add(self, columns: WindowColumns) -> None:
        """Index articles at the next positions."""
        for name, index in self._indexes.items():
            index.add(columns.features[name])

    def add_feature(self, name: str, columns: WindowColumns) -> None:
        """Index articles by one feature."""
        self._indexes[name].add(columns.features[name])

    def add_other_features(self, name: str, columns: WindowColumns) -> None:
        """Index articles by all features but one."""
        for other, index in self._indexes.items():
            if other != name:
                index.add(columns.features[other])

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Follow the table, of which only the rows at `positions` are left."""
        for index in self._indexes.values():
            index.compact(positions)

    def find_candidates(self, columns: WindowColumns, *, earlier: bool) -> list[CandidateIds]:
        """Return the candidates of articles that are held: of all others, or of those added `earlier`."""
        own = self._articles.find_positions(columns.ids)
        before = own if earlier else np.full(own.size, self._articles.size)
        copies, coverage = (
            self._select_in_reach(
                self._indexes[feature.name].find_candidates(columns.features[feature.name], own, before),
                own,
                feature.most_candidates,
            )
            for feature in (COPY, EVENT)
        )
        return [CandidateIds(c, e) for c, e in zip(copies, coverage, strict=True)]

    def _select_in_reach(self, candidates: Candidates, own: NDArray[np.int64], most: int) -> list[tuple[int, ...]]:
        """Return the ids of the best candidates of each article, of those that are in reach."""
        published, positions = self._articles.published, candidates.positions
        distances = np.abs(published[positions] - published[own[candidates.queries]])
        # An unknown date (NaN) is never too far away.
        good = self._articles.live[positions] & ~(distances > self._days)
        queries, ids = candidates.queries[good], self._articles.ids[positions[good]]
        edges = np.searchsorted(queries, np.arange(own.size + 1)).tolist()
        return [tuple(ids[a : min(b, a + most)].tolist()) for a, b in itertools.pairwise(edges)]
