"""The articles of the window in columns, each at a position: dates, lengths and outlets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.copies.star_groups import CanonicalRank
from ingestd.core.window.columns import DAY_S, WindowColumns

_FEWEST = 1024  # rows


class ArticleTable:
    """
    Rows of articles, numbered in the order in which they are added.

    A dropped article keeps its position until `compact`; the columns are read by position.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.size = 0  # rows, dropped ones too
        self.ids = np.zeros(0, dtype=np.int64)
        self.published = np.zeros(0)  # days since 1970, NaN: unknown
        self.days = np.zeros(0, dtype=np.int32)  # ordinals
        self.n_words = np.zeros(0, dtype=np.int32)
        self.outlets = np.zeros(0, dtype=np.uint32)  # a hash of the name, 0: unknown
        self.live = np.zeros(0, dtype=bool)
        self._positions: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, article_id: int) -> bool:
        return article_id in self._positions

    @property
    def nbytes(self) -> int:
        """Memory of the columns, in bytes."""
        return sum(int(getattr(self, name).nbytes) for name in _COLUMNS)

    def contains_each(self, article_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each article whether the table holds a row of the article."""
        return np.array([article_id in self._positions for article_id in article_ids.tolist()], dtype=bool)

    def get_position(self, article_id: int) -> int | None:
        """Return the position of an article; None: not held."""
        return self._positions.get(article_id)

    def find_position(self, article_id: int) -> int:
        """Return the position of an article that is held."""
        return self._positions[article_id]

    def find_positions(self, article_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of articles, all of which are held."""
        return np.array([self._positions[a] for a in article_ids.tolist()], dtype=np.int64)

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further rows."""
        needed = self.size + articles
        if needed > self.ids.size:
            more = max(needed, self.ids.size * 3 // 2, _FEWEST) - self.ids.size
            for name in _COLUMNS:
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros(more, dtype=column.dtype)]))

    def append(self, columns: WindowColumns) -> int:
        """Add articles that are not held, and return the position of the first."""
        first = self.size
        self.reserve(columns.ids.size)
        rows = slice(first, first + columns.ids.size)
        self.ids[rows] = columns.ids
        self.published[rows] = columns.published
        self.days[rows] = columns.days
        self.n_words[rows] = columns.n_words
        self.outlets[rows] = columns.outlets
        self.live[rows] = True
        self.size = rows.stop
        self._positions.update(zip(columns.ids.tolist(), range(first, rows.stop), strict=True))
        return first

    def drop(self, positions: NDArray[np.int64]) -> None:
        """Forget the articles at some positions."""
        self.live[positions] = False
        for article_id in self.ids[positions].tolist():
            del self._positions[article_id]

    def compact(self, positions: NDArray[np.int64]) -> dict[int, int]:
        """Keep only the rows at `positions` (ascending), number them anew from 0, and return old -> new position."""
        renumbered = dict(zip(positions.tolist(), range(positions.size), strict=True))
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[positions])
        self.size = positions.size
        self._positions = {article: renumbered[p] for article, p in self._positions.items()}
        return renumbered

    def rank(self, article_id: int) -> CanonicalRank:
        """Return the rank of an article among its copies."""
        position = self._positions[article_id]
        published = float(self.published[position])
        return CanonicalRank(
            article_id=article_id,
            published_at=None if np.isnan(published) else datetime.fromtimestamp(published * DAY_S, UTC),
            n_words=int(self.n_words[position]),
        )

    def list_rank_keys(self, article_ids: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return the sort keys of `CanonicalRank.sort_key`, a column for each: the most important first."""
        at = self.find_positions(article_ids)
        published, unknown = self.published[at], np.isnan(self.published[at])
        return unknown, np.where(unknown, 0, published), -self.n_words[at], article_ids

    def get_published(self, article_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the date of publication of each article, in days since 1970; NaN: unknown."""
        return self.published[self.find_positions(article_ids)]

    def get_outlets(self, article_ids: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return a number for the outlet of each article, 0 for an unknown outlet."""
        return self.outlets[self.find_positions(article_ids)]


_COLUMNS = ("ids", "published", "days", "n_words", "outlets", "live")
