"""`retry` at every moment: the row says where the file is, and an interrupted way back is finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from ingestd.admin.fsck import find_problems
from ingestd.archive.moves import Move, move_files
from ingestd.inbox.scan import find_files
from ingestd.pipeline.one_shot import requeue_files
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.store.requeue import requeue
from ingestd.workers.pool import Workers
from tests.conftest import Corpus

QUARANTINE = ".ingestd/quarantine/"


class LateMoving(Workers):
    """Files are moved when the test says so."""

    def __init__(self) -> None:
        super().__init__(0)
        self.asked: list[tuple[Sequence[Move], Future[list[str | OSError | None]]]] = []

    def move_files(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        future: Future[list[str | OSError | None]] = Future()
        self.asked.append((moves, future))
        return future

    def move_now(self) -> None:
        for moves, future in self.asked:
            future.set_result(move_files(moves))
        self.asked.clear()


def work(pipeline: IngestPipeline, corpus: Corpus) -> None:
    """Take up all that is there, as the daemon does: due files of the ledger, then the folder."""
    pipeline.find_retryable([str(corpus.folder)])
    pipeline.submit(list(find_files(corpus.folder)))
    while pipeline.depth:
        pipeline.step(10)
    pipeline.step(0)


@pytest.fixture
def pipeline(corpus: Corpus) -> Iterator[IngestPipeline]:
    made = IngestPipeline(corpus.settings, corpus.database, after="archive")
    yield made
    made.close()


@pytest.fixture
def quarantined(corpus: Corpus, pipeline: IngestPipeline) -> Corpus:
    """Three files in quarantine."""
    corpus.write({f"{name}.json": f'{{"{name}' for name in "abc"})
    work(pipeline, corpus)
    assert corpus.rows("select state, archived_as from source_files order by id") == places("quarantined", "abc")
    return corpus


def places(state: str, names: str) -> list[tuple[str, str | None]]:
    return [(state, f"{QUARANTINE}{name}.json") for name in names]


def list_problems(corpus: Corpus) -> list[tuple[str, str]]:
    with corpus.database.begin_read() as connection:
        return [(problem.kind, problem.what) for problem in find_problems(connection, hashes=False)]


def defer(corpus: Corpus) -> None:
    """What a `retry` has done that is killed after the first of its steps."""
    with corpus.database.begin_write() as connection:
        requeue(connection, datetime.now(UTC), None, [])


def is_in_quarantine(corpus: Corpus, name: str) -> bool:
    return (corpus.folder / QUARANTINE / name).exists()


def test_the_row_keeps_the_place_until_the_file_is_back(quarantined: Corpus) -> None:
    defer(quarantined)
    assert sorted(quarantined.rows("select state, archived_as from source_files")) == places("deferred", "abc")
    assert list_problems(quarantined) == [("file_stranded", f"{name}.json") for name in "abc"]
    assert requeue_files(quarantined.database, [], None) == ([f"{name}.json" for name in "abc"], [])
    assert quarantined.rows("select distinct state, archived_as from source_files") == [("deferred", None)]
    assert len(list(find_files(quarantined.folder))) == 3
    assert list_problems(quarantined) == []


def test_a_running_daemon_and_the_next_start_finish_what_a_killed_retry_began(
    quarantined: Corpus, pipeline: IngestPipeline
) -> None:
    for finish in (pipeline.find_retryable, pipeline.recover):
        defer(quarantined)
        (quarantined.folder / "a.json").hardlink_to(quarantined.folder / QUARANTINE / "a.json")  # killed between links
        (quarantined.folder / QUARANTINE / "b.json").rename(quarantined.folder / "b.json")  # killed before the record
        finish([str(quarantined.folder)])
        assert quarantined.rows("select distinct state, archived_as from source_files") == [("deferred", None)]
        assert sorted(f.path for f in find_files(quarantined.folder)) == [b"a.json", b"b.json", b"c.json"]
        (quarantined.folder / QUARANTINE / "b.json.reason.json").unlink(missing_ok=True)
        work(pipeline, quarantined)
        assert sorted(quarantined.rows("select state, archived_as from source_files")) == places("quarantined", "abc")
        assert list_problems(quarantined) == []


def test_what_an_earlier_program_left_in_quarantine_is_found_by_its_name_and_stamp(
    quarantined: Corpus, pipeline: IngestPipeline
) -> None:
    defer(quarantined)
    with quarantined.database.begin_write() as connection:
        connection.exec_driver_sql("update source_files set archived_as = null, reason = null")
    assert [kind for kind, _ in list_problems(quarantined)].count("file_stranded") == 3
    pipeline.find_retryable([str(quarantined.folder)])
    assert len(list(find_files(quarantined.folder))) == 3


def test_a_retry_while_the_file_is_on_its_way_into_quarantine_brings_it_back(corpus: Corpus) -> None:
    workers = LateMoving()
    pipeline = IngestPipeline(corpus.settings, corpus.database, after="archive", workers=workers)
    corpus.write({"a.json": "{"})
    work(pipeline, corpus)
    assert requeue_files(corpus.database, [], None) == (["a.json"], [])
    work(pipeline, corpus)  # the file is still there, and on the way out: no reader gets it
    assert corpus.rows("select state, archived_as from source_files") == [("deferred", None)]
    workers.move_now()
    pipeline.step(0)
    assert corpus.rows("select state, archived_as from source_files") == places("deferred", "a")
    corpus.write({QUARANTINE + "a.json": {"title": "Mended", "text": "The text of a file that was mended."}})
    work(pipeline, corpus)
    workers.move_now()
    pipeline.step(0)
    assert corpus.rows("select state from source_files") == ["stored"]
    assert corpus.rows("select title from articles") == ["Mended"]
    assert not is_in_quarantine(corpus, "a.json")
    pipeline.close()


def test_a_file_that_vanished_from_its_reader_into_quarantine_comes_back(
    quarantined: Corpus, pipeline: IngestPipeline
) -> None:
    with quarantined.database.begin_write() as connection:
        connection.exec_driver_sql("update source_files set state = 'vanished' where path = 'a.json'")
    assert list_problems(quarantined) == [("file_stranded", "a.json")]
    pipeline.recover([str(quarantined.folder)])
    assert [f.path for f in find_files(quarantined.folder)] == [b"a.json"]


def test_a_newer_file_of_the_name_keeps_the_name_and_the_other_stays_in_quarantine(
    quarantined: Corpus, pipeline: IngestPipeline
) -> None:
    quarantined.write({"a.json": {"title": "Newer", "text": "Another file of the same name."}})
    put_back, problems = requeue_files(quarantined.database, ["a.json"], None)
    assert (put_back, problems) == ([], [("a.json", "not put back: another file has its name")])
    work(pipeline, quarantined)
    assert quarantined.rows("select state, reason, archived_as is null from source_files where path = 'a.json' order by id") == [
        ("quarantined", "parse", 0), ("stored", None, 0)
    ]  # fmt: skip
    assert list_problems(quarantined) == []


def test_of_two_versions_in_quarantine_the_newer_is_put_back_and_the_other_waits(
    quarantined: Corpus, pipeline: IngestPipeline
) -> None:
    quarantined.write({"a.json": '{"another'})
    work(pipeline, quarantined)
    put_back, problems = requeue_files(quarantined.database, ["a.json"], None)
    assert put_back == ["a.json"]
    assert problems == [("a.json", "not put back: another version of it is not finished")]
    assert (quarantined.folder / "a.json").read_text() == '{"another'
    assert is_in_quarantine(quarantined, "a.json")


def test_a_deferred_file_that_is_nowhere_is_recorded_as_vanished(quarantined: Corpus, pipeline: IngestPipeline) -> None:
    defer(quarantined)
    (quarantined.folder / QUARANTINE / "a.json").unlink()
    assert ("file_missing", "a.json") in list_problems(quarantined)
    pipeline.find_retryable([str(quarantined.folder)])
    assert quarantined.rows("select path, archived_as from source_files where state = 'vanished'") == [("a.json", None)]
