"""
The articles that a new article is compared with: the stored articles of the days in reach.

A cache of the database, never the truth: the window is filled from stored signatures, a day at a time, and evicts the
days that were not asked for longest when it grows beyond its size. The parts of the window each answer one kind of
question; the window keeps the parts in step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ingestd.core.features import EVENT
from ingestd.core.window.article_table import ArticleTable
from ingestd.core.window.candidates import CandidateIndex
from ingestd.core.window.columns import WindowColumns
from ingestd.core.window.day_cache import DayCache
from ingestd.core.window.event_scores import EventScores
from ingestd.core.window.memberships import Memberships

_FILLED_AHEAD = 128  # batches of keys, 150 MB at most; meanwhile all else goes on while keys are merged


class Window:
    """Articles of the days in reach, as five parts that share one numbering of the articles."""

    def __init__(self, days: int, max_articles: int, quiet_days: int = 7) -> None:
        """Compare articles up to `days` apart; hold at most about `max_articles`."""
        self.max_articles, self.quiet_days = max_articles, quiet_days
        # An article without a date may belong to anything that came lately, of whatever day: so many are held anyway.
        self.recent = max_articles // 10
        self.primed = False  # whether the articles that came before this process were added
        self.articles = ArticleTable()
        self.days = DayCache(days, self.recent)
        self.memberships = Memberships(self.articles)
        self.candidates = CandidateIndex(self.articles, days)
        self.scores = EventScores(self.articles, self.memberships)

    def __len__(self) -> int:
        return len(self.articles)

    def __contains__(self, article_id: int) -> bool:
        return article_id in self.articles

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        parts = (self.articles, self.memberships, self.candidates, self.scores)
        return sum(part.nbytes for part in parts)

    @property
    def room(self) -> int:
        """How many more articles the window takes before some are evicted."""
        return self.max_articles - len(self)

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further articles: filling the window is several times quicker then."""
        self.articles.reserve(articles)
        self.candidates.reserve(articles)
        self.scores.reserve(articles)

    def add(self, columns: WindowColumns) -> None:
        """Add articles; an article that is held already is replaced (a revision)."""
        held = [p for a in columns.ids.tolist() if (p := self.articles.get_position(a)) is not None]
        if held:
            self._drop(np.array(held))
        self.candidates.add(columns)
        self._append(columns)

    def fill(self, batches: Iterable[WindowColumns]) -> None:
        """Add many articles; held ones stay as they are. Two cores are busy with it, where there are two."""
        with ThreadPoolExecutor(1) as beside:
            pending: deque[Future[None]] = deque()
            for columns in batches:
                new = columns.select(~self.articles.contains_each(columns.ids))
                # The event feature is the larger half of the work.
                pending.append(beside.submit(self.candidates.add_feature, EVENT.name, new))
                self.candidates.add_other_features(EVENT.name, new)
                self._append(new)
                if len(pending) > _FILLED_AHEAD:
                    pending.popleft().result()
            for work in pending:
                work.result()

    def evict(self) -> int:
        """Forget idle days, and further days while there are too many articles; return how many articles left."""
        excess = len(self) - self.max_articles
        if excess <= 0 and not self.days.has_idle():
            return 0
        live = self.articles.live[: self.articles.size]
        held_days = self.articles.days[: self.articles.size]
        days, counts = np.unique(held_days[live], return_counts=True)
        evicted = self.days.pop_evictable(dict(zip(days.tolist(), counts.tolist(), strict=True)), excess)
        return self._evict(np.isin(held_days, evicted) & live)

    def evict_before(self, before: date) -> int:
        """Forget all articles of the days before a day: some of them are gone from the database."""
        self.days.forget_before(before)
        rows = slice(self.articles.size)
        return self._evict((self.articles.days[rows] < before.toordinal()) & self.articles.live[rows])

    def _append(self, columns: WindowColumns) -> None:
        self.scores.add(columns)
        self.memberships.add(columns, self.articles.append(columns))

    def _evict(self, mask: NDArray[np.bool_]) -> int:
        positions = np.flatnonzero(mask)
        self._drop(positions)
        self._compact()
        return int(positions.size)

    def _drop(self, positions: NDArray[np.int64]) -> None:
        self.scores.remove(positions)
        self.memberships.remove(positions)
        self.articles.drop(positions)

    def _compact(self) -> None:
        """Give back the memory of evicted articles, once that is worth the work."""
        if len(self) > self.articles.size // 2:
            return
        kept = np.flatnonzero(self.articles.live[: self.articles.size])
        self.candidates.compact(kept)
        self.scores.compact(kept)
        self.memberships.compact(kept, self.articles.compact(kept))
