"""The end of a daemon: by signals to all its processes, at any time, and not by a fault of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.daemon import Daemon


def record(number: int, words: int = 8) -> bytes:
    text = " ".join(f"word{number}x{i}" for i in range(words))
    return json.dumps({"id": str(number), "outlet": "Post", "title": f"Number {number}", "text": text}).encode()


def handles_signals(process: int) -> bool:
    """Whether a process has a handler for SIGTERM, which is made last; Python itself has one for SIGINT."""
    (caught,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_under_load_ends_all_in_time_and_leaves_no_lease(
    daemon: Daemon, number: int
) -> None:
    daemon.environment["INGESTD_INGEST__WORKERS"] = "2"
    daemon.environment["INGESTD_INGEST__BATCH_FILES"] = "50"
    for i in range(1500):
        (daemon.inbox / f"{i}.json").write_bytes(record(i, 600))
    daemon.start()
    daemon.wait_until(lambda: daemon.count_finished() > 100, 30)
    assert daemon.process is not None
    began = time.monotonic()
    os.killpg(daemon.process.pid, number)
    assert daemon.process.wait(timeout=20) == 0
    assert time.monotonic() - began < 10
    assert daemon.count_finished() < 1500  # there was work in flight
    assert daemon.rows("select count(*) from source_files where state = 'claimed' or lease_owner is not null") == [0]
    said = daemon.log.read_text()
    assert "Traceback" not in said
    assert "worker.died" not in said
    assert "internal" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_without_a_word(daemon: Daemon, number: int) -> None:
    daemon.environment.pop("PYTHONFAULTHANDLER")
    for after_s in (0.0, 0.2, 0.5, 1.0):
        daemon.start(wait=False)
        assert daemon.process is not None
        while not handles_signals(daemon.process.pid):  # the interpreter itself is just starting
            time.sleep(0.005)
        time.sleep(after_s)
        os.killpg(daemon.process.pid, number)
        assert daemon.process.wait(timeout=20) in (0, 130), after_s
    assert "Traceback" not in daemon.log.read_text()


def test_a_command_that_is_not_the_daemon_ends_by_signals_as_commands_do(tmp_path: Path) -> None:
    for i in range(300):
        (tmp_path / f"{i}.json").write_bytes(record(i, 600))
    command = [sys.executable, "-m", "ingestd", "ingest", str(tmp_path), "--db", f"sqlite:///{tmp_path}/x.db"]
    environment = os.environ | {"INGESTD_INGEST__WORKERS": "0"}
    for number, codes in ((signal.SIGTERM, {-signal.SIGTERM}), (signal.SIGINT, {130})):
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=tmp_path) as process:
            assert process.stderr is not None
            while b"file.ingested" not in process.stderr.readline():
                pass
            process.send_signal(number)
            said = process.stderr.read()
        assert process.returncode in codes, said[-2000:]
        assert b"Traceback" not in said


@pytest.mark.parametrize(
    "fault", ["ingestd.pipeline.mover:FileMover.record_finished:3", "ingestd.inbox.listener:Listener.check:2"]
)
def test_a_fault_of_the_loop_is_loud_and_ends_nothing(daemon: Daemon, fault: str) -> None:
    daemon.program = [sys.executable, "-m", "tests.support.sabotage"]
    daemon.environment["SABOTAGE"] = f"fail:{fault}"
    for i in range(20):
        daemon.drop(f"{i}.json", record(i))
    daemon.start()
    daemon.wait_until(lambda: b"daemon.failed" in daemon.log.read_bytes(), 30)
    for i in range(20, 40):
        daemon.drop(f"{i}.json", record(i))
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
    assert daemon.stop() == 0
    assert daemon.rows("select count(*), count(distinct external_id) from articles") == [(40, 40)]
    assert daemon.rows("select count(*) from source_files where state != 'stored'") == [0]
