"""The file of SQLite and the lock beside it: for the own user alone, and watched while in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestd.errors import CannotStartError, DatabaseGoneError
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.store.database import Database
from tests.conftest import Corpus
from tests.support.daemon import Daemon


def delete(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)


def replace(path: Path) -> None:
    shutil.copy(path, f"{path}.copy")
    Path(f"{path}.copy").replace(path)


def move_away(path: Path) -> None:
    path.rename(f"{path}.away")


LOSSES = [delete, replace, move_away]


@pytest.mark.parametrize("lose", LOSSES)
def test_nothing_is_committed_into_a_file_that_is_gone(lose: Callable[[Path], None], corpus: Corpus) -> None:
    path = Path(corpus.url.removeprefix("sqlite:///"))
    lose_now = False
    with pytest.raises(DatabaseGoneError, match="deleted or replaced"):
        for lose_now in (False, True):
            with corpus.database.begin_write() as connection:
                connection.exec_driver_sql("update corpus_state set batch = batch + 1")
                if lose_now:
                    lose(path)
    assert lose_now


@pytest.mark.parametrize("lose", LOSSES)
def test_nothing_is_moved_once_the_file_is_gone(lose: Callable[[Path], None], corpus: Corpus) -> None:
    corpus.write({"a.json": {"title": "a", "text": "b"}})
    corpus.ingest()  # stored, and not moved
    pipeline = IngestPipeline(corpus.settings, corpus.database, after="archive")
    (file,) = find_files(corpus.folder)
    completed = pipeline._ledger.claim([file], file_time()).completed
    lose(Path(corpus.url.removeprefix("sqlite:///")))
    with pytest.raises(DatabaseGoneError):
        pipeline._mover.start_moves(completed)
    assert (corpus.folder / "a.json").exists()


def file_time() -> object:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def record(number: int) -> bytes:
    return b'{"id": "%d", "title": "Number %d", "text": "Text of number %d."}' % (number, number, number)


def test_a_daemon_whose_database_is_deleted_ends_and_archives_nothing_more(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("1.json", record(1))
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
    delete(daemon.path)
    daemon.drop("2.json", record(2))
    assert daemon.process is not None
    assert daemon.process.wait(30) == 1
    assert "was deleted or replaced while in use" in daemon.log.read_text()
    assert daemon.list_remaining() == ["2.json"]
    assert not daemon.path.exists()


def test_a_deleted_lock_lets_no_second_daemon_in(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    lock = Path(f"{daemon.path}.lock")
    lock.unlink()
    daemon.wait_until(lock.exists, 15)
    command = [sys.executable, "-m", "ingestd", "run", "--watch", str(daemon.inbox), "--db", daemon.url]
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert f"another ingestd (process {daemon.process.pid})" in second.stderr  # type: ignore[union-attr]
    assert daemon.stop() == 0


def test_a_process_whose_lock_another_one_has_ends(tmp_path: Path) -> None:
    first, second = (Database(f"sqlite:///{tmp_path / 'a.db'}") for _ in range(2))
    first.prepare()
    first.lock()
    (tmp_path / "a.db.lock").unlink()
    second.lock()
    with pytest.raises(DatabaseGoneError, match="another ingestd may write"), first.begin_write():
        pass
    second.close()
    with first.begin_write():  # the other one has ended
        pass
    with pytest.raises(CannotStartError):
        second.lock()
    first.close()


def test_database_and_lock_are_for_the_own_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        database = Database(f"sqlite:///{tmp_path / 'a.db'}")
        database.prepare()
        database.lock()
        assert {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == dict.fromkeys(
            ["a.db", "a.db-wal", "a.db-shm", "a.db.lock"], 0o600
        )
        database.close()
    finally:
        os.umask(before)


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content")
    (tmp_path / "a.db.lock").symlink_to("precious")
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(CannotStartError, match=r"a\.db\.lock"):
        database.lock()
    assert (tmp_path / "precious").read_text() == "content"
