"""
Finished files that somebody wrote on: noticed, and put back into the folder as a new version.

The second net below the quiet time and the question about writers: a writer may open a file again, or hold a file where
nobody can tell. The descriptor of the writer follows the file into the archive: the rest is in the archived file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from ingestd.archive.restores import Restore, RestoreResult, restore_files
from ingestd.inbox.beneath import OpenFolders
from ingestd.inbox.scan import look_at
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.store.database import Database
from ingestd.store.late_changes import MovedFile, find_recently_moved, mark_changed, record_return

log = structlog.get_logger()

MOST_FILES = 2000  # looked at each time: about 2 us a file, and 10 us a row


class LateChanges:
    """Looks at the files finished last, and takes changed files up again."""

    def __init__(self, database: Database, retry: DatabaseRetry, within_s: float, most_files: int = MOST_FILES) -> None:
        """Look at files finished within so many seconds; 0: never look."""
        self._database, self._retry = database, retry
        self._within, self._most_files = timedelta(seconds=within_s), most_files

    def take_up(self, roots: Sequence[str]) -> int:
        """Put changed files back into the folders, where the inbox finds each as a new version; return their number."""
        if not self._within:
            return 0
        return sum(self._put_back(file, size) for file, size in self._find_changed(roots))

    def _find_changed(self, roots: Sequence[str]) -> list[tuple[MovedFile, int | None]]:
        """Return changed files with the present size; None: put back, and not recorded."""

        def find() -> list[MovedFile]:
            since = datetime.now(UTC) - self._within
            with self._database.begin_read() as connection:
                return find_recently_moved(connection, roots, since, self._most_files)

        changed: list[tuple[MovedFile, int | None]] = []
        with OpenFolders() as folders:
            for file in self._retry.call(find):
                seen = look_at(file.root, os.fsencode(file.archived_as), folders)
                if seen is None:
                    if file.is_marked:
                        changed.append((file, None))
                # A copy, made where files cannot be linked, has another inode: no writer has a copy open.
                elif seen.inode == file.stamp.inode and seen.stamp != file.stamp:
                    changed.append((file, seen.size))
        return changed

    def _put_back(self, file: MovedFile, size: int | None) -> bool:
        """Mark the row, move the file, then record the move: repeated from any point by the next call."""
        if size is not None:
            if not self._retry.call(lambda: self._mark(file)):
                return False
            (result,) = restore_files([Restore(file.root, file.archived_as, file.path)])
            restored = result is RestoreResult.RESTORED
            if not file.is_marked or restored:
                log.error(
                    "file.changed_after_archive",
                    file_id=file.id,
                    path=file.name,
                    archived_as=file.archived_as,
                    bytes_read=file.stamp.size,
                    bytes=size,
                    hint="its writer had not finished; taken up again as a new version"
                    if restored
                    else "another file has its name; taken up again when the name is free",
                )
            if not restored:
                return False
        self._retry.call(lambda: self._record(file))
        return True

    def _mark(self, file: MovedFile) -> bool:
        with self._database.begin_write() as connection:
            return mark_changed(connection, file)

    def _record(self, file: MovedFile) -> None:
        with self._database.begin_write() as connection:
            record_return(connection, file)
