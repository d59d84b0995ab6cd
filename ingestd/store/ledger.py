"""
The ledger: which file was taken up by whom, and what became of it.

A file is claimed before it is read and settled in the transaction that stores its articles, so a crash means redo,
never double and never lost. A claim has a lease and a fence: one that was taken over meanwhile settles nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from ingestd.core.source_file import FileStamp, FileState, Reason, Rejected, SeenFile
from ingestd.store.database import Database
from ingestd.store.tables import RejectedRecord, SourceFile

_KEYS_A_QUERY = 500  # below the limit of bound parameters of every database
_files = SourceFile.__table__
_UPDATE = update(SourceFile).where(_files.c.id == bindparam("file_id"))
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a file until the lease ends."""

    id: int  # of the row in source_files
    file: SeenFile
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What became of a claimed file."""

    claim: Claim
    state: FileState  # any but claimed and deferred
    sha256: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    n_articles: int = 0
    article_id: int | None = None
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletedFile:
    """A settled file that has not been moved out of the folder yet."""

    id: int
    root: str
    path: bytes
    stamp: FileStamp
    sha256: str | None
    state: FileState
    reason: str | None
    detail: str | None
    finished_at: datetime  # names the folder in the archive


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What a request for files came to."""

    claims: tuple[Claim, ...]
    settled: tuple[CompletedFile, ...]  # before, and unchanged since
    busy: tuple[SeenFile, ...]  # another process has them, or it is too early to try again


