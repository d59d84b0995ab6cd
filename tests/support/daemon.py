"""The daemon as users start it, and a folder to drop files into."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Daemon:
    """A process at work on a folder with a SQLite database."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.inbox, self.path, self.log = folder / "inbox", folder / "daemon.db", folder / "daemon.log"
        self.inbox.mkdir(exist_ok=True)
        self.url = f"sqlite:///{self.path}"
        self.environment = (
            os.environ
            | {"INGESTD_INGEST__WORKERS": "1", "INGESTD_WATCH__RESCAN_SECONDS": "1", "PYTHONFAULTHANDLER": "1"}
            | environment
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.program = [sys.executable, "-m", "ingestd"]

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as said:
            start = said.tell()
            command = [*self.program, "run", "--watch", str(self.inbox), "--db", self.url, "--log-format", "json"]
            # A session of its own, so that a kill reaches the worker processes as well.
            self.process = subprocess.Popen(command, stderr=said, env=self.environment, start_new_session=True)
        if wait:
            self.wait_until(lambda: b"daemon.started" in self.log.read_bytes()[start:], 30)

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # writes to the log what every thread is at
            code = self.process.wait()
        assert code == 0 or number == signal.SIGKILL, self.log.read_text()[-9000:]
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def wait_until(self, true: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process is None or self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.02)

    def rows(self, query: str, *values: Any) -> list[Any]:
        database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30)
        try:
            return [row if len(row) > 1 else row[0] for row in database.execute(query, values)]
        finally:
            database.close()

    def count_finished(self) -> int:
        if not self.path.exists():
            return 0
        try:
            return int(self.rows("select count(*) from source_files where finished_at is not null")[0])
        except sqlite3.OperationalError:  # the tables are just being made
            return 0

    def drop(self, name: str, content: bytes) -> None:
        """Put a file there as a careful writer does."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        partial.write_bytes(content)
        partial.rename(path)

    def list_remaining(self) -> list[str]:
        """Names that are still in the folder."""
        return sorted(
            str(p.relative_to(self.inbox)) for p in self.inbox.rglob("*") if p.is_file() and ".ingestd" not in p.parts
        )
