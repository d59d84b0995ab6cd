"""Copies SQLite's write-ahead log into the database file beside the work, not between two commits."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import structlog

log = structlog.get_logger()

# A page that changes often is copied once for many changes, and readers wait during a copy. With a million articles
# stored, one more article costs a tenth less than with 4 MB.
MIN_CHECKPOINT_BYTES = 64 << 20


class WalCheckpointer:
    """Starts a checkpoint whenever the log has grown enough and no checkpoint is running."""

    def __init__(self, database: Path, min_bytes: int = MIN_CHECKPOINT_BYTES) -> None:
        """Start no checkpoint yet; the log is copied from `min_bytes` on."""
        self._database, self._wal = database, Path(f"{database}-wal")
        self._min_bytes = min_bytes
        self._executor = ThreadPoolExecutor(1, "checkpoint")
        self._running: Future[None] | None = None

    def start_if_due(self) -> None:
        """Start a checkpoint if the log is large; call after each commit."""
        if self._running is not None and not self._running.done():
            return
        if self._wal.exists() and self._wal.stat().st_size >= self._min_bytes:
            self._running = self._executor.submit(self._checkpoint)

    def close(self) -> None:
        """Wait for the running checkpoint."""
        self._executor.shutdown()

    def _checkpoint(self) -> None:
        try:
            with closing(sqlite3.connect(self._database)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # blocks no process and waits for no process
        except sqlite3.Error as error:
            log.debug("database.no_checkpoint", error=str(error))  # a later commit makes the copy
