"""Load stored articles into the window before a batch is decided."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import structlog

from ingestd.core.stored import RowSelection
from ingestd.core.window.window import Window
from ingestd.matching.corpus import Corpus

log = structlog.get_logger()


def load_days(window: Window, corpus: Corpus, days: Collection[date], arriving: int) -> None:
    """Fill the window with the stored articles within reach of some days, on which articles arrive."""
    before = corpus.find_next_article_id()
    selections: list[RowSelection] = []
    count = 0
    if not window.primed:
        before = max(1, before - window.recent)
        newest = RowSelection(first_id=before)
        selections.append(newest)
        count = corpus.count_rows(newest)
        window.primed = True
    missing = window.days.find_missing(days, arriving)
    in_reach = RowSelection(days=tuple(missing), before_id=before)
    count_in_reach = corpus.count_rows(in_reach)
    has_room = count + count_in_reach <= window.room
    if count_in_reach and has_room:
        selections.append(in_reach)
        count += count_in_reach
    if count:
        rows = corpus.read_rows(selections, count)
        window.reserve(count)
        window.fill(rows)
    if not has_room:
        _load_nearest_days(window, corpus, missing, days, before)
    window.days.mark_held(missing)


def load_articles(window: Window, corpus: Corpus, article_ids: Sequence[int]) -> None:
    """Add stored articles to the window; held ones stay as they are."""
    missing = [article_id for article_id in article_ids if article_id not in window]
    if missing:
        for columns in corpus.read_rows_of(missing):
            window.add(columns)


def _load_nearest_days(
    window: Window, corpus: Corpus, missing: Sequence[date], days: Collection[date], before: int
) -> None:
    """Fill the room of the window with the nearest days: more articles are in reach than the window can hold."""

    def measure_distance(day: date) -> tuple[int, date]:
        return min(abs(day.toordinal() - arrival.toordinal()) for arrival in days), day

    for day in sorted(missing, key=measure_distance):
        if window.room <= 0:
            log.warning(
                "window.full",
                held=len(window),
                nearest_day_left_out=day.isoformat(),
                hint="raise window.max_articles or lower window.days",
            )
            break
        window.fill(corpus.read_rows([RowSelection(days=(day,), before_id=before)], 0))
