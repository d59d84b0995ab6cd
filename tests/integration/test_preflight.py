"""What `check` says of the kernel's limits, before they show."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ingestd.admin.preflight import Finding, Grade, check_surroundings
from ingestd.inbox.open_writers import AskForWriters, Writers, ask_for_writers
from ingestd.settings import Settings


def of_folder(tmp_path: Path, **limits: int) -> Finding:
    """What is found of the events of a folder, with two more in it, where the kernel has these limits."""
    kernel, inbox = tmp_path / "kernel", tmp_path / "inbox"
    for folder in (kernel, inbox, inbox / "one", inbox / "two"):
        folder.mkdir()
    for name, limit in limits.items():
        (kernel / name).write_text(f"{limit}\n")
    settings = Settings.model_validate({"database": {"url": f"sqlite:///{tmp_path}/c.db"}})
    return list(check_surroundings(settings, [inbox], inotify=kernel))[-1]


def test_limits_that_suffice_are_fine(tmp_path: Path) -> None:
    found = of_folder(tmp_path, max_user_watches=10, max_queued_events=16_384)
    assert found.grade is Grade.OK


def test_more_folders_than_watches_are_named(tmp_path: Path) -> None:
    found = of_folder(tmp_path, max_user_watches=2, max_queued_events=16_384)
    assert found.grade is Grade.WARNING
    assert "fs.inotify.max_user_watches" in found.mend


def test_a_queue_that_forgets_events_of_a_burst_is_named(tmp_path: Path) -> None:
    found = of_folder(tmp_path, max_user_watches=10, max_queued_events=128)
    assert found.grade is Grade.WARNING
    assert "after 128" in found.what
    assert "fs.inotify.max_queued_events=16384" in found.mend


def test_a_system_without_inotify_is_named(tmp_path: Path) -> None:
    assert of_folder(tmp_path).grade is Grade.WARNING


def of_writers(tmp_path: Path, ask: AskForWriters) -> Finding:
    """What is found of the question about writers."""
    settings = Settings.model_validate({"database": {"url": f"sqlite:///{tmp_path}/c.db"}})
    (found,) = [
        f for f in check_surroundings(settings, [tmp_path], ask_for_writers=ask) if "open for writing" in f.what
    ]
    assert not list((tmp_path / ".ingestd").iterdir())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="leases are of Linux")
def test_a_folder_is_told_where_writers_are_recognised(tmp_path: Path) -> None:
    assert of_writers(tmp_path, ask_for_writers).grade is Grade.OK


@pytest.mark.parametrize("answer", list(Writers))
def test_a_folder_that_knows_nothing_of_writers_is_named_with_a_remedy(answer: Writers, tmp_path: Path) -> None:
    found = of_writers(tmp_path, lambda _descriptor: answer)
    assert found.grade is Grade.WARNING
    assert "done_suffix" in found.mend


def test_a_check_makes_no_database_and_says_whether_one_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, grade in (("new/c.db", Grade.OK), ("file/c.db", Grade.ERROR)):
        settings = Settings.model_validate({"database": {"url": f"sqlite:///{tmp_path}/{name}"}})
        found = next(check_surroundings(settings, []))
        assert found.grade is grade
        assert "no such file" in found.what
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_check_makes_no_tables_in_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "c.db").touch()
    settings = Settings.model_validate({"database": {"url": f"sqlite:///{tmp_path}/c.db"}})
    found = next(check_surroundings(settings, []))
    assert found.grade is Grade.OK
    assert "makes the tables" in found.what
    with closing(sqlite3.connect(tmp_path / "c.db")) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
