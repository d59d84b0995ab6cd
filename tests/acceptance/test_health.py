"""`ingestd health` knows a daemon at work from one that hangs, was stopped, or waits."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestd.inbox.heartbeat import LONGEST_STEP_S, SIGN_EVERY_S, Heartbeat, read_sign
from tests.conftest import ROOT
from tests.support.daemon import Daemon


def ask(inbox: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "ingestd", "health", "--watch", str(inbox), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def find_sign(inbox: Path) -> Path:
    (sign,) = (inbox / ".ingestd").glob("alive-*")
    return sign


def test_only_a_daemon_whose_loop_comes_round_is_healthy(daemon: Daemon) -> None:
    assert ask(daemon.inbox) == (1, f"{daemon.inbox}: no daemon of this host is at work\n")
    daemon.start()
    code, said = ask(daemon.inbox, "--json")
    assert (code, json.loads(said)[0]["is_fresh"]) == (0, True)
    sign = find_sign(daemon.inbox)
    before = sign.stat().st_mtime
    daemon.wait_until(lambda: sign.stat().st_mtime > before, 3 * SIGN_EVERY_S)
    assert daemon.process
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    code, said = ask(daemon.inbox, "--within", "0.5")
    assert (code, "hangs or is dead" in said) == (1, True)
    daemon.process.send_signal(signal.SIGCONT)
    daemon.stop()
    assert ask(daemon.inbox)[0] == 1
    assert not sign.exists()


@pytest.mark.long  # SQLite itself waits for half a minute first
def test_a_daemon_that_waits_for_its_database_is_alive(daemon: Daemon) -> None:
    """Another program holds the database for longer than signs are apart; the daemon tries again, for ever."""
    daemon.start()
    sign = find_sign(daemon.inbox)
    with closing(sqlite3.connect(daemon.path, timeout=30, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        daemon.drop("a.json", b'{"id": "1", "outlet": "Post", "title": "One", "text": "Text of number one."}')
        daemon.wait_until(lambda: b"database.away" in daemon.log.read_bytes(), 90)
        before = time.time()
        daemon.wait_until(lambda: sign.stat().st_mtime > before, 90)
        assert daemon.count_finished() == 0
    daemon.wait_until(lambda: daemon.count_finished() == 1, 60)


def test_a_sign_touches_nothing_that_is_not_ours(tmp_path: Path) -> None:
    heartbeat = Heartbeat([str(tmp_path)], every_s=0)
    heartbeat.beat()
    sign = find_sign(tmp_path)
    theirs = tmp_path / "theirs"
    theirs.write_text("as it was")
    os.utime(theirs, (0, 0))
    for plant in (sign.symlink_to, sign.hardlink_to):
        sign.unlink()
        plant(theirs)
        assert not read_sign(str(tmp_path), 60).is_fresh
        heartbeat.beat()
        assert read_sign(str(tmp_path), 60).is_fresh
        assert (theirs.read_text(), theirs.stat().st_mtime) == ("as it was", 0)
    os.utime(sign, (time.time() + 1000,) * 2)  # the clock was set back
    assert not read_sign(str(tmp_path), 60).is_fresh
    heartbeat.end()
    assert read_sign(str(tmp_path), 60).age_s is None


def test_signs_are_not_written_more_often_than_every_few_seconds(tmp_path: Path) -> None:
    heartbeat = Heartbeat([str(tmp_path)])
    heartbeat.beat()
    find_sign(tmp_path).unlink()
    heartbeat.beat()
    assert read_sign(str(tmp_path), 60).age_s is None
    assert SIGN_EVERY_S >= 2


def test_containers_ask_for_the_health_of_the_daemon() -> None:
    check: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["ingestd"][
        "healthcheck"
    ]
    image = (ROOT / "Dockerfile").read_text()
    assert check["test"] == ["CMD", *yaml.safe_load(image.split("HEALTHCHECK")[1].split(" CMD ")[1].splitlines()[0])]
    assert check["test"][:3] == ["CMD", "ingestd", "health"]
    for text in ((ROOT / "docs/commands.md").read_text(), (ROOT / "docs/running.md").read_text()):
        assert f"{LONGEST_STEP_S:.0f}" in text.partition("ingestd health")[2]
