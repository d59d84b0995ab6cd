"""The pipeline when something beside it breaks: the database, a worker process, another process's claim."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from ingestd.archive.moves import Move
from ingestd.core.source_file import SeenFile
from ingestd.formats import ReadLimits
from ingestd.inbox.scan import find_files
from ingestd.pipeline.limits import PipelineLimits
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.store.database import Database
from ingestd.store.ledger import Ledger
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.pool import Workers
from tests.conftest import Corpus
from tests.support.made_corpus import articles, write


class FlakyDatabase(Database):
    """Fails some transactions at the worst moment: after all was written, before it is committed."""

    def __init__(self, url: str, failing: set[int]) -> None:
        super().__init__(url)
        self.failing, self.transactions = failing, 0

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        self.transactions += 1
        with super().begin_write() as connection:
            yield connection
            if self.transactions in self.failing:
                raise OperationalError("COMMIT", {}, Exception("server closed the connection"))


class DyingWorkers(Workers):
    """The process that reads a certain file dies of it, and takes with it what else it was given."""

    def __init__(self, killer: bytes) -> None:
        super().__init__(0)
        self.killer = killer

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        if any(file.path == self.killer for file in files):
            return died()
        return super().read_files(files, limits)


class MovingDeath(Workers):
    """The process that is to move files dies."""

    def __init__(self) -> None:
        super().__init__(0)

    def move_files(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        return died()


class NeverMoving(Workers):
    """Files take for ever to be moved."""

    def __init__(self) -> None:
        super().__init__(0)

    def move_files(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        return Future()


class NotingWorkers(Workers):
    """Notes which files are read together."""

    def __init__(self) -> None:
        super().__init__(0)
        self.together: list[Sequence[SeenFile]] = []

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        self.together.append(files)
        return super().read_files(files, limits)


class CancellingWorkers(Workers):
    """The first reading is cancelled, as when the processes are begun anew."""

    def __init__(self) -> None:
        super().__init__(0)
        self.readings = 0

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        self.readings += 1
        if self.readings == 1:
            future: Future[list[ExtractionResult]] = Future()
            future.cancel()
            return future
        return super().read_files(files, limits)


def died() -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(BrokenProcessPool("a process was terminated abruptly"))
    return future


def records(n: int) -> dict[str, Any]:
    return {
        f"{i}.json": {"id": str(i), "outlet": "Post", "title": f"Number {i}", "text": f"Text of number {i}."}
        for i in range(n)
    }


def run(pipeline: IngestPipeline, seen: Sequence[SeenFile], batch: int = 4) -> None:
    for start in range(0, len(seen), batch):
        pipeline.submit(seen[start : start + batch])
        while pipeline.depth:
            pipeline.step(10)


@pytest.fixture
def make_pipeline(corpus: Corpus) -> Iterator[Callable[..., IngestPipeline]]:
    made: list[IngestPipeline] = []

    def make(database: Database | None = None, **options: Any) -> IngestPipeline:
        options = {"after": "archive", "pause": lambda _seconds: False} | options  # no need to wait in a test
        pipeline = IngestPipeline(corpus.settings, database or corpus.database, **options)
        made.append(pipeline)
        return pipeline

    yield make
    for pipeline in made:
        pipeline.close()


@pytest.mark.parametrize("failing", [{1}, {2}, {2, 3, 4}, {3, 6, 9, 12}])
def test_a_failing_database_loses_and_doubles_nothing_and_charges_no_file(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline], failing: set[int]
) -> None:
    corpus.write(records(12))
    pipeline = make_pipeline(FlakyDatabase(corpus.url, failing))
    run(pipeline, sorted(find_files(corpus.folder), key=lambda f: f.path))
    assert sorted(map(int, corpus.rows("select external_id from articles"))) == list(range(12))
    assert corpus.rows("select distinct state, attempts from source_files") == [("stored", 1)]
    assert corpus.rows("select count(*) from cluster_members") == [12]
    assert pipeline.stats.articles == 12
    assert list(find_files(corpus.folder)) == []  # all archived


def test_the_file_that_a_worker_dies_of_is_kept_with_that_reason_and_the_others_are_stored(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(4))
    pipeline = make_pipeline(workers=DyingWorkers(b"2.json"))
    run(pipeline, sorted(find_files(corpus.folder), key=lambda f: f.path))
    assert corpus.rows("select path, state, reason from source_files order by path") == [
        ("0.json", "stored", None), ("1.json", "stored", None), ("2.json", "quarantined", "internal"), ("3.json", "stored", None),
    ]  # fmt: skip


def test_a_reading_that_was_cancelled_is_begun_again(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(4))
    run(make_pipeline(workers=CancellingWorkers()), list(find_files(corpus.folder)))
    assert corpus.rows("select distinct state, attempts from source_files") == [("stored", 1)]


def test_a_reading_that_takes_long_is_named_in_the_log(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    class Slow(Workers):
        def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
            return Future()

    corpus.write(records(1))
    pipeline = make_pipeline(workers=Slow(0), limits=PipelineLimits(slow_s=0.05))
    pipeline.submit(list(find_files(corpus.folder)))
    with structlog.testing.capture_logs() as said:
        for _ in range(5):
            pipeline.step(0.03)
    slow = [one for one in said if one["event"] == "batch.slow"]
    assert 1 <= len(slow) <= 3
    assert (slow[0]["stage"], slow[0]["paths"]) == ("read", ["0.json"])


def test_few_large_files_are_read_at_a_time_and_many_small_ones_are_stored_together(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(9) | {f"{i}.json": {"title": str(i), "text": f"number {i} " * 1_200} for i in (3, 4, 6)})
    workers = NotingWorkers()
    pipeline = make_pipeline(workers=workers, limits=PipelineLimits(read_together_bytes=10_000))
    run(pipeline, sorted(find_files(corpus.folder), key=lambda f: f.path), batch=9)
    names = [[file.path.decode().removesuffix(".json") for file in files] for files in workers.together]
    assert names == [["0", "1", "2", "3"], ["4"], ["5", "6"], ["7", "8"]]
    assert corpus.rows("select count(*) from articles") == [9]


def test_those_who_read_leave_the_cores_to_the_one_who_decides() -> None:
    workers = Workers(1)
    try:
        asked = workers.submit(partial(os.getpriority, os.PRIO_PROCESS, 0))
        assert asked.result(60) > os.getpriority(os.PRIO_PROCESS, 0)
    finally:
        workers.close()


def test_work_that_takes_long_does_not_hold_up_an_end_that_was_asked_for() -> None:
    workers = Workers(1)
    asked = workers.submit(partial(time.sleep, 600))
    while not asked.running():
        time.sleep(0.01)
    workers.close()
    with pytest.raises((BrokenProcessPool, CancelledError)):
        asked.result(60)


def test_the_lowest_score_remembered_of_a_cluster_is_that_of_its_members(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    write(articles(300, words=80), corpus.folder)
    pipeline = make_pipeline()
    run(pipeline, sorted(find_files(corpus.folder), key=lambda f: f.path), batch=50)
    remembered = dict(pipeline.window.memberships.lowest_scores)
    assert len(remembered) > 30
    for cluster, lowest in remembered.items():
        scores = pipeline.window.scores.score_all_pairs(pipeline.window.memberships.list_members(cluster))
        assert lowest == pytest.approx(scores[~np.eye(len(scores), dtype=bool)].min(), abs=1e-5)


def test_files_are_moved_even_if_the_process_dies_that_was_to_move_them(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(4))
    pipeline = make_pipeline(workers=MovingDeath())
    run(pipeline, sorted(find_files(corpus.folder), key=lambda f: f.path))
    assert list(find_files(corpus.folder)) == []
    assert corpus.rows("select count(*) from source_files where archived_as like '.ingestd/archive/%'") == [4]


def test_where_finished_files_are_deleted_one_that_cannot_be_used_is_kept_with_its_reason(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write({**records(2), "broken.json": b'{"title": '})
    pipeline = make_pipeline(after="delete")
    run(pipeline, sorted(find_files(corpus.folder), key=lambda f: f.path))
    pipeline.close()
    kept = sorted(path.name for path in corpus.folder.rglob("*.json"))
    assert kept == ["broken.json", "broken.json.reason.json"]
    assert dict(corpus.rows("select path, archived_as from source_files")) == {
        "0.json": "", "1.json": "", "broken.json": ".ingestd/quarantine/broken.json",
    }  # fmt: skip


def test_moves_that_take_too_long_for_a_shutdown_are_made_at_the_next_start(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(4))
    pipeline = make_pipeline(workers=NeverMoving(), limits=PipelineLimits(last_moves_s=0.1))
    pipeline.submit(list(find_files(corpus.folder)))
    pipeline.step(10)
    pipeline.close()
    assert corpus.rows("select state, archived_as from source_files") == [("stored", None)] * 4
    make_pipeline().recover([str(corpus.folder)])
    assert list(find_files(corpus.folder)) == []
    assert corpus.rows("select count(*) from source_files where archived_as is null") == [0]


def test_what_another_process_has_taken_over_meanwhile_is_left_to_it(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(3))
    pipeline = make_pipeline()
    pipeline.submit(sorted(find_files(corpus.folder), key=lambda f: f.path))
    later = datetime.now(UTC) + timedelta(seconds=corpus.settings.database.lease_seconds + 1)
    other = Ledger(corpus.database, 60)
    taken = other.claim([f for f in find_files(corpus.folder) if f.path == b"1.json"], later)
    assert len(taken.claims) == 1
    pipeline.step(10)
    assert sorted(corpus.rows("select external_id from articles")) == ["0", "2"]
    assert corpus.rows("select state, lease_owner from source_files where path = '1.json'") == [
        ("claimed", other.owner)
    ]
    assert [f.path for f in find_files(corpus.folder)] == [b"1.json"]  # not moved either


def test_after_a_crash_between_commit_and_move_the_move_is_finished(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(3))
    corpus.ingest()  # stores, and leaves the files where they are
    pipeline = make_pipeline()
    pipeline.recover([str(corpus.folder)])
    assert list(find_files(corpus.folder)) == []
    assert corpus.rows("select count(*) from source_files where archived_as like '.ingestd/archive/%'") == [3]


def test_a_file_of_many_articles_is_stored_in_pieces_and_once(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    many = [
        {"id": str(i), "outlet": "Post", "title": f"Number {i}", "text": f"Text of number {i}."} for i in range(700)
    ]
    corpus.write({"many.json": many})
    # Fails in the middle of the file: what was committed before is not stored again.
    pipeline = make_pipeline(FlakyDatabase(corpus.url, {4, 5}))
    run(pipeline, list(find_files(corpus.folder)))
    assert corpus.rows("select count(*), count(distinct external_id) from articles") == [(700, 700)]
    assert corpus.rows("select state, n_articles, article_id from source_files") == [("stored", 700, 1)]
    assert (pipeline.stats.articles, pipeline.stats.repeats) == (700, 0)


def test_times_out_of_all_reason_are_no_fault_of_a_file(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(3))
    os.utime(corpus.folder / "0.json", ns=(0, -(10**18)))
    os.utime(corpus.folder / "1.json", ns=(0, 330 * 365 * 86_400 * 10**9))  # about the year 2300
    run(make_pipeline(), list(find_files(corpus.folder)))
    assert corpus.rows("select count(*) from source_files where state = 'stored' and archived_as is not null") == [3]
    assert list(find_files(corpus.folder)) == []


def test_a_fault_in_claiming_concerns_one_file_and_is_loud(
    corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]
) -> None:
    corpus.write(records(3))
    faulty = SeenFile("no text: \udcff", b"a.json", 1, 1, 1, 1, stat.S_IFREG)
    pipeline = make_pipeline()
    with structlog.testing.capture_logs() as said:
        assert pipeline.submit([*find_files(corpus.folder), faulty]) == [faulty]
        while pipeline.depth:
            pipeline.step(10)
    assert corpus.rows("select count(*) from articles") == [3]
    assert [line["path"] for line in said if line["event"] == "file.not_claimed"] == ["a.json"]


def test_a_pipe_is_named_once_and_never_touched(corpus: Corpus, make_pipeline: Callable[..., IngestPipeline]) -> None:
    pipe = corpus.folder / "pipe.json"
    os.mkfifo(pipe)
    for moment in range(3):
        os.utime(pipe, (moment, moment))  # as by somebody at work with the pipe
        pipeline = make_pipeline()
        pipeline.recover([str(corpus.folder)])
        run(pipeline, list(find_files(corpus.folder)))
    assert corpus.rows("select state, reason, archived_as from source_files") == [("quarantined", "not_regular", None)]
    assert [path.name for path in corpus.folder.iterdir()] == ["pipe.json"]
