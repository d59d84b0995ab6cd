"""Quarantined files go back into the ledger as files to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from ingestd.core.source_file import FileState
from ingestd.store.sql import split_keys
from ingestd.store.tables import SourceFile

_files = SourceFile.__table__


@dataclass(frozen=True, slots=True)
class RequeuedFile:
    """A file to be read again."""

    root: str
    path: bytes
    name: str  # printable
    archived_as: str | None  # place in quarantine; None: the file was never moved


def requeue(connection: Connection, now: datetime, reason: str | None, paths: Sequence[str]) -> list[RequeuedFile]:
    """
    Defer quarantined files, so that the next process reads the files again.

    Args:
        connection: of a writing transaction.
        now: earliest time of the next attempt.
        reason: of the quarantine; None: any.
        paths: below the root, or full; empty: all files.
    """
    # A file that went back into the folder by itself has another row by now.
    query = select(_files).where(_files.c.state == FileState.QUARANTINED, _files.c.archived_as.is_distinct_from(""))
    if reason:
        query = query.where(_files.c.reason == reason)
    rows = [r for r in connection.execute(query) if not paths or {r.path, f"{r.root}/{r.path}"} & set(paths)]
    for ids in split_keys([row.id for row in rows]):
        connection.execute(
            update(SourceFile)
            .where(_files.c.id.in_(ids))
            .values(
                state=FileState.DEFERRED, retry_at=now, finished_at=None, archived_as=None, reason=None, detail=None
            )
        )
    return [RequeuedFile(row.root, row.path_bytes, row.path, row.archived_as) for row in rows]