class Ledger:
    """The table source_files, as one process writes it."""

    def __init__(self, database: Database, lease_s: float) -> None:
        """Claim for this process, for `lease_s` seconds at a time."""
        self._database = database
        self._lease = timedelta(seconds=lease_s)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def recover(self, now: datetime) -> int:
        """Release what processes that are no more had claimed; return how many files that were."""
        stale = or_(_files.c.lease_until < now, _files.c.lease_owner.in_(self._dead_owners()))
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
            files: wanted.
            now: the leases begin.
            in_hand: ids of the claims that this process knows it has. Others in its name were committed without its
                hearing of it, and are given to it again.
        """
        claims: list[Claim] = []
        settled: list[CompletedFile] = []
        busy: list[SeenFile] = []
        with self._database.begin_write() as connection:
            rows = self._newest(connection, files)
            fresh: list[SeenFile] = []
            for file in files:
                row = rows.get((file.root, file.path))
                if row is None or (row.finished_at is not None and _has_changed(row, file)):
                    fresh.append(file)
                elif row.finished_at is not None:
                    settled.append(_finished(row))
                elif self._claimable(row, now, in_hand):
                    claims.append(Claim(row.id, file, row.fence + 1))
                else:
                    busy.append(file)
            self._take_over(connection, claims, now)
            claims.extend(self._insert(connection, fresh, now))
        return ClaimResult(tuple(claims), tuple(settled), tuple(busy))

    def find_leased(self, connection: Connection, claims: Iterable[Claim]) -> set[int]:
        """Return the ids of those claims that nobody has taken over. For use inside a writing transaction."""
        fences = {claim.id: claim.fence for claim in claims}
        held: set[int] = set()
        for ids in _chunks(list(fences)):
            rows = connection.execute(
                select(_files.c.id, _files.c.fence).where(_files.c.id.in_(ids), _files.c.lease_owner == self.owner)
            )
            held |= {row.id for row in rows if row.fence == fences[row.id]}
        return held

    def find_completed(self, connection: Connection, claims: Sequence[Claim]) -> list[FileResult]:
        """Return what became of claims that this process settled without hearing that the commit had succeeded."""
        by_id = {claim.id: claim for claim in claims}
        found: list[FileResult] = []
        for ids in _chunks(list(by_id)):
            rows = connection.execute(select(_files).where(_files.c.id.in_(ids), _files.c.finished_at.is_not(None)))
            found += [_settlement(by_id[row.id], row) for row in rows if row.fence == by_id[row.id].fence]
        return found

    def complete(self, connection: Connection, settlements: Sequence[FileResult], now: datetime) -> None:
        """Write what became of files, in the transaction that stores their articles."""
        if not settlements:
            return
        connection.execute(
            _UPDATE,
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
                for s in settlements
            ],
        )
        rejected = [
            {"source_file_id": s.claim.id, "record_no": r.record_no, "reason": r.reason.value, "detail": r.detail}
            for s in settlements
            for r in s.rejected
        ]
        if rejected:
            ids = sorted({r["source_file_id"] for r in rejected})
            connection.execute(delete(RejectedRecord).where(RejectedRecord.source_file_id.in_(ids)))
            connection.execute(insert(RejectedRecord), rejected)

    def defer(self, claims: Iterable[Claim], retry_at: datetime, detail: str) -> None:
        """Give files back that cannot be read now; what is wrong is not theirs, so no attempt is charged."""
        rows = [{"file_id": claim.id, "held_fence": claim.fence} for claim in claims]
        if rows:
            given_back = (
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
                connection.execute(given_back, rows)

    def renew(self, now: datetime) -> None:
        """Extend the leases of everything that this process has claimed."""
        held = (_files.c.state == FileState.CLAIMED, _files.c.lease_owner == self.owner)
        with self._database.begin_write() as connection:
            connection.execute(update(SourceFile).where(*held).values(lease_until=now + self._lease))

    def record_moves(self, names: Sequence[tuple[int, str]]) -> None:
        """Note under which name finished files now lie, by row id."""
        if names:
            with self._database.begin_write() as connection:
                connection.execute(_UPDATE, [{"file_id": id_, "archived_as": name} for id_, name in names])

    def find_pending_moves(self, roots: Sequence[str]) -> list[CompletedFile]:
        """Return finished files that may still lie in the folder: the process ended before it moved them."""
        query = select(_files).where(
            _files.c.root.in_(roots), _files.c.finished_at.is_not(None), _files.c.archived_as.is_(None)
        )
        with self._database.begin_read() as connection:
            return [_finished(row) for row in connection.execute(query.where(_files.c.state != FileState.VANISHED))]

    def find_retryable(self, roots: Sequence[str], now: datetime) -> list[tuple[str, bytes]]:
        """Return root and path of files whose time to be tried again has come."""
        query = select(_files.c.root, _files.c.path_bytes).where(
            _files.c.state == FileState.DEFERRED, _files.c.retry_at <= now, _files.c.root.in_(roots)
        )
        with self._database.begin_read() as connection:
            return [(row.root, row.path_bytes) for row in connection.execute(query)]

    def find_by_hash(self, connection: Connection, hashes: Iterable[str]) -> dict[str, int | None]:
        """Return which contents have been stored before, by SHA-256, with the (first) article of each."""
        found: dict[str, int | None] = {}
        for chunk in _chunks(sorted(set(hashes))):
            # Asked for a state as well, SQLite goes through all files of that state, which are nearly all there are.
            state = _files.c.state.label("state")
            rows = connection.execute(
                select(_files.c.sha256, state, func.min(_files.c.article_id).label("article_id"))
                .where(_files.c.sha256.in_(chunk))
                .group_by(_files.c.sha256, state)
            )
            for row in rows:
                if row.state in (FileState.STORED, FileState.DUPLICATE):
                    known = found.get(row.sha256)
                    found[row.sha256] = row.article_id if known is None else min(known, row.article_id or known)
        return found

    def _newest(
        self, connection: Connection, files: Sequence[SeenFile]
    ) -> dict[tuple[str, bytes], Row[*tuple[Any, ...]]]:
        """Return the row that speaks for each file: the unfinished one, else the latest."""
        rows: dict[tuple[str, bytes], Row[*tuple[Any, ...]]] = {}
        for root in sorted({file.root for file in files}):
            for paths in _chunks([file.path for file in files if file.root == root]):
                query = (
                    select(_files).where(_files.c.root == root, _files.c.path_bytes.in_(paths)).order_by(_files.c.id)
                )
                for row in connection.execute(query):
                    known = rows.get((root, row.path_bytes))
                    if known is None or known.finished_at is not None:
                        rows[root, row.path_bytes] = row
        return rows

    def _claimable(self, row: Row[*tuple[Any, ...]], now: datetime, in_hand: Set[int]) -> bool:
        if row.state == FileState.DEFERRED:
            return bool(row.retry_at is None or row.retry_at <= now)
        if row.lease_owner == self.owner and row.id not in in_hand:
            return True
        return bool(row.lease_until is None or row.lease_until < now)

    def _take_over(self, connection: Connection, claims: Sequence[Claim], now: datetime) -> None:
        if claims:
            connection.execute(
                update(SourceFile)
                .where(_files.c.id == bindparam("file_id"))
                .values(attempts=_files.c.attempts + 1, reason=None, detail=None, retry_at=None),
                [{"file_id": c.id, "fence": c.fence, **self._seen(c.file), **self._lease_values(now)} for c in claims],
            )

    def _insert(self, connection: Connection, files: Sequence[SeenFile], now: datetime) -> list[Claim]:
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
                **self._seen(f),
                **self._lease_values(now),
            }
            for f in files
        ]
        # In any order: asked for theirs, SQLite would be given one row at a time. A name has one unfinished row.
        inserted = connection.execute(
            insert(SourceFile).returning(_files.c.id, _files.c.root, _files.c.path_bytes), rows
        )
        ids = {(row.root, row.path_bytes): row.id for row in inserted}
        return [Claim(ids[file.root, file.path], file, 1) for file in files]

    def _seen(self, file: SeenFile) -> dict[str, Any]:
        return {"size_bytes": file.size, "mtime_ns": file.mtime_ns, "ctime_ns": file.ctime_ns, "inode": file.inode}

    def _lease_values(self, now: datetime) -> dict[str, Any]:
        return {"state": FileState.CLAIMED.value, "lease_owner": self.owner, "lease_until": now + self._lease}

    def _dead_owners(self) -> list[str]:
        """Return owners on this host whose process is gone."""
        host = f"{socket.gethostname()}:"
        with self._database.begin_read() as connection:
            owners = connection.execute(
                select(_files.c.lease_owner).distinct().where(_files.c.state == FileState.CLAIMED)
            )
            return [
                o
                for o in owners.scalars()
                if o.startswith(host) and not _alive(int(o.removeprefix(host).split(":")[0]))
            ]


@dataclass(frozen=True, slots=True)
class Requeued:
    """A file that is to be taken up again."""

    root: str
    path: bytes
    name: str  # printable
    archived_as: str | None  # where it lies in quarantine; None: it was never moved


def requeue(connection: Connection, now: datetime, reason: str | None, paths: Sequence[str]) -> list[Requeued]:
    """
    Take quarantined files up again.

    Args:
        connection: of a writing transaction.
        now: from when on they may be taken.
        reason: only those quarantined for it.
        paths: only those whose path below the root, or full path, is among these; none: all.
    """
    query = select(_files).where(_files.c.state == FileState.QUARANTINED)
    if reason:
        query = query.where(_files.c.reason == reason)
    rows = [r for r in connection.execute(query) if not paths or {r.path, f"{r.root}/{r.path}"} & set(paths)]
    for ids in _chunks([row.id for row in rows]):
        connection.execute(
            update(SourceFile)
            .where(_files.c.id.in_(ids))
            .values(
                state=FileState.DEFERRED, retry_at=now, finished_at=None, archived_as=None, reason=None, detail=None
            )
        )
    return [Requeued(row.root, row.path_bytes, row.path, row.archived_as) for row in rows]


def _settlement(claim: Claim, row: Row[*tuple[Any, ...]]) -> FileResult:
    return FileResult(
        claim=claim,
        state=FileState(row.state),
        sha256=row.sha256,
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        n_articles=row.n_articles,
        article_id=row.article_id,
    )


def _finished(row: Row[*tuple[Any, ...]]) -> CompletedFile:
    return CompletedFile(
        row.id,
        row.root,
        row.path_bytes,
        _look(row),
        row.sha256,
        FileState(row.state),
        row.reason,
        row.detail,
        row.finished_at,
    )


def _has_changed(row: Row[*tuple[Any, ...]], file: SeenFile) -> bool:
    """Tell whether a finished name holds something else by now, or again what was gone when it was to be read."""
    return row.state == FileState.VANISHED or _look(row) != file.stamp


def _look(row: Row[*tuple[Any, ...]]) -> FileStamp:
    return FileStamp(row.size_bytes, row.mtime_ns, row.inode)


def _chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _KEYS_A_QUERY):
        yield items[start : start + _KEYS_A_QUERY]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
