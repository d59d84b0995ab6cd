"""The ledger of files: every version of a file, with the stored articles and the rejected records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from ingestd.core.source_file import FileState
from ingestd.errors import NotFoundError
from ingestd.query.ids import parse_file_name, parse_text
from ingestd.query.results import FileDetail, LedgerEntry, RejectedEntry, from_row
from ingestd.store.tables import ArticleRow, RejectedRecord, SourceFile

_MOST_ARTICLES = 1000  # listed of one file

_articles = ArticleRow.__table__
_files = SourceFile.__table__
_rejected = RejectedRecord.__table__


def list_files(connection: Connection, state: FileState | None, reason: str | None, limit: int) -> list[LedgerEntry]:
    """Return entries of the ledger, newest first; None: any state or reason."""
    query = select(_files).order_by(_files.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_files.c.state == state.value)
    if reason is not None:
        query = query.where(_files.c.reason == parse_text(reason))
    return [from_row(LedgerEntry, row) for row in connection.execute(query)]


def read_file(connection: Connection, given: str) -> list[FileDetail]:
    """
    Return every version of a file, by path below the root, full path or bare name.

    Raises:
        NotFoundError: no file has the name.
    """
    rows = find_files(connection, given)
    if not rows:
        raise NotFoundError(f"no file {given} in the ledger; `ingestd files` lists them")
    return [_read_version(connection, row) for row in rows]


def find_files(connection: Connection, given: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return the rows of a file by path below the root, full path or bare name, oldest first."""
    f, given = _files.c, parse_file_name(given)
    exact = connection.execute(
        select(_files).where(or_(f.path == given, f.root + "/" + f.path == given)).order_by(f.id)
    ).all()
    if exact or "/" in given:
        return exact
    bare = given.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return connection.execute(select(_files).where(f.path.like(f"%/{bare}", escape="\\")).order_by(f.id)).all()


def _read_version(connection: Connection, row: Row[*tuple[Any, ...]]) -> FileDetail:
    a = _articles.c
    articles = select(a.id).where(a.source_file_id == row.id).order_by(a.id).limit(_MOST_ARTICLES)
    rejected = select(_rejected).where(_rejected.c.source_file_id == row.id).order_by(_rejected.c.record_no)
    return from_row(
        FileDetail,
        row,
        articles=list(connection.execute(articles).scalars()),
        rejected_records=[from_row(RejectedEntry, r) for r in connection.execute(rejected)],
    )
