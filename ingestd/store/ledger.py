"""
The ledger of files: the claims of the processes, and the result of each file.

A process claims a file before reading, and completes the file in the transaction that stores the articles: after a
crash the work is repeated, and nothing is stored twice or lost. A claim has a lease and a fencing token: a claim that
another process took over completes nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from ingestd.core.source_file import MAX_PATH_BYTES, FileStamp, FileState, Reason, SeenFile, fold_int64
from ingestd.store.bulk_insert import BulkStatement
from ingestd.store.claims import Claim, ClaimResult, CompletedFile, FileResult
from ingestd.store.database import Database
from ingestd.store.late_changes import CHANGED_AFTERWARDS
from ingestd.store.sql import split_keys
from ingestd.store.tables import RejectedRecord, SourceFile

_files = SourceFile.__table__
_UPDATE = BulkStatement(update(SourceFile).where(_files.c.id == bindparam("file_id")))


class Ledger:
    """The claims and results of one process in the table source_files."""

    def __init__(self, database: Database, lease_s: float) -> None:
        """Create the ledger of this process; a lease lasts `lease_s` seconds."""
        self._database = database
        self._lease = timedelta(seconds=lease_s)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def recover(self, now: datetime) -> int:
        """Release the claims of ended processes; return the number of files."""
        stale = or_(_files.c.lease_until < now, _files.c.lease_owner.in_(self._find_dead_owners()))
        if self._database.is_sqlite:
            stale = or_(stale, _files.c.lease_owner != self.owner)  # the lock file admits no other writer
        released = (
            update(SourceFile)
            .where(_files.c.state == FileState.CLAIMED, stale)
            .values(state=FileState.DEFERRED, retry_at=now, lease_owner=None, lease_until=None)
        )
        with self._database.begin_write() as connection:
            return connection.execute(released).rowcount

    def claim(self, files: Sequence[SeenFile], now: datetime, in_hand: Set[int] = frozenset()) -> ClaimResult:
        """
        Claim files to work on.

        Args:
            files: to claim; of several versions of one name, the last counts.
            now: start of the leases.
            in_hand: ids of the known claims of this process. Every other claim of this process was committed, but the
                answer of the database was lost: such a claim is returned again.
        """
        claims: list[Claim] = []
        completed: list[CompletedFile] = []
        busy: list[SeenFile] = []
        refused = tuple(file for file in files if file.path_bytes > MAX_PATH_BYTES)
        files = list({(file.root, file.path): file for file in files if file not in refused}.values())
        with self._database.begin_write() as connection:
            rows, superseded = self._find_newest(connection, files)
            fresh: list[SeenFile] = []
            for file in files:
                row = rows.get((file.root, file.path))
                if row is None or (row.finished_at is not None and _has_changed(row, file)):
                    fresh.append(file)
                elif row.finished_at is not None:
                    completed.append(_to_completed_file(row))
                elif self._can_claim(row, now, in_hand):
                    claims.append(Claim(row.id, file, row.fence + 1, row.attempts + 1))
                else:
                    busy.append(file)
            self._take_over(connection, claims, now)
            claims += self._insert_claims(connection, fresh, now)
            claims = [replace(c, superseded=superseded.get((c.file.root, c.file.path), ())) for c in claims]
        return ClaimResult(tuple(claims), tuple(completed), tuple(busy), refused)

    def find_leased(self, connection: Connection, claims: Iterable[Claim]) -> set[int]:
        """Return the ids of the claims without another owner. For use inside a writing transaction."""
        fences = {claim.id: claim.fence for claim in claims}
        leased: set[int] = set()
        for ids in split_keys(list(fences)):
            rows = connection.execute(
                select(_files.c.id, _files.c.fence).where(_files.c.id.in_(ids), _files.c.lease_owner == self.owner)
            )
            leased |= {row.id for row in rows if row.fence == fences[row.id]}
        return leased

    def find_completed(self, connection: Connection, claims: Sequence[Claim]) -> list[FileResult]:
        """Return the results of claims that were committed although the answer of the database was lost."""
        by_id = {claim.id: claim for claim in claims}
        results: list[FileResult] = []
        for ids in split_keys(list(by_id)):
            rows = connection.execute(select(_files).where(_files.c.id.in_(ids), _files.c.finished_at.is_not(None)))
            results += [_to_result(by_id[row.id], row) for row in rows if row.fence == by_id[row.id].fence]
        return results

    def complete(self, connection: Connection, results: Sequence[FileResult], now: datetime) -> None:
        """Write the results of files, in the transaction that stores the articles."""
        _UPDATE.execute(
            connection,
            [
                {
                    "file_id": s.claim.id,
                    "state": s.state.value,
                    "sha256": s.sha256,
                    "reason": s.reason.value if s.reason else None,
                    "detail": s.detail,
                    "n_articles": s.n_articles,
                    "article_id": s.article_id,
                    "finished_at": now,
                    "lease_owner": None,
                    "lease_until": None,
                    "retry_at": None,
                }
                for s in results
            ],
        )
        rejected = [
            {"source_file_id": s.claim.id, "record_no": r.record_no, "reason": r.reason.value, "detail": r.detail}
            for s in results
            for r in s.rejected
        ]
        if rejected:
            ids = sorted({r["source_file_id"] for r in rejected})
            connection.execute(delete(RejectedRecord).where(RejectedRecord.source_file_id.in_(ids)))
            connection.execute(insert(RejectedRecord), rejected)

    def defer(self, claims: Iterable[Claim], retry_at: datetime, detail: str) -> None:
        """Release files that cannot be read now; the fault is not in the file, so the attempt does not count."""
        rows = [{"file_id": claim.id, "held_fence": claim.fence} for claim in claims]
        if rows:
            released = (
                update(SourceFile)
                .where(_files.c.id == bindparam("file_id"), _files.c.fence == bindparam("held_fence"))
                .where(_files.c.lease_owner == self.owner)
                .values(
                    state=FileState.DEFERRED,
                    retry_at=retry_at,
                    detail=detail,
                    attempts=_files.c.attempts - 1,
                    lease_owner=None,
                    lease_until=None,
                )
            )
            with self._database.begin_write() as connection:
                connection.execute(released, rows)

    def renew(self, now: datetime) -> None:
        """Extend the leases of all claims of this process."""
        claimed = (_files.c.state == FileState.CLAIMED, _files.c.lease_owner == self.owner)
        with self._database.begin_write() as connection:
            connection.execute(update(SourceFile).where(*claimed).values(lease_until=now + self._lease))

    def record_moves(self, names: Sequence[tuple[int, str]]) -> None:
        """Write the new names of moved files, by row id."""
        if names:
            with self._database.begin_write() as connection:
                _UPDATE.execute(connection, [{"file_id": id_, "archived_as": name} for id_, name in names])

    def find_pending_moves(self, roots: Sequence[str]) -> list[CompletedFile]:
        """Return completed files that may still be in the folder, because the process ended before the move."""
        query = select(_files).where(
            _files.c.root.in_(roots),
            _files.c.finished_at.is_not(None),
            _files.c.archived_as.is_(None),
            _files.c.reason.is_distinct_from(Reason.NOT_REGULAR),  # such a file stays where it is
        )
        with self._database.begin_read() as connection:
            return [
                _to_completed_file(row) for row in connection.execute(query.where(_files.c.state != FileState.VANISHED))
            ]

    def find_retryable(self, roots: Sequence[str], now: datetime) -> list[tuple[str, bytes]]:
        """Return root and path of the deferred files to be tried again by now."""
        query = select(_files.c.root, _files.c.path_bytes).where(
            _files.c.state == FileState.DEFERRED, _files.c.retry_at <= now, _files.c.root.in_(roots)
        )
        with self._database.begin_read() as connection:
            return [(row.root, row.path_bytes) for row in connection.execute(query)]

    def find_by_hash(self, connection: Connection, hashes: Iterable[str]) -> dict[str, int | None]:
        """Return the stored contents, by SHA-256, with the (first) article of each."""
        articles: dict[str, int | None] = {}
        for keys in split_keys(sorted(set(hashes))):
            # With a condition on the state, SQLite reads all files of the state, that is, nearly all files.
            state = _files.c.state.label("state")
            rows = connection.execute(
                select(_files.c.sha256, state, func.min(_files.c.article_id).label("article_id"))
                .where(_files.c.sha256.in_(keys))
                .group_by(_files.c.sha256, state)
            )
            for row in rows:
                if row.state in (FileState.STORED, FileState.DUPLICATE):
                    known = articles.get(row.sha256)
                    articles[row.sha256] = row.article_id if known is None else min(known, row.article_id or known)
        return articles

    def _find_newest(
        self, connection: Connection, files: Sequence[SeenFile]
    ) -> tuple[dict[tuple[str, bytes], Row[*tuple[Any, ...]]], dict[tuple[str, bytes], tuple[int, ...]]]:
        """
        Return the decisive row of each file, and the rows of versions that were read too early.

        Decisive is the unfinished row, else the latest row.
        """
        rows: dict[tuple[str, bytes], Row[*tuple[Any, ...]]] = {}
        superseded: dict[tuple[str, bytes], tuple[int, ...]] = {}
        for root in sorted({file.root for file in files}):
            stamps = {file.path: file.stamp for file in files if file.root == root}
            for paths in split_keys(list(stamps)):
                query = (
                    select(_files).where(_files.c.root == root, _files.c.path_bytes.in_(paths)).order_by(_files.c.id)
                )
                for row in connection.execute(query):
                    known = rows.get((root, row.path_bytes))
                    if known is None or known.finished_at is not None:
                        rows[root, row.path_bytes] = row
                    if _has_grown(row, stamps[row.path_bytes]):
                        superseded[root, row.path_bytes] = (*superseded.get((root, row.path_bytes), ()), row.id)
        return rows, superseded

    def _can_claim(self, row: Row[*tuple[Any, ...]], now: datetime, in_hand: Set[int]) -> bool:
        if row.state == FileState.DEFERRED:
            return not row.archived_as and bool(row.retry_at is None or row.retry_at <= now)
        if row.lease_owner == self.owner and row.id not in in_hand:
            return True
        return bool(row.lease_until is None or row.lease_until < now)

    def _take_over(self, connection: Connection, claims: Sequence[Claim], now: datetime) -> None:
        if claims:
            connection.execute(
                update(SourceFile)
                .where(_files.c.id == bindparam("file_id"))
                .values(attempts=_files.c.attempts + 1, reason=None, detail=None, retry_at=None),
                [
                    {"file_id": c.id, "fence": c.fence, **self._list_stamp(c.file), **self._list_lease(now)}
                    for c in claims
                ],
            )

    def _insert_claims(self, connection: Connection, files: Sequence[SeenFile], now: datetime) -> list[Claim]:
        if not files:
            return []
        rows = [
            {
                "root": f.root,
                "path": f.name,
                "path_bytes": f.path,
                "attempts": 1,
                "fence": 1,
                "n_articles": 0,
                "first_seen_at": now,
                **self._list_stamp(f),
                **self._list_lease(now),
            }
            for f in files
        ]
        # In any order: to keep the order, SQLite would get one row at a time. A name has one unfinished row.
        inserted = connection.execute(
            insert(SourceFile).returning(_files.c.id, _files.c.root, _files.c.path_bytes), rows
        )
        ids = {(row.root, row.path_bytes): row.id for row in inserted}
        return [Claim(ids[file.root, file.path], file, 1) for file in files]

    def _list_stamp(self, file: SeenFile) -> dict[str, Any]:
        stamp = file.stamp
        return {
            "size_bytes": stamp.size,
            "mtime_ns": stamp.mtime_ns,
            "ctime_ns": fold_int64(file.ctime_ns),
            "inode": stamp.inode,
        }

    def _list_lease(self, now: datetime) -> dict[str, Any]:
        return {"state": FileState.CLAIMED.value, "lease_owner": self.owner, "lease_until": now + self._lease}

    def _find_dead_owners(self) -> list[str]:
        """Return the owners on this host without a running process."""
        host = f"{socket.gethostname()}:"
        with self._database.begin_read() as connection:
            owners = connection.execute(
                select(_files.c.lease_owner).distinct().where(_files.c.state == FileState.CLAIMED)
            )
            return [
                o
                for o in owners.scalars()
                if o.startswith(host) and not _is_alive(int(o.removeprefix(host).split(":")[0]))
            ]


def _to_result(claim: Claim, row: Row[*tuple[Any, ...]]) -> FileResult:
    return FileResult(
        claim=claim,
        state=FileState(row.state),
        sha256=row.sha256,
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        n_articles=row.n_articles,
        article_id=row.article_id,
    )


def _to_completed_file(row: Row[*tuple[Any, ...]]) -> CompletedFile:
    return CompletedFile(
        row.id,
        row.root,
        row.path_bytes,
        _make_stamp(row),
        row.sha256,
        FileState(row.state),
        row.reason,
        row.detail,
        row.finished_at,
    )


def _has_changed(row: Row[*tuple[Any, ...]], file: SeenFile) -> bool:
    """Tell whether a completed name holds another content by now, or a content that had vanished before."""
    return row.state == FileState.VANISHED or _make_stamp(row) != file.stamp


def _has_grown(row: Row[*tuple[Any, ...]], now: FileStamp) -> bool:
    """Tell whether a version was finished before its writer had: taken up again, or written on before the move."""
    is_in_place = row.archived_as is None and row.inode == now.inode and row.size_bytes < now.size
    return row.finished_at is not None and (row.detail == CHANGED_AFTERWARDS or is_in_place)


def _make_stamp(row: Row[*tuple[Any, ...]]) -> FileStamp:
    return FileStamp(row.size_bytes, row.mtime_ns, row.inode)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
