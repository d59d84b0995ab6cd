"""Reading stored articles with several processes: all of them once, in an order that does not depend on chance."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text

from ingestd.core.article import Article
from ingestd.core.changeset import NewArticle
from ingestd.core.features import COPY, EVENT
from ingestd.core.fingerprint import fingerprint_articles
from ingestd.core.stored import RowSelection
from ingestd.core.window.columns import WindowColumns
from ingestd.matching.matcher import Matcher
from ingestd.pipeline.committer import make_window, record_batch
from ingestd.store.database import Database
from ingestd.store.window_rows import IdPartition, read_rows
from ingestd.workers import forkserver
from ingestd.workers.row_readers import ReaderLimits, RowReaders, read_rows_in_turn, start_reader
from ingestd.workers.word_frequencies import load_term_weighter
from tests.conftest import Corpus
from tests.support.made_corpus import articles

N = 60
SLOW_S = 5
STRETCH = 4  # ids that one process reads in a row


LIMITS = ReaderLimits(min_rows=1, stretch=STRETCH, processes=3)


@pytest.fixture
def filled(corpus_on_each: Corpus) -> Corpus:
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
            one = some.select(some.ids == article)
            copy, event = one.features[COPY.name], one.features[EVENT.name]
            values = (one.published, copy.keys, copy.samples.numbers, event.keys, event.terms.numbers)
            rest = (event.weights, one.days, one.n_words, one.outlets, one.canonical, one.clusters)
            assert article not in found, f"{article} came twice, the second time at {i}"
            found[article] = tuple(value.tobytes() for value in (*values, *rest))
    return found


def test_processes_read_what_one_reads_and_always_in_one_order(filled: Corpus) -> None:
    days = tuple(date(2025, 1, 1 + n) for n in range(31))
    before = N // 2
    selections = [RowSelection(first_id=before), RowSelection(days=days, before_id=before)]
    with filled.database.begin_read() as connection:
        alone = list(read_rows_in_turn(connection, selections, N))
        for _ in range(2):
            together = list(RowReaders(LIMITS)(connection, selections, N))
            assert columns(together) == columns(alone)
            assert len(columns(together)) == N
            order = np.concatenate([some.ids for some in together]).tolist()
            # The first of three has the first stretch, and so on, some in turns.
            inorder = np.concatenate([some.ids for some in alone]).tolist()
            for n in range(3):
                assert [id_ for id_ in order if reader(id_) == n] == [id_ for id_ in inorder if reader(id_) == n]
            assert [reader(some.ids[0]) for some in together] == [0, 1, 2] * (len(together) // 3)


def die_amid_reading(
    connection: Connection, selection: RowSelection, partition: IdPartition
) -> Iterator[WindowColumns]:
    """Read a few articles; the process of the second partition then dies."""
    yield from read_rows(connection, RowSelection(first_id=N - 5), partition)
    if partition.rest == 1:
        os._exit(1)
    yield from read_rows(connection, selection, partition)


def test_what_a_reader_that_died_did_not_send_is_read_all_the_same(filled: Corpus) -> None:
    readers = RowReaders(LIMITS, start=partial(start_reader, read=die_amid_reading))
    with filled.database.begin_read() as connection:
        came = {int(id_) for some in readers(connection, [RowSelection(first_id=1)], N) for id_ in some.ids}
    assert came == set(range(1, N + 1))


def read_slowly(connection: Connection, selection: RowSelection, partition: IdPartition) -> Iterator[WindowColumns]:
    """Read some articles, and the others after a while."""
    yield from read_rows(connection, RowSelection(first_id=N - 5), partition)
    time.sleep(SLOW_S)
    yield from read_rows(connection, selection, partition)


def test_the_transaction_outlasts_a_slow_reading(filled: Corpus) -> None:
    database = Database(filled.url, idle_timeout_s=SLOW_S - 1)
    readers = RowReaders(replace(LIMITS, keepalive_s=0.2), start=partial(start_reader, read=read_slowly))
    forkserver.start_server()  # what is slow here is to be the reading
    with database.begin_write() as connection:
        came = list(readers(connection, [RowSelection(first_id=1)], N))
        assert connection.execute(text("select count(*) from articles")).scalar_one() == N
    database.close()
    assert came


def test_a_matcher_that_starts_anew_finds_copies_of_what_processes_read(filled: Corpus) -> None:
    partitions: list[int] = []

    def start(connection: Connection, selections: Sequence[RowSelection], partition: IdPartition) -> Any:
        partitions.append(partition.rest)
        return start_reader(connection, selections, partition)

    ((body, day),) = filled.rows("select text, cast(day as text) from articles where id = 1")
    again = Article(title="Again", text=body + " And a word.", outlet="Another")
    (fingerprint,) = fingerprint_articles([again], load_term_weighter)
    new = NewArticle(N + 1, again, fingerprint, date.fromisoformat(day), 1)
    with filled.database.begin_write() as connection:
        decision = record_batch(
            connection, [new], Matcher(partial(make_window, filled.settings)), next_cluster=N + 1,
            now=datetime.now(UTC), quiet_days=7, read_rows=RowReaders(LIMITS, start),
        )  # fmt: skip
    assert partitions == [0, 1, 2]
    same = filled.rows("select coalesce((select canonical_article_id from copies where article_id = 1), 1)")
    assert [decision.assignments[0].canonical_id] == same


def test_where_no_process_can_be_started_this_one_reads(filled: Corpus) -> None:
    def refuse(*_: Any) -> Any:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with filled.database.begin_read() as connection:
        came = list(RowReaders(LIMITS, refuse)(connection, [RowSelection(first_id=1)], N))
    assert len(columns(came)) == N


class Ended:
    """A reader that is gone."""

    def terminate(self) -> None:
        pass


def test_a_reader_that_ended_within_a_message_is_noticed(filled: Corpus) -> None:
    def start(*_: Any) -> Any:
        receiving, sending = Pipe(duplex=False)
        os.write(sending.fileno(), struct.pack("!i", 1000) + b"the beginning of a thousand bytes")
        sending.close()
        return Ended(), receiving

    with filled.database.begin_read() as connection:
        came = list(RowReaders(LIMITS, start)(connection, [RowSelection(first_id=1)], N))
    assert len(columns(came)) == N
