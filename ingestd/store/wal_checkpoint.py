"""SQLite's log is copied into the database beside the work, not between one commit and the next."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import structlog

log = structlog.get_logger()

# Pages that change again and again are copied once for all of that; and who reads the database waits while it is copied
# into. With a million articles stored, one that comes in costs a tenth less than with 4 MB.
_WORTH_IT_BYTES = 64 << 20


class Checkpoints:
    """Begins one whenever the log has grown enough and none is under way."""

    def __init__(self, database: Path) -> None:
        """Start nothing yet."""
        self._database, self._wal = database, Path(f"{database}-wal")
        self._beside = ThreadPoolExecutor(1, "checkpoint")
        self._under_way: Future[None] | None = None

    def after_commit(self) -> None:
        """Copy what has been committed, unless it is little."""
        if self._under_way is not None and not self._under_way.done():
            return
        if self._wal.exists() and self._wal.stat().st_size >= _WORTH_IT_BYTES:
            self._under_way = self._beside.submit(self._copy)

    def close(self) -> None:
        """Wait for the one under way."""
        self._beside.shutdown()

    def _copy(self) -> None:
        try:
            with closing(sqlite3.connect(self._database)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # waits for nobody, and nobody for it
        except sqlite3.Error as error:
            log.debug("database.no_checkpoint", error=str(error))  # the one who commits does it, later
