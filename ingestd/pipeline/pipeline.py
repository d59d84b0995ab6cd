"""
The straight line: a file is claimed, read, decided on, stored, and only then moved.

    claim -> read and fingerprint (worker processes) -> ONE transaction { identity, copies, event, rows, ledger }
          -> COMMIT -> one log line -> archive or quarantine (worker processes)

A crash anywhere means that the file is taken up again; what was committed before is recognised and not stored twice.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection

from ingestd.archive import moves
from ingestd.archive.policy import After, finished, gone, move_of
from ingestd.core.source_file import FileState, SeenFile
from ingestd.core.window.window import Window
from ingestd.errors import DeferredError, Reason, UnsettledError, UnusableError
from ingestd.formats import ReadLimits
from ingestd.pipeline.committer import BatchCommitter
from ingestd.pipeline.file_outcome import FileOutcome, IngestStats, report
from ingestd.pipeline.large_file import LargeFile
from ingestd.settings import Settings
from ingestd.store.database import TRANSIENT_DB_ERRORS, Database
from ingestd.store.ledger import Claim, CompletedFile, FileResult, Ledger
from ingestd.workers.pool import ExtractionResult, Workers, nothing_usable

log = structlog.get_logger()

_T = TypeVar("_T")

_FIRST_PAUSE_S = 0.5  # doubled with every further attempt
_READ_TOGETHER_BYTES = 4 << 20  # a second's work where text is to be found in pages, a batch where it lies open
_UNREADABLE_AGAIN_S = 30.0  # until a file that may not be read is tried again
_LAST_MOVES_S = 2.0  # that a shutdown waits for; the next start makes and notes what is left


class ShutdownRequested(Exception):  # noqa: N818 - not an error: the end that was asked for
    """The program was asked to stop while it was waiting for its surroundings."""


@dataclass(slots=True)
class InFlightBatch:
    """Files on their way: claimed and being read."""

    claims: Sequence[Claim]
    readings: Future[list[ExtractionResult]]
    since: float


@dataclass(slots=True)
class PendingMoves:
    """Finished files on their way out of the folder."""

    files: Sequence[CompletedFile]
    moves: Sequence[moves.Move]
    moved: Future[list[str | OSError | None]]


class IngestPipeline:
    """Takes files from the folder to the database, several batches at once, in the order in which they came."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        after: After,
    ) -> None:
        """Begin with nothing in hand; `after` says what becomes of a finished file."""
        self._settings, self._database, self._after = settings, database, after
        self.ledger = Ledger(database, settings.database.lease_seconds)
        self.workers = Workers(settings.ingest.workers)
        self.counts = IngestStats()
        self._renewed = time.monotonic()
        self.stop_waiting: Callable[[float], bool] = _sleep  # pauses; says whether to give up
        self._recorder = BatchCommitter(settings, self.counts)
        self._queue: deque[InFlightBatch] = deque()
        self._waiting: deque[FileOutcome] = deque()  # files that are too large to be read at once
        self.large: LargeFile | None = None  # the one of them that is being read
        self._leaving: deque[PendingMoves] = deque()

    @property
    def window(self) -> Window:
        """The articles that new ones are compared with."""
        return self._recorder.window

    @property
    def depth(self) -> int:
        """Batches and large files in hand."""
        return len(self._queue) + len(self._waiting) + (self.large is not None)

    @property
    def full(self) -> bool:
        """Whether every worker has enough to do."""
        return len(self._queue) > self.workers.processes

    def recover(self, roots: Sequence[str]) -> None:
        """Take up what an earlier process left: release its claims, finish its moves."""
        released = self._patiently(partial(self.ledger.recover, _now()))
        unmoved = self._patiently(partial(self.ledger.find_pending_moves, roots)) if self._after != "keep" else []
        self._dispose(unmoved)
        self._note_moves(within_s=None)
        if released or unmoved:
            log.info("work.recovered", claims_released=released, moves_finished=len(unmoved))

    def due(self, roots: Sequence[str]) -> list[tuple[str, bytes]]:
        """Return root and path of files whose time to be tried again has come."""
        return self._patiently(lambda: self.ledger.find_retryable(roots, _now()))

    def feed(self, files: Sequence[SeenFile]) -> list[SeenFile]:
        """Claim files and have them read; return those that are another process's, or not due yet."""
        with self.counts.timed("claim"):
            in_hand = {claim.id for claim in self._claims()}
            claimed = self._patiently(lambda: self.ledger.claim(files, _now(), in_hand))
        self.counts.files["unchanged"] += len(claimed.settled)
        if self._after != "keep":
            self._dispose(claimed.settled)  # could not be moved before, or were put back
        for claims in _read_together(claimed.claims):
            reading = self.workers.read([claim.file for claim in claims], self._context())
            self._queue.append(InFlightBatch(claims, reading, time.monotonic()))
        return list(claimed.busy)

    def advance(self, wait_s: float) -> list[SeenFile]:
        """
        Store the oldest batch, or the next piece of a large file, if its reading is finished within `wait_s` seconds.

        Returns:
            Files to be looked at again later: they changed while they were read.
        """
        if self.large is None and self._waiting:
            self.large = LargeFile(self._waiting.popleft(), self.workers, self._context())
        with self.counts.timed("wait for readers"):
            self._wait_for_readers(wait_s)
        again = self._advance_batch() + self._advance_large()
        self._note_moves()
        return again

    def _wait_for_readers(self, wait_s: float) -> None:
        pending: list[Future[Any]] = [self._queue[0].readings] if self._queue else []
        if self.large:
            pending += [self.large.waiting_for]
        if pending:
            wait(pending, wait_s, FIRST_COMPLETED)

    def _advance_batch(self) -> list[SeenFile]:
        if not self._queue or not self._queue[0].readings.done():
            return []
        work = self._queue[0]
        try:
            readings = work.readings.result()
        except BrokenProcessPool:
            readings = self._read_one_by_one(work.claims)
        self._queue.popleft()
        progress = [FileOutcome(c, r, work.since) for c, r in zip(work.claims, readings, strict=True)]
        again = self._give_back(progress)
        self._waiting.extend(p for p in progress if p.reading.large)
        whole = [p for p in progress if not p.reading.large and not _to_give_back(p)]
        if whole:
            self._store(whole)
        return again

    def _advance_large(self) -> list[SeenFile]:
        """Store the next piece of a large file, if there is one."""
        if self.large is None or (piece := self.large.next()) is None:
            return []
        part, last = piece
        progress = self.large.progress
        known = self.large.pieces == 1 and part.sha256 is not None and self._known(part.sha256)
        last = last or known
        progress.take(part)
        if last:
            self._finish_large()
            used = known or progress.new or progress.repeats or progress.revisions or part.articles
            if progress.reading.failure is None and not used:
                failure = nothing_usable(progress.reading.rejected, progress.reading.skipped)
                progress.reading = replace(progress.reading, failure=failure)
            if _to_give_back(progress):
                return self._give_back([progress])
        self._store([progress], part=part, last=last)
        if progress.reading.failure is not None:
            self._finish_large()
        if self.large:
            self.large.say_how_far()
        return []

    def _known(self, sha256: str) -> bool:
        """Tell whether a file of this content is stored: there is no need to read on."""

        def look() -> bool:
            with self._database.begin_read() as connection:
                return bool(self.ledger.find_by_hash(connection, [sha256]))

        return self._patiently(look)

    def _finish_large(self) -> None:
        if self.large:
            self.large.close()
            self.large = None

    def interrupt(self) -> None:
        """Give back the large files in hand: they take longer than a shutdown may. What is stored of them is known."""
        claims = self._large_claims()
        self._finish_large()
        self._waiting.clear()
        if claims:
            self._patiently(lambda: self.ledger.defer(claims, _now(), "interrupted by a shutdown"))

    def close(self) -> None:
        """Give back what is still being read, and end the workers."""
        claims = self._claims()
        self._queue.clear()
        self._waiting.clear()
        self._finish_large()
        try:
            self._note_moves(within_s=_LAST_MOVES_S)
        finally:
            self._leaving.clear()
            if claims:
                self.workers.abandon()
            else:
                self.workers.close()
        if claims:
            self.ledger.defer(claims, _now(), "released at shutdown")

    def _claims(self) -> list[Claim]:
        return [claim for work in self._queue for claim in work.claims] + self._large_claims()

    def _large_claims(self) -> list[Claim]:
        return [p.claim for p in (*([self.large.progress] if self.large else []), *self._waiting)]

    # Reading

    def _context(self) -> ReadLimits:
        """Return what reading depends on, now."""
        formats = self._settings.formats
        return ReadLimits(
            _now(),
            ZoneInfo(formats.timezone),
            formats.max_file_bytes,
            formats.max_records,
            formats.max_unpacked_bytes,
            formats.max_unpack_ratio,
            formats.max_members,
            formats.keys,
        )

    def _read_one_by_one(self, claims: Sequence[Claim]) -> list[ExtractionResult]:
        """Find the file that a worker died of: read each in a process that nothing else depends on."""
        log.error("worker.died", files=len(claims), hint="reading the files of its batch one by one")
        readings = []
        for work in list(self._queue)[1:]:
            work.readings = self.workers.read([c.file for c in work.claims], self._context())
        for claim in claims:
            self.workers.restart()
            try:
                readings += self.workers.read([claim.file], self._context()).result()
            except BrokenProcessPool:
                failure = UnusableError(Reason.INTERNAL, "the process that read the file died")
                readings.append(ExtractionResult(claim.file, failure=failure))
        return readings

    def _give_back(self, progress: Sequence[FileOutcome]) -> list[SeenFile]:
        unsettled = [p.claim for p in progress if isinstance(p.reading.failure, UnsettledError)]
        if unsettled:
            self._patiently(lambda: self.ledger.defer(unsettled, _now(), "changed while being read"))
        unreadable = [p for p in progress if isinstance(p.reading.failure, DeferredError)]
        for p in unreadable:
            retry_at = _now() + timedelta(seconds=_UNREADABLE_AGAIN_S)
            self._patiently(partial(self.ledger.defer, [p.claim], retry_at, str(p.reading.failure)))
            self.counts.files[FileState.DEFERRED] += 1
            log.warning(
                "file.deferred", path=p.claim.file.name, error=str(p.reading.failure), retry_at=retry_at.isoformat()
            )
        return [claim.file for claim in unsettled]

    # Storing

    def _store(self, batch: Sequence[FileOutcome], part: ExtractionResult | None = None, *, last: bool = True) -> None:
        """Store some files in one transaction; a fault of ours in one of them does not stop the others."""
        self._keep_leases()
        now = _now()
        before = [p.kept() for p in batch]

        def attempt() -> list[FileResult]:
            for p, start in zip(batch, before, strict=True):
                p.go_back(start)
            return self._transact(batch, part, now, last=last)

        try:
            settlements = self._patiently(attempt)
        except ShutdownRequested:
            raise
        except Exception as error:
            self._recorder.forget()
            if len(batch) > 1:
                for p in batch:
                    self._store([p])
                return
            log.exception("file.failed", path=batch[0].claim.file.name)
            failure = UnusableError(Reason.INTERNAL, "".join(traceback.format_exception(error, limit=-4)))
            batch[0].reading = replace(batch[0].reading, articles=(), fingerprints=(), failure=failure)
            settlements = self._patiently(lambda: self._transact(batch, None, now, last=True))
        self._recorder.tidy()
        by_claim = {p.claim.id: p for p in batch}
        for settlement in settlements:
            report(by_claim[settlement.claim.id], settlement, self.counts)
        if self._after != "keep":
            self._dispose([finished(s, now) for s in settlements])

    def _transact(
        self, batch: Sequence[FileOutcome], part: ExtractionResult | None, now: datetime, *, last: bool
    ) -> list[FileResult]:
        with self.counts.timed("store"), self._database.begin_write() as connection:
            held = self.ledger.find_leased(connection, [p.claim for p in batch])
            before = self._not_held([p.claim for p in batch if p.claim.id not in held], connection)
            batch = [p for p in batch if p.claim.id in held]
            stored = self.ledger.find_by_hash(connection, [p.reading.sha256 for p in batch if p.reading.sha256])
            fresh = [(p, part or p.reading) for p in batch if p.reading.sha256 not in stored]
            first = _once(fresh)
            self._recorder.record(connection, first, now)
            stored |= {p.reading.sha256 or "": p.first_article for p, _ in first}
            settlements = [p.settlement(stored) for p in batch] if last else []
            self.ledger.complete(connection, settlements, now)
        return before + settlements

    def _not_held(self, claims: Sequence[Claim], connection: Connection) -> list[FileResult]:
        """Return what is settled already: the connection broke when all was committed, and before we were told."""
        settled = self.ledger.find_completed(connection, claims) if claims else []
        known = {settlement.claim.id for settlement in settled}
        for claim in claims:
            if claim.id not in known:
                log.warning("file.taken_over", path=claim.file.name, hint="another process has it; nothing was stored")
        return settled

    # Leaving

    def _dispose(self, files: Sequence[CompletedFile]) -> None:
        """Have files moved out of the folder, beside all other work."""
        files = [file for file in files if file.state is not FileState.VANISHED]
        if files:
            moves = [move_of(file, self._after) for file in files]
            self._leaving.append(PendingMoves(files, moves, self.workers.move(moves)))

    def _note_moves(self, within_s: float | None = 0.0) -> None:
        """Write down where files have gone whose move ends within so many seconds; None: all, however long it takes."""
        wait([leaving.moved for leaving in self._leaving], within_s)
        names: list[tuple[int, str]] = []
        while self._leaving and self._leaving[0].moved.done():
            leaving = self._leaving.popleft()
            try:
                moved = leaving.moved.result()
            except (BrokenProcessPool, CancelledError):  # the process died, of a file that it was reading
                moved = moves.move(leaving.moves)
            names += gone(leaving.files, moved, self._after, self._settings.watch.done_suffix)
        self._patiently(lambda: self.ledger.record_moves(names))

    def _keep_leases(self) -> None:
        """Say that the files in hand are still being worked on, well before anyone could take them over."""
        if time.monotonic() - self._renewed > self._settings.database.lease_seconds / 3:
            self._patiently(lambda: self.ledger.renew(_now()))
            self._renewed = time.monotonic()

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """Do work on the database, waiting as long as the database or the disk is away. Charges no file."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return work()
            except TRANSIENT_DB_ERRORS as error:
                self._recorder.forget()
                log.warning("database.away", error=str(error.orig), retry_in_s=pause)
                if self.stop_waiting(pause):
                    raise ShutdownRequested from error
                pause = min(2 * pause, self._settings.database.retry_seconds)


def _read_together(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    """Divide files among the readers: few large ones at a time, so that each has some and none takes long."""
    begin = size = 0
    for at, claim in enumerate(claims):
        size += claim.file.size
        if size >= _READ_TOGETHER_BYTES:
            yield claims[begin : at + 1]
            begin, size = at + 1, 0
    if begin < len(claims):
        yield claims[begin:]


def _to_give_back(progress: FileOutcome) -> bool:
    return isinstance(progress.reading.failure, (UnsettledError, DeferredError))


def _once(files: Sequence[tuple[FileOutcome, ExtractionResult]]) -> list[tuple[FileOutcome, ExtractionResult]]:
    """Leave out files whose bytes another file of the batch has; they are settled as duplicates of it."""
    first: dict[str | None, tuple[FileOutcome, ExtractionResult]] = {}
    for progress, reading in files:
        first.setdefault(reading.sha256, (progress, reading))
    return list(first.values())


def _now() -> datetime:
    return datetime.now(UTC)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
