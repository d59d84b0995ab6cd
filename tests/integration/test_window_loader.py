"""Reading stored articles with several processes: all of them once, in an order that does not depend on chance."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from datetime import date
from functools import partial
from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text

from ingestd.core.window.columns import WindowColumns
from ingestd.inbox.scan import find_files
from ingestd.matching import window_loader
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.store import articles as store
from ingestd.store import database
from ingestd.store.articles import IdPartition
from ingestd.workers import forkserver
from tests.conftest import Corpus
from tests.support.made_corpus import articles

N = 60
SLOW_S = 5
STRETCH = 4  # ids that one process reads in a row


@pytest.fixture
def filled(corpus_on_each: Corpus, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(window_loader, "_FEWEST_DIVIDED", 1)
    monkeypatch.setattr(window_loader, "_STRETCH", STRETCH)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    made: list[dict[str, Any]] = [
        {"id": a.id, "title": a.title, "text": a.text, "outlet": a.outlet, "published": a.published.isoformat()}
        for a in articles(N, seed=3, words=120)
    ]
    corpus_on_each.take_in(made=made)
    return corpus_on_each


def reader(article_id: int) -> int:
    """Which of three reads an article."""
    return article_id // STRETCH % 3


def columns(came: list[WindowColumns]) -> dict[int, tuple[Any, ...]]:
    """All that is known of each article, by its id."""
    found: dict[int, tuple[Any, ...]] = {}
    for some in came:
        for i, article in enumerate(some.ids.tolist()):
            one = some.where(some.ids == article)
            values = (one.published, one.copy_keys, one.samples.numbers, one.event_keys, one.terms.numbers)
            rest = (one.weights, one.days, one.n_words, one.outlets, one.canonical, one.clusters)
            assert article not in found, f"{article} came twice, the second time at {i}"
            found[article] = tuple(value.tobytes() for value in (*values, *rest))
    return found


def test_processes_read_what_one_reads_and_always_in_one_order(filled: Corpus) -> None:
    days = [date(2025, 1, 1 + n) for n in range(31)]
    with filled.database.begin_read() as connection:
        before = N // 2
        reads: list[window_loader.Read] = [
            partial(store.entries_from, first=before),
            partial(store.entries_of_days, days=days, before=before),
        ]
        alone = [some for read in reads for some in read(connection)]
        for _ in range(2):
            together = list(window_loader.entries(connection, reads, N))
            assert columns(together) == columns(alone)
            assert len(columns(together)) == N
            order = np.concatenate([some.ids for some in together]).tolist()
            # The first of three has the first stretch, and so on, some in turns.
            inorder = np.concatenate([some.ids for some in alone]).tolist()
            for n in range(3):
                assert [id_ for id_ in order if reader(id_) == n] == [id_ for id_ in inorder if reader(id_) == n]
            assert [reader(some.ids[0]) for some in together] == [0, 1, 2] * (len(together) // 3)


def dying(connection: Connection, *, share: IdPartition | None = None) -> Iterator[WindowColumns]:
    """Read alone, and die of it in a process that has a share, after a few articles."""
    yield from store.entries_from(connection, N - 5, share)
    if share is not None and share.rest == 1:
        os._exit(1)
    yield from store.entries_from(connection, 1, share)


def test_what_a_reader_that_died_did_not_send_is_read_all_the_same(filled: Corpus) -> None:
    with filled.database.begin_read() as connection:
        came = {int(id_) for some in window_loader.entries(connection, [dying], N) for id_ in some.ids}
    assert came == set(range(1, N + 1))


def slow(connection: Connection, *, share: IdPartition | None = None) -> Iterator[WindowColumns]:
    """Read some articles, and the others after a while."""
    yield from store.entries_from(connection, N - 5, share)
    time.sleep(SLOW_S)
    yield from store.entries_from(connection, 1, share)


def test_the_transaction_outlasts_a_slow_reading(filled: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_IDLE", f"{SLOW_S - 1}s")
    monkeypatch.setattr(window_loader, "_SPEAKS_AFTER_S", 0.2)
    forkserver.start_server()  # what is slow here is to be the reading
    with filled.database.begin_write() as connection:
        came = list(window_loader.entries(connection, [slow], N))
        assert connection.execute(text("select count(*) from articles")).scalar_one() == N
    assert came


def test_a_line_that_starts_anew_finds_copies_of_what_processes_read(
    filled: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    divided = []
    started = window_loader._started
    monkeypatch.setattr(window_loader, "_started", lambda *a: divided.append(a[2]) or started(*a))
    first = filled.rows("select text, outlet from articles where id = 1")[0]
    filled.write({"again.json": {"id": "again", "text": first[0] + " And a word.", "outlet": "Another"}})
    line = IngestPipeline(filled.settings, filled.database, after="keep")
    line.submit([file for file in find_files(filled.folder) if file.path == b"again.json"])
    line.step(10)
    line.close()
    assert [share.rest for share in divided] == [0, 1, 2]
    canonical = filled.rows("select canonical_article_id from copies where article_id = (select max(id) from articles)")
    same = filled.rows("select coalesce((select canonical_article_id from copies where article_id = 1), 1)")
    assert canonical == same


def test_where_no_process_can_be_started_this_one_reads(filled: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(window_loader, "_started", refused)
    with filled.database.begin_read() as connection:
        came = list(window_loader.entries(connection, [partial(store.entries_from, first=1)], N))
    assert len(columns(came)) == N


class Ended:
    """A reader that is gone."""

    def terminate(self) -> None:
        pass


def test_a_reader_that_ended_within_a_message_is_noticed(filled: Corpus) -> None:
    receiving, sending = Pipe(duplex=False)
    os.write(sending.fileno(), struct.pack("!i", 1000) + b"the beginning of a thousand bytes")
    sending.close()
    gone: Any = Ended()
    with filled.database.begin_read() as connection:
        came = list(window_loader._received(connection, [partial(store.entries_from, first=1)], [(gone, receiving)]))
    assert len(columns(came)) == N
