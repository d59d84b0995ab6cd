"""
Quarantined files back to the files to be read.

A row says at every moment where the file is: the row is deferred first and keeps the place in quarantine; the file
returns to the old name; then the row gives up the place. A row that is deferred and has a place is a way back that was
interrupted, and is finished from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from ingestd.core.source_file import FileStamp, FileState
from ingestd.store.sql import split_keys
from ingestd.store.tables import SourceFile

_files = SourceFile.__table__


@dataclass(frozen=True, slots=True)
class RequeuedFile:
    """A file to be read again."""

    id: int  # of the row in source_files
    root: str
    path: bytes
    stamp: FileStamp
    name: str  # printable
    archived_as: str | None  # place in quarantine; None: the file was never moved, as far as the row knows


@dataclass(frozen=True, slots=True)
class Requeued:
    """The answer to a request to read quarantined files again."""

    files: tuple[RequeuedFile, ...]
    waiting: tuple[str, ...]  # names of files that stay in quarantine: another version is not finished


def requeue(connection: Connection, now: datetime, reason: str | None, paths: Sequence[str]) -> Requeued:
    """
    Defer quarantined files, so that the next process reads the files again; of each name the newest version.

    Args:
        connection: of a writing transaction.
        now: earliest time of the next attempt.
        reason: of the quarantine; None: any.
        paths: below the root, or full; empty: all files.
    """
    # A file that went back into the folder by itself has another row by now.
    query = select(_files).where(_files.c.state == FileState.QUARANTINED, _files.c.archived_as.is_distinct_from(""))
    query = query.order_by(_files.c.id.desc())
    if reason:
        query = query.where(_files.c.reason == reason)
    rows = [r for r in connection.execute(query) if not paths or {r.path, f"{r.root}/{r.path}"} & set(paths)]
    unfinished = select(_files.c.root, _files.c.path_bytes).where(_files.c.finished_at.is_(None))
    taken = {(row.root, row.path_bytes) for row in connection.execute(unfinished)}
    files: list[RequeuedFile] = []
    waiting: list[str] = []
    for row in rows:
        if (row.root, row.path_bytes) in taken:
            waiting.append(row.path)
        else:
            taken.add((row.root, row.path_bytes))
            files.append(_to_file(row))
    for ids in split_keys([file.id for file in files]):
        deferred = update(SourceFile).where(_files.c.id.in_(ids))
        connection.execute(deferred.values(state=FileState.DEFERRED, retry_at=now, finished_at=None))
    return Requeued(tuple(files), tuple(waiting))


def find_deferred(
    connection: Connection, now: datetime, roots: Sequence[str] | None, *, vanished: bool
) -> list[RequeuedFile]:
    """
    Return the files that may lie in quarantine although the files are to be read.

    Args:
        connection: to read from.
        now: deferred files due by now are returned, and deferred files with a place in quarantine.
        roots: of the files; None: any.
        vanished: also files that were moved into quarantine while another process wanted to read the files.
    """
    placed = _files.c.archived_as != ""  # neither null nor empty: an empty place is nowhere
    condition = and_(_files.c.state == FileState.DEFERRED, or_(placed, _files.c.retry_at <= now))
    queries = [select(_files).where(condition)]
    if vanished:
        queries.append(select(_files).where(_files.c.state == FileState.VANISHED, placed))
    if roots is not None:
        queries = [query.where(_files.c.root.in_(roots)) for query in queries]
    return [_to_file(row) for query in queries for row in connection.execute(query)]


def is_place_known(connection: Connection, root: str, archived_as: str) -> bool:
    """Tell whether any row names a place in archive or quarantine."""
    query = select(_files.c.id).where(_files.c.root == root, _files.c.archived_as == archived_as).limit(1)
    return connection.execute(query).first() is not None


def record_restored(connection: Connection, ids: Sequence[int]) -> None:
    """Give up the place in quarantine of files that returned to the old names."""
    _change(connection, ids, (FileState.DEFERRED, FileState.VANISHED), {"archived_as": None})


def record_gone(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Finish files that are neither in quarantine nor under the old names."""
    values = {"state": FileState.VANISHED, "archived_as": None, "finished_at": now, "retry_at": None}
    detail = "neither in quarantine nor in the folder"
    _change(connection, ids, (FileState.DEFERRED, FileState.VANISHED), {**values, "reason": None, "detail": detail})


def return_to_quarantine(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Take back `requeue` for files whose old names are taken."""
    values = {"state": FileState.QUARANTINED, "finished_at": now, "retry_at": None}
    _change(connection, ids, (FileState.DEFERRED,), values)


def _change(connection: Connection, ids: Sequence[int], states: Sequence[FileState], values: dict[str, Any]) -> None:
    """Change rows that are still in one of some states: another process may have gone on with a file."""
    for some in split_keys(list(ids)):
        changed = update(SourceFile).where(_files.c.id.in_(some), _files.c.state.in_(states))
        connection.execute(changed.values(values))


def _to_file(row: Row[*tuple[Any, ...]]) -> RequeuedFile:
    stamp = FileStamp(row.size_bytes, row.mtime_ns, row.inode)
    return RequeuedFile(row.id, row.root, row.path_bytes, stamp, row.path, row.archived_as)
