"""The daemon from outside: what it does with files, with signals, and with being killed."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.made_corpus import Made, articles


def record(number: int) -> bytes:
    return json.dumps(
        {"id": str(number), "outlet": "Post", "title": f"Number {number}", "text": f"Text of number {number}."}
    ).encode()


def as_json(a: Made) -> bytes:
    return json.dumps(
        {"id": a.id, "outlet": a.outlet, "title": a.title, "text": a.text, "date": a.published.isoformat()}
    ).encode()


def test_a_file_is_taken_in_however_it_lands(daemon: Daemon) -> None:
    (daemon.inbox / "before.json").write_bytes(record(1))
    daemon.start()
    (daemon.inbox / "in-place.json").write_bytes(record(2))
    daemon.drop("renamed.json", record(3))
    (daemon.inbox / "sub/deep").mkdir(parents=True)
    (daemon.inbox / "sub/deep/below.json").write_bytes(record(4))
    with (daemon.inbox / "slow.json").open("wb") as file:
        for byte in record(5):
            file.write(bytes([byte]))
            file.flush()
            time.sleep(0.02)
    daemon.drop("again.json", record(3))
    daemon.wait_until(lambda: daemon.count_finished() == 6, 30)
    assert sorted(daemon.rows("select external_id from articles")) == ["1", "2", "3", "4", "5"]
    assert daemon.rows("select state from source_files where path = 'again.json'") == ["duplicate"]
    daemon.wait_until(lambda: daemon.list_remaining() == [], 10)
    assert daemon.stop() == 0
    assert daemon.rows("select count(*) from source_files where archived_as is null") == [0]


def test_every_file_gets_one_line_that_says_everything(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("good.json", record(1))
    daemon.drop("bad.json", b'{"title": ')
    daemon.wait_until(lambda: daemon.count_finished() == 2, 30)
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    (good,) = [line for line in lines if line["event"] == "file.ingested"]
    (bad,) = [line for line in lines if line["event"] == "file.quarantined"]
    assert good["outcome"] == "stored"
    assert {
        "path",
        "file_id",
        "sha256",
        "article_id",
        "cluster_id",
        "relation",
        "elapsed_s",
        "timestamp",
    } <= good.keys()
    assert (bad["path"], bad["reason"]) == ("bad.json", "parse")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_asked_to_stop_it_finishes_what_is_in_flight(daemon: Daemon, number: int) -> None:
    for i in range(400):
        (daemon.inbox / f"{i}.json").write_bytes(record(i))
    daemon.start()
    daemon.wait_until(lambda: daemon.rows("select count(*) from source_files") != [0], 30)
    started = time.monotonic()
    assert daemon.stop(number) == 0
    assert time.monotonic() - started < 15
    assert daemon.rows("select count(*) from source_files where state = 'claimed'") == [0]
    daemon.start()
    daemon.wait_until(lambda: daemon.count_finished() == 400, 60)
    assert daemon.rows("select count(*), count(distinct external_id) from articles") == [(400, 400)]


def test_a_file_that_may_not_be_read_waits_and_is_charged_nothing(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    daemon.start()
    path = daemon.inbox / "closed.json"
    path.write_bytes(record(1))
    path.chmod(0)
    daemon.wait_until(lambda: daemon.rows("select state, attempts from source_files") == [("deferred", 0)], 30)
    path.chmod(0o600)
    daemon.wait_until(lambda: daemon.count_finished() == 1, 60)


def test_retry_takes_a_quarantined_file_up_again(daemon: Daemon, tmp_path: Path) -> None:
    import subprocess
    import sys

    daemon.environment["INGESTD_WATCH__RECHECK_SECONDS"] = "0"  # or a mended file would come back by itself
    daemon.start()
    daemon.drop("sub/broken.json", b'{"title": ')
    daemon.wait_until(lambda: daemon.count_finished() == 1, 30)
    daemon.wait_until(lambda: daemon.list_remaining() == [], 10)
    daemon.wait_until(lambda: daemon.rows("select archived_as from source_files") != [None], 10)
    moved = daemon.inbox / daemon.rows("select archived_as from source_files")[0]
    moved.write_bytes(record(1))  # mended in place
    command = [sys.executable, "-m", "ingestd", "--db", daemon.url, "retry", "sub/broken.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "1 files will be taken up again" in done.stdout
    daemon.wait_until(lambda: daemon.rows("select state from source_files") == ["stored"], 30)
    assert daemon.rows("select external_id from articles") == ["1"]


def test_a_database_that_is_locked_is_waited_for(daemon: Daemon) -> None:
    import sqlite3

    daemon.start()
    other = sqlite3.connect(daemon.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    daemon.drop("a.json", record(1))
    time.sleep(2)
    other.execute("ROLLBACK")
    other.close()
    daemon.wait_until(lambda: daemon.count_finished() == 1, 60)
    assert daemon.rows("select state, attempts from source_files") == [("stored", 1)]


def test_killed_at_random_progress_it_loses_nothing_and_doubles_nothing(daemon: Daemon, long: bool) -> None:
    """Rounds of files, each interrupted by kill -9 once some number of them is done; the next start goes on."""
    rounds, files = (500, 200) if long else (5, 50)
    daemon.environment["INGESTD_INGEST__BATCH_FILES"] = "4"  # many small transactions to be killed in or between
    daemon.environment["INGESTD_WINDOW__MAX_ARTICLES"] = "2000"  # what it takes to start is not what this is about
    rng = random.Random(11)
    made = articles(rounds * files, seed=5, words=80)
    wanted: set[str] = set()
    in_flight = 0
    for number in range(rounds):
        batch = [next(made) for _ in range(files)]
        wanted |= {a.id for a in batch}
        before = daemon.count_finished()
        live = rng.randrange(files // 2)  # so many are dropped while the daemon is at work
        for a in batch[live:]:
            daemon.drop(f"{number}/{a.id}.json", as_json(a))
        daemon.start(wait=False)
        for a in batch[:live]:
            daemon.drop(f"{number}/{a.id}.json", as_json(a))
        goal = before + rng.randrange(len(wanted) - before - 8)  # of all that lie there, so that few are left over
        daemon.wait_until(lambda at=goal: daemon.count_finished() >= at, 60)  # type: ignore[misc]
        time.sleep(rng.random() * 0.05)
        in_flight += daemon.count_finished() < len(wanted)
        daemon.kill()
    daemon.start()
    daemon.wait_until(lambda: daemon.list_remaining() == [], 300)
    assert daemon.stop() == 0
    stored = daemon.rows("select external_id from articles")
    lost, doubled = wanted - set(stored), len(stored) - len(set(stored))
    print(
        f"{rounds} rounds of {files} files, {in_flight} killed with work in flight: lost {len(lost)}, doubled {doubled}"
    )
    assert (lost, doubled) == (set(), 0)
    assert daemon.rows("select count(*) from source_files where state = 'claimed' or finished_at is null") == [0]
    assert daemon.rows("select count(*) from articles where id not in (select article_id from cluster_members)") == [0]
    archived = {p.stem for p in (daemon.inbox / ".ingestd/archive").rglob("*.json")}
    assert archived == wanted
    assert in_flight >= rounds * 0.8


def test_settings_are_read_anew_whole_or_not_at_all(daemon: Daemon, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[watch]\nignore = ['*.skip']\n")
    daemon.program += ["--config", str(config)]
    daemon.start()
    daemon.drop("a.skip", record(1))
    daemon.drop("a.json", record(2))
    daemon.wait_until(lambda: daemon.count_finished() == 1, 30)
    assert daemon.process

    config.write_text("[watch]\nignore = []\nquiet_seconds = -1\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_until(lambda: b"settings.refused" in daemon.log.read_bytes(), 30)
    daemon.drop("b.json", record(3))
    daemon.wait_until(lambda: daemon.count_finished() == 2, 30)
    assert daemon.rows("select path from source_files order by id") == ["a.json", "b.json"]

    config.write_text("[watch]\nignore = []\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_until(lambda: b"settings.read" in daemon.log.read_bytes(), 30)
    daemon.wait_until(lambda: daemon.count_finished() == 3, 30)
    assert daemon.stop() == 0
    assert sorted(daemon.rows("select path from source_files")) == ["a.json", "a.skip", "b.json"]


def test_the_service_manager_is_told_what_it_asks_for(daemon: Daemon, tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(address))
        end.settimeout(20)
        daemon.environment |= {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "400000"}
        daemon.start()
        assert end.recv(1000).startswith(b"READY=1\nSTATUS=watching")
        said = [end.recv(1000) for _ in range(3)]
        assert all(word.startswith(b"WATCHDOG=1") for word in said)
        assert daemon.process
        daemon.process.send_signal(signal.SIGHUP)
        assert said_until(end, b"RELOADING=1\nMONOTONIC_USEC=")
        assert said_until(end, b"READY=1")
        daemon.stop()
        assert said_until(end, b"STOPPING=1")


def said_until(end: socket.socket, word: bytes) -> bool:
    return any(end.recv(1000).startswith(word) for _ in range(100))


def test_a_large_file_does_not_delay_the_end(daemon: Daemon) -> None:
    daemon.drop("many.jsonl", b"\n".join(record(i) for i in range(20_000)))
    daemon.start()
    daemon.wait_until(lambda: daemon.rows("select count(*) from articles") != [0], 30)
    started = time.monotonic()
    daemon.stop()
    assert time.monotonic() - started < 10
    assert daemon.rows("select state from source_files") == ["deferred"]
    assert daemon.list_remaining() == ["many.jsonl"]


def test_a_slow_writer_and_one_that_appends_and_one_that_rewrites_leave_one_whole_article_each(daemon: Daemon) -> None:
    """What pauses for less than the settling time is seen whole; what was given up half-way does not hide the whole."""
    daemon.environment["INGESTD_WATCH__QUIET_SECONDS"] = "2"
    daemon.start()
    text = " ".join(f"word{n}" for n in range(400))
    whole = {name: f"Headline of {name}\n{text} {name}." for name in ("slow.txt", "appended.txt", "killed.txt")}
    with (daemon.inbox / "slow.txt").open("w") as slow:
        for at in range(0, len(whole["slow.txt"]), 200):  # about 1 KB a second
            slow.write(whole["slow.txt"][at : at + 200])
            slow.flush()
            time.sleep(0.1)
    for at in range(0, len(whole["appended.txt"]), 1500):
        with (daemon.inbox / "appended.txt").open("a") as appended:
            appended.write(whole["appended.txt"][at : at + 1500])
        time.sleep(0.4)
    (daemon.inbox / "killed.txt").write_text(whole["killed.txt"][:900])
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)  # the half of it is taken for all there is
    (daemon.inbox / "killed.txt").write_text(whole["killed.txt"])
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
    daemon.stop()
    texts = daemon.rows("select text from articles") + daemon.rows("select text from article_revisions")
    for name, content in whole.items():
        assert texts.count(content.partition("\n")[2]) == 1, name
    assert daemon.rows("select n_articles from source_files where path in ('slow.txt', 'appended.txt')") == [1, 1]
