"""A steady state: days of news go by, and what is held of them does not grow."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus
from tests.support.made_corpus import articles

psutil = pytest.importorskip("psutil")


def test_as_days_go_by_the_window_slides_and_clusters_close(tmp_path: Path, long: bool) -> None:
    """Many times quicker than the days it tells of; a window of a week, clusters that close after three days."""
    days, a_day = (60, 1_000) if long else (30, 60)
    settings: dict[str, Any] = {"days": 7, "quiet_days": 3, "max_articles": 10 * a_day if long else 1_000}
    corpus = Corpus(f"sqlite:///{tmp_path / 'c.db'}", tmp_path / "files", window=settings)
    line = IngestPipeline(corpus.settings, corpus.database, after="keep")
    stream = articles(days * a_day, seed=8, words=120)
    held, memory = [], []
    started = time.monotonic()
    for day in range(days):
        records = []
        for number in range(a_day):
            made = next(stream)
            at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day, seconds=number * 86_400 / a_day)
            records.append(
                {
                    "id": made.id,
                    "title": made.title,
                    "text": made.text,
                    "outlet": made.outlet,
                    "published": at.isoformat(),
                }
            )
        corpus.write({f"{day:02}.json": json.dumps(records)})
        line.submit([seen for seen in find_files(corpus.folder) if seen.path == f"{day:02}.json".encode()])
        while line.depth:
            line.step(30)
        held.append(len(line.window))
        memory.append(line.window.nbytes)
    took = time.monotonic() - started
    line.close()
    rss = psutil.Process().memory_info().rss
    print(
        f"{days} days of {a_day} articles in {took:.0f} s, {days * 86_400 / took:,.0f} times real time: at most {max(held):,} articles "
        f"held, arrays {memory[days // 2] >> 20} MiB after half of them and {memory[-1] >> 20} MiB at the end, process {rss >> 20} MiB"
    )
    assert corpus.rows("select count(*) from articles") == [days * a_day]
    # What is in reach of the last arrivals, and nothing else; forgotten articles leave their room when they are half of it.
    in_reach = (7 + 1) * a_day + corpus.settings.window.max_articles // 10
    assert max(held) <= in_reach + a_day
    assert max(memory[days // 2 :]) <= 1.5 * max(memory[: days // 2])
    newest = corpus.rows("select max(published_at) from articles")[0]
    quiet = "select count(*) from clusters where status = 'open' and last_published_at < :since"
    since = datetime.fromisoformat(str(newest)) - timedelta(days=3)
    assert corpus.rows(quiet, since=str(since)) == [0]
    assert (
        corpus.rows("select count(*) from clusters where status = 'closed'")[0]
        > corpus.rows("select count(*) from clusters where status = 'open'")[0]
    )
    corpus.database.close()
