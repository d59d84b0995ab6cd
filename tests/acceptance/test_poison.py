"""Files that a reader never finishes, dies of, or has no memory for: each is kept with its reason, all others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.poison import make_environment

psutil = pytest.importorskip("psutil")

LIMIT_S = 120  # of a wait; generous, for a machine with much else to do


def article(number: int) -> bytes:
    return json.dumps(
        {"id": str(number), "outlet": "Post", "title": f"Number {number}", "text": f"On {number}."}
    ).encode()


def count_stored(daemon: Daemon) -> int:
    return int(daemon.rows("select count(*) from articles where outlet = 'Post'")[0])


def list_states(daemon: Daemon) -> list[tuple[str, str, str]]:
    query = "select path, state, reason from source_files where path like '%.acts' order by path"
    return daemon.rows(query)


def find_readers(daemon: Daemon) -> list[int]:
    assert daemon.process is not None
    processes = psutil.Process(daemon.process.pid).children(recursive=True)
    return [process.pid for process in processes if process.ppid() != daemon.process.pid]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    started: list[Daemon] = []

    def make(**limits: str) -> Daemon:
        daemon = Daemon(tmp_path, **make_environment(tmp_path, **limits))
        started.append(daemon)
        return daemon

    yield make
    for daemon in started:
        daemon.close()


def test_good_files_are_stored_while_a_poisonous_one_is_still_read(start) -> None:  # type: ignore[no-untyped-def]
    daemon = start(INGESTD_INGEST__READ_SECONDS="8")
    for number in range(25):
        daemon.drop(f"{number}.json", article(number))
    daemon.drop("a.acts", b"sleep One")
    for number in range(25, 50):
        daemon.drop(f"{number}.json", article(number))
    daemon.start()
    daemon.wait_until(lambda: count_stored(daemon) == 50, LIMIT_S)
    assert [state for _, state, _ in list_states(daemon)] == ["claimed"]
    daemon.wait_until(lambda: list_states(daemon) == [("a.acts", "quarantined", "timeout")], LIMIT_S)
    assert daemon.stop() == 0
    assert daemon.rows("select attempts from source_files where path = 'a.acts'") == [1]


def test_each_of_many_poisonous_files_ends_with_its_reason(start) -> None:  # type: ignore[no-untyped-def]
    acts = {"a": "sleep", "b": "loop", "c": "exit", "d": "leave", "e": "eat", "f": "stop", "g": "sleep", "h": "exit"}
    daemon = start(INGESTD_INGEST__READ_SECONDS="4")
    daemon.start()
    for number in range(20):
        daemon.drop(f"{number}.json", article(number))
        if number % 2 == 0 and acts:
            name, act = acts.popitem()
            daemon.drop(f"{name}.acts", f"{act} Title {name}".encode())
    daemon.wait_until(lambda: daemon.count_finished() == 28, 2 * LIMIT_S)
    assert count_stored(daemon) == 20
    assert [(path[0], reason) for path, _, reason in list_states(daemon)] == [
        ("a", "timeout"), ("b", "timeout"), ("c", "internal"), ("d", "internal"), ("e", "memory"), ("f", "internal"),
        ("g", "timeout"), ("h", "internal"),
    ]  # fmt: skip
    assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_reader_that_is_killed_or_stopped_costs_no_file(start, number: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    daemon = start()
    daemon.start()
    for pid in find_readers(daemon)[:1]:  # idle
        os.kill(pid, number)
    for i in range(400):
        daemon.drop(f"{i}.json", article(i))
    daemon.wait_until(lambda: count_stored(daemon) > 0, LIMIT_S)
    for pid in find_readers(daemon)[:1]:  # perhaps at work
        os.kill(pid, number)
    daemon.wait_until(lambda: count_stored(daemon) == 400, LIMIT_S)
    assert daemon.rows("select distinct state, attempts from source_files") == [("stored", 1)]
    assert daemon.stop() == 0


def test_a_poisonous_record_of_a_large_file_is_rejected_and_the_others_are_stored(start) -> None:  # type: ignore[no-untyped-def]
    daemon = start(INGESTD_INGEST__READ_SECONDS="4")
    daemon.start()
    lines = [f"good Title {n}" for n in range(400)]
    lines[70], lines[200], lines[300] = "sleep A", "exit B", "eat C"
    daemon.drop("a.acts", "\n".join(lines).encode())
    more = [f"good Other {n}" for n in range(400)]
    daemon.drop("b.acts", "\n".join([*more[:300], "never cut", *more[300:]]).encode())
    for number in range(20):
        daemon.drop(f"{number}.json", article(number))
    daemon.wait_until(lambda: count_stored(daemon) == 20, LIMIT_S)
    daemon.wait_until(lambda: daemon.count_finished() == 22, LIMIT_S)
    assert list_states(daemon) == [("a.acts", "stored", None), ("b.acts", "quarantined", "timeout")]
    rejected = daemon.rows("select record_no, reason from rejected_records order by record_no")
    assert rejected == [(71, "timeout"), (201, "internal"), (301, "memory")]
    # Of the second file, four whole pieces of 64 records.
    assert daemon.rows("select n_articles from source_files where path like '%.acts' order by path") == [397, 256]
    assert daemon.stop() == 0


def test_a_poisonous_file_does_not_come_back_after_the_daemon_was_killed(start) -> None:  # type: ignore[no-untyped-def]
    daemon = start()
    daemon.drop("a.acts", b"sleep One")
    daemon.start()
    daemon.wait_until(lambda: bool(list_states(daemon)), LIMIT_S)
    daemon.kill()
    daemon.start()
    daemon.drop("1.json", article(1))
    daemon.wait_until(lambda: count_stored(daemon) == 1, LIMIT_S)
    daemon.wait_until(lambda: list_states(daemon) == [("a.acts", "quarantined", "timeout")], LIMIT_S)
    assert daemon.stop() == 0


def test_a_command_ends_in_spite_of_a_poisonous_file(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "a.acts").write_text("sleep One")
    (folder / "b.acts").write_text("good Two")
    environment = os.environ | make_environment(tmp_path)
    began_at = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ingestd", "ingest", "inbox"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=2 * LIMIT_S, check=False,
    )  # fmt: skip
    assert "1 new article" in done.stdout
    assert "timeout" in done.stdout + done.stderr
    assert time.monotonic() - began_at < LIMIT_S
