"""What the decisions of one batch need: days in the window, texts, and what was compared already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial

import numpy as np
import structlog
from sqlalchemy import Connection

from ingestd.core.copies.overlap import Overlap
from ingestd.core.copies.verify import ComparedText, Comparison, PairVerdict, compare_texts
from ingestd.core.window.columns import WindowColumns
from ingestd.core.window.window import CandidateIds, Window
from ingestd.matching import window_loader
from ingestd.matching.text_cache import TextCache
from ingestd.store import articles as store

log = structlog.get_logger()

# Copies divided anew at once; the work grows with their square.
MOST_TOGETHER = 40


class Needs:
    """Reads what is missing, a batch at a time, and remembers what it has worked out."""

    def __init__(self, connection: Connection, window: Window, texts: TextCache) -> None:
        """Begin with what is held from earlier batches."""
        self.connection, self.window, self.texts = connection, window, texts
        self._verdicts: dict[tuple[int, int], Comparison] = {}
        self._scored: dict[int, dict[int, float]] = {}  # article -> other -> score

    def load_days(self, days: set[date], arriving: int) -> None:
        """Fill the window with what lies within reach of some days."""
        before, _ = store.next_ids(self.connection)
        reads: list[window_loader.Read] = []
        count = 0
        if not self.window.primed:
            before = max(1, before - self.window.recent)
            reads.append(partial(store.entries_from, first=before))
            count = store.count_from(self.connection, before)
            self.window.primed = True
        missing = self.window.missing(days, arriving)
        of_days = store.count_of_days(self.connection, missing, before)
        there_is_room = count + of_days <= self.window.room
        if of_days and there_is_room:
            reads.append(partial(store.entries_of_days, days=missing, before=before))
            count += of_days
        if count:
            coming = window_loader.entries(self.connection, reads, count)
            self.window.reserve(count)
            self.window.fill(coming)
        if not there_is_room:
            self._load_nearest(missing, days, before)
        self.window.holds(missing)

    def _load_nearest(self, missing: Sequence[date], days: set[date], before: int) -> None:
        """Fill what room there is with the nearest days: more articles are in reach than can be held."""
        for day in sorted(missing, key=lambda d: (min(abs(d.toordinal() - wanted.toordinal()) for wanted in days), d)):
            if self.window.room <= 0:
                log.warning(
                    "window.full",
                    held=len(self.window),
                    nearest_day_left_out=day.isoformat(),
                    hint="raise window.max_articles or lower window.days",
                )
                break
            self.window.fill(store.entries_of_days(self.connection, [day], before))

    def load(self, stored: Iterable[WindowColumns]) -> None:
        """Add stored articles to the window; those that it holds stay as they are."""
        for entries in stored:
            self.window.add(entries.where(~self.window.has(entries.ids)))

    def load_texts(self, near: Sequence[CandidateIds], compared: Sequence[Sequence[int]]) -> None:
        """Fetch at once what the batch is compared with, and the groups of copies that it may have to divide anew."""
        wanted = {other for others in compared for other in others}
        for speaker in {self.window.canonical_of(other) for n in near for other in n.copies}:
            group = self.window.group(speaker)
            wanted |= {member.article_id for member in group[:MOST_TOGETHER]}
        self.texts.fetch(self.connection, wanted)

    def text(self, article_id: int) -> ComparedText:
        """Return what is compared of an article."""
        return self.texts.get(self.connection, article_id)

    def verdict(self, one: int, other: int) -> Comparison:
        """Return what two articles are to each other; each pair is compared once in a batch."""
        if (one, other) not in self._verdicts:
            self._verdicts[one, other] = compare_texts(self.text(one), self.text(other))
        return self._verdicts[one, other]

    def score(self, article_ids: Sequence[int], near: Sequence[CandidateIds]) -> None:
        """Score all articles of a batch with what they come near to, at once."""
        counts = [len(n.coverage) for n in near]
        others = np.array([other for n in near for other in n.coverage], dtype=np.int64)
        of = np.repeat(np.arange(len(counts)), counts)
        scores = iter(self.window.pair_scores(np.array(article_ids), others, of).tolist())
        for article_id, n in zip(article_ids, near, strict=True):
            self._scored[article_id] = {other: next(scores) for other in n.coverage}

    def scores(self, article_id: int, others: Sequence[int]) -> dict[int, float]:
        """Return the scores of an article with (at least) some others; each pair is scored once in a batch."""
        known = self._scored.setdefault(article_id, {})
        missing = [other for other in others if other not in known]
        if missing:
            scores = self.window.scores(article_id, np.array(missing, dtype=np.int64))
            known.update(zip(missing, scores.tolist(), strict=True))
        return known

    def compared(self, one: int, other: int) -> Overlap | None:
        """Return what two articles share if one is a copy of the other."""
        comparison = self.verdict(one, other)
        return comparison.overlap if comparison.verdict is PairVerdict.COPY else None
