"""
The file of a SQLite database, and the lock file beside it: made for the own user alone, and watched.

A file that is deleted or replaced goes on taking commits without a word, and everything committed is lost. So the names
are compared with the files in use before each commit and each batch of moves.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import structlog

from ingestd.errors import CannotStartError, DatabaseGoneError

log = structlog.get_logger()

_OWN_MODE = 0o600  # texts and file names are for the user of the program alone


class SqliteFile:
    """The database file of a process, and the lock file once the process decides."""

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self.path, self._lock_path = path, Path(f"{path}.lock")
        self._identity: tuple[int, int] | None = None  # device and inode of the file in use
        self._lock_descriptor: int | None = None

    def create(self) -> None:
        """Create an empty file for the own user alone, unless there is a file. Called before each connection."""
        # An existing file is never opened here: to close any descriptor of a file gives up all POSIX locks on the
        # file, those of SQLite as well.
        with suppress(OSError):  # SQLite gives the reason for a file that cannot be made
            if not os.path.lexists(self.path):
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(self.path, flags, _OWN_MODE))

    def remember(self) -> None:
        """Note the file in use; the file of the first connection counts. Called after each connection."""
        if self._identity is None:
            self._identity = _identify(self.path)

    def check(self) -> None:
        """
        Compare the names with the files in use. A lock file that was deleted is made and locked again.

        Raises:
            DatabaseGoneError: the database was deleted or replaced, or another process has the lock.
        """
        if self._identity is not None and _identify(self.path) != self._identity:
            raise DatabaseGoneError(
                f"the database file {self.path} was deleted or replaced while in use: nothing more is stored or moved. "
                "Put the file back, or restore a backup, and start again; "
                "`ingestd fsck` then names archived files that are not in the database"
            )
        if self._lock_descriptor is not None and _identify(self._lock_path) != _identify(self._lock_descriptor):
            self._lock_again(self._lock_descriptor)

    def lock(self) -> None:
        """
        Admit no other deciding process until `close`.

        Raises:
            CannotStartError: another process has the lock, or the file cannot be made.
        """
        try:
            self._lock_descriptor = self._open_lock()
        except BlockingIOError as error:
            raise CannotStartError(
                f"another ingestd (process {self._read_holder()}) is writing to {self.path}: "
                "drop the files into its folder instead, or stop it first"
            ) from error
        except OSError as error:
            raise CannotStartError(f"lock file {self._lock_path}: {error.strerror}") from error

    def close(self) -> None:
        """Release the lock."""
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    def _open_lock(self) -> int:
        """Open and lock the lock file; repeat if the name means another file afterwards."""
        while True:
            descriptor = os.open(
                self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, _OWN_MODE
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise
            if _identify(self._lock_path) == _identify(descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
            os.close(descriptor)

    def _lock_again(self, lost: int) -> None:
        try:
            self._lock_descriptor = self._open_lock()
        except OSError as error:
            raise DatabaseGoneError(
                f"the lock file {self._lock_path} was deleted or replaced, and cannot be locked again "
                f"({error.strerror}; process {self._read_holder()}): another ingestd may write to {self.path}"
            ) from error
        os.close(lost)
        log.warning("database.locked_again", path=str(self._lock_path), hint="the lock file had been deleted")

    def _read_holder(self) -> str:
        try:
            descriptor = os.open(self._lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return "unknown"
        try:
            return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        finally:
            os.close(descriptor)


def _identify(file: Path | int) -> tuple[int, int] | None:
    """Return device and inode of a name or descriptor; None: there is no such file."""
    try:
        status = os.stat(file)  # noqa: PTH116 - of a descriptor as well
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
