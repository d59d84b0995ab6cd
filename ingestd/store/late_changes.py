"""Finished files that may still be written to: the latest of the ledger, and the mark of a file taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, exists, func, not_, select, update

from ingestd.core.source_file import FileStamp
from ingestd.store.tables import SourceFile

_files = SourceFile.__table__
# Detail of a row whose file went back into the folder: the next version of the file revises the articles of the row.
CHANGED_AFTERWARDS = "changed after the end of the work; taken up again as a new version"


@dataclass(frozen=True, slots=True)
class MovedFile:
    """A finished file in archive or quarantine."""

    id: int
    root: str
    path: bytes  # in the folder, before the move
    name: str  # printable
    archived_as: str
    stamp: FileStamp  # when the file was read
    is_marked: bool  # found changed before


def find_recently_moved(
    connection: Connection, roots: Sequence[str], finished_since: datetime, limit: int
) -> list[MovedFile]:
    """
    Return finished files in archive or quarantine; of files taken up again only those still to be put back.

    Args:
        connection: to read from.
        roots: the watched folders.
        finished_since: earlier files are left out.
        limit: so many of the latest rows are looked at.
    """
    newer = _files.alias("newer")
    is_put_back = and_(
        _files.c.detail == CHANGED_AFTERWARDS,
        exists().where(
            newer.c.root == _files.c.root, newer.c.path_bytes == _files.c.path_bytes, newer.c.id > _files.c.id
        ),
    )
    f = _files.c
    query = (
        select(
            f.id, f.root, f.path_bytes, f.path, f.archived_as, f.size_bytes, f.mtime_ns, f.inode, f.detail
        )
        # By id alone: with a condition on the root, SQLite reads and sorts all files of the root.
        .where(f.id > select(func.max(f.id) - limit).scalar_subquery())
        .where(f.finished_at >= finished_since, f.archived_as != "", not_(is_put_back))
    )  # fmt: skip
    return [
        MovedFile(
            row.id,
            row.root,
            row.path_bytes,
            row.path,
            row.archived_as,
            FileStamp(row.size_bytes, row.mtime_ns, row.inode),
            row.detail == CHANGED_AFTERWARDS,
        )
        for row in connection.execute(query)
        if row.root in roots
    ]


def mark_changed(connection: Connection, file: MovedFile) -> bool:
    """Mark a file as changed; return False where another process was as quick."""
    marked = (
        update(SourceFile)
        .where(_files.c.id == file.id, _files.c.archived_as == file.archived_as)
        .values(detail=CHANGED_AFTERWARDS)
    )
    return connection.execute(marked).rowcount == 1


def record_return(connection: Connection, file: MovedFile) -> None:
    """Write that a marked file has left archive or quarantine."""
    connection.execute(update(SourceFile).where(_files.c.id == file.id).values(archived_as=""))
