"""
Check that the ledger, the disk and the articles agree. Changes nothing.

Damage does not come from the program alone: files are deleted from an archive, a backup is restored beside a newer
folder, a disk loses data. Every rule between the tables is checked here as well.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, or_, select, text

from ingestd.archive.moves import REASON_SUFFIX, find_quarantined
from ingestd.core.article import Article
from ingestd.core.progress import ShowProgress, hide_progress
from ingestd.core.source_file import FileStamp, FileState, escape_unprintable
from ingestd.inbox.beneath import OWN_FOLDER, look_beneath, open_file
from ingestd.inbox.scan import look_at, walk_folders
from ingestd.store.tables import ArticleRow, SourceFile

_table = SourceFile.__table__
_files = _table.c
_ROWS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """A disagreement."""

    kind: str
    what: str  # an id or a path
    detail: str


# Rules between tables. Each query yields the id of a row that breaks the rule, and a word on the fault.
_RULES = {
    "article_without_file": (
        "SELECT a.id, 'source_file_id ' || a.source_file_id FROM articles a "
        "LEFT JOIN source_files f ON f.id = a.source_file_id WHERE f.id IS NULL"
    ),
    "article_without_cluster": (
        "SELECT a.id, 'is in no cluster' FROM articles a LEFT JOIN cluster_members m ON m.article_id = a.id "
        "WHERE m.article_id IS NULL"
    ),
    "article_without_signature": (
        "SELECT a.id, 'has ' || count(s.kind) || ' of 2' FROM articles a "
        "LEFT JOIN signatures s ON s.article_id = a.id WHERE a.pruned IS NULL GROUP BY a.id HAVING count(s.kind) < 2"
    ),
    "file_without_article": (
        "SELECT f.id, f.path FROM source_files f LEFT JOIN articles a ON a.id = f.article_id "
        "WHERE f.state IN ('stored', 'duplicate') AND a.id IS NULL AND (f.article_id IS NOT NULL OR NOT EXISTS ("
        "SELECT 1 FROM source_files g WHERE g.sha256 = f.sha256 AND g.detail LIKE '%pruned'))"
    ),
    "member_of_no_live_cluster": (
        "SELECT m.article_id, 'cluster ' || m.cluster_id FROM cluster_members m "
        "LEFT JOIN clusters c ON c.id = m.cluster_id WHERE c.id IS NULL OR c.status = 'merged'"
    ),
    "cluster_miscounted": (
        "SELECT c.id, 'says ' || c.n_articles || ', has ' || count(m.article_id) FROM clusters c "
        "LEFT JOIN cluster_members m ON m.cluster_id = c.id WHERE c.status <> 'merged' "
        "GROUP BY c.id, c.n_articles HAVING c.n_articles <> count(m.article_id)"
    ),
    "copy_of_a_copy": (
        "SELECT c.article_id, 'canonical ' || c.canonical_article_id FROM copies c "
        "JOIN copies d ON d.article_id = c.canonical_article_id"
    ),
    "copy_in_another_cluster": (
        "SELECT c.article_id, 'canonical ' || c.canonical_article_id FROM copies c "
        "JOIN cluster_members m ON m.article_id = c.article_id "
        "JOIN cluster_members n ON n.article_id = c.canonical_article_id WHERE m.cluster_id <> n.cluster_id"
    ),
    # The earliest revisions may have been pruned; no revision is missing between the others and the present text.
    "revision_missing": (
        "SELECT a.id, 'is at revision ' || a.revision || ', earlier texts kept: ' || count(r.revision) FROM articles a "
        "LEFT JOIN article_revisions r ON r.article_id = a.id "
        "WHERE a.revision > 1 AND a.pruned IS DISTINCT FROM 'texts' GROUP BY a.id, a.revision "
        "HAVING coalesce(max(r.revision), 0) <> a.revision - 1 OR count(*) <> max(r.revision) - min(r.revision) + 1"
    ),
}


def find_problems(
    connection: Connection, *, hashes: bool, show_progress: ShowProgress = hide_progress
) -> Iterator[Problem]:
    """
    Yield every disagreement.

    Args:
        connection: to read from.
        hashes: read every archived file and compare the SHA-256, and not only the size.
        show_progress: shows the number of checked articles and files.
    """
    with show_progress("looking", _count_checks(connection)) as advance:
        yield from _check_rules(connection)
        done = 0
        for done, problem in _check_texts(connection):
            advance(done, "articles")
            if problem:
                yield problem
        for more, problem in _check_archive(connection, hashes=hashes):
            advance(done + more, "files")
            if problem:
                yield problem
        yield from _find_stranded(connection)
        yield from _find_unknown_files(connection)


def _count_checks(connection: Connection) -> int:
    """Return the number of articles and files."""
    counts = text("SELECT (SELECT count(*) FROM articles) + (SELECT count(*) FROM source_files)")
    return int(connection.execute(counts).scalar_one())


def _check_rules(connection: Connection) -> Iterator[Problem]:
    for kind, query in _RULES.items():
        for row in connection.execute(text(query).execution_options(yield_per=_ROWS_AT_A_TIME)):
            yield Problem(kind, str(row[0]), str(row[1]))


def _check_texts(connection: Connection) -> Iterator[tuple[int, Problem | None]]:
    columns = ArticleRow.__table__.c
    query = select(columns.id, columns.title, columns.text, columns.text_sha256)
    query = query.where(columns.pruned.is_distinct_from("texts")).execution_options(yield_per=_ROWS_AT_A_TIME)
    for done, row in enumerate(connection.execute(query), start=1):
        same = Article(title=row.title, text=row.text).hash_text() == row.text_sha256
        yield done, None if same else Problem("text_changed", str(row.id), "its text is not the one that was stored")


def _check_archive(connection: Connection, *, hashes: bool) -> Iterator[tuple[int, Problem | None]]:
    query = select(_table).where(_files.archived_as.is_not(None)).execution_options(yield_per=_ROWS_AT_A_TIME)
    gone: dict[str, bool] = {}
    for done, row in enumerate(connection.execute(query), start=1):
        if row.root not in gone:
            gone[row.root] = not Path(row.root).is_dir()
            if gone[row.root]:
                yield done, Problem("folder_missing", row.root, "none of its files can be looked at")
        if row.archived_as and not gone[row.root]:
            yield done, _check_archived_file(row, hashes=hashes)


def _check_archived_file(row: Any, *, hashes: bool) -> Problem | None:
    path = os.fsencode(row.archived_as)
    shown = escape_unprintable(row.archived_as)
    try:
        size = look_beneath(row.root, path).st_size
        if size != row.size_bytes:
            return Problem("file_changed", shown, f"{size} bytes, was {row.size_bytes}")
        if hashes and row.sha256 and _hash_content(row.root, path) != row.sha256:
            return Problem("file_changed", shown, "its content is not what was read")
    except (FileNotFoundError, NotADirectoryError):
        return Problem("file_missing", shown, f"archived from {row.path}")
    except OSError as error:
        return Problem("file_not_readable", shown, str(error))
    if row.state == FileState.QUARANTINED and look_at(row.root, path + REASON_SUFFIX) is None:
        return Problem("reason_missing", shown, f"in quarantine without its reason: {row.reason}")
    return None


def _hash_content(root: str, path: bytes) -> str:
    with open(open_file(root, path), "rb") as archived:
        return hashlib.file_digest(archived, "sha256").hexdigest()


def _find_stranded(connection: Connection) -> Iterator[Problem]:
    """Yield files to be read again that lie in quarantine, or lie nowhere."""
    query = (
        select(_table)
        .where(
            or_(
                _files.state == FileState.DEFERRED,
                and_(_files.state == FileState.VANISHED, _files.archived_as != ""),
            )
        )
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )
    for row in connection.execute(query):
        if look_at(row.root, row.path_bytes) is not None and not row.archived_as:
            continue
        stamp = FileStamp(row.size_bytes, row.mtime_ns, row.inode)
        place = row.archived_as or find_quarantined(row.root, row.path_bytes, stamp)
        if place is not None and look_at(row.root, os.fsencode(place)) is not None:
            mend = f"a running daemon, `ingestd run` or `ingestd retry {row.path}` puts it back"
            yield Problem("file_stranded", row.path, f"{row.state}, but lies in {escape_unprintable(place)}: {mend}")
        elif Path(row.root).is_dir() and look_at(row.root, row.path_bytes) is None:
            yield Problem("file_missing", row.path, f"{row.state}, and neither in {row.root} nor in quarantine")


def _find_unknown_files(connection: Connection) -> Iterator[Problem]:
    """Yield files in archive and quarantine without a row in the ledger."""
    for root in connection.execute(select(_files.root).distinct()).scalars():
        query = select(_files.archived_as).where(_files.root == root, _files.archived_as.is_not(None))
        # A name takes some 150 bytes here: there is no index to ask for single names.
        known = set(connection.execute(query.execution_options(yield_per=_ROWS_AT_A_TIME)).scalars())
        for kind in (b"archive", b"quarantine"):
            for path_bytes, entry in walk_folders(root, os.path.join(OWN_FOLDER, kind)):
                path = os.fsdecode(path_bytes)
                if entry.is_dir(follow_symlinks=False):
                    continue
                if path not in known and path.removesuffix(os.fsdecode(REASON_SUFFIX)) not in known:
                    detail = "the ledger knows nothing of it; moved back into the folder it is taken in again"
                    yield Problem("file_unknown", escape_unprintable(path), detail)
