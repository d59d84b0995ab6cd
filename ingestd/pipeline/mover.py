"""Files on the way out of the folder: moved by worker processes after the commit, then recorded in the ledger."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from ingestd.archive import moves
from ingestd.archive.policy import FinishedMoves, MovePolicy, finish_moves, plan_move
from ingestd.core.source_file import FileStamp, FileState, Reason, SeenFile
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.store.claims import CompletedFile
from ingestd.store.ledger import Ledger
from ingestd.workers.pool import Workers

log = structlog.get_logger()


class _FileKey(NamedTuple):
    """A version of a file."""

    root: str
    path: bytes
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class PendingMoves:
    """Finished files, and the moves in a worker process."""

    files: Sequence[CompletedFile]
    moves: Sequence[moves.Move]
    results: Future[list[str | OSError | None]]
    keys: frozenset[_FileKey]
    again: bool  # whether the moves failed before


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRetries:
    """Pauses between attempts to move files that could not be moved; the times are those of `database.away`."""

    first_pause_s: float = 5.0  # doubled with every attempt that moves no file
    longest_pause_s: float = 300.0


_DEFAULT_RETRIES = MoveRetries()


class FileMover:
    """Moves finished files out of the folder, beside all other work; failed moves are tried again."""

    def __init__(  # noqa: PLR0913 - the last three are for tests
        self,
        workers: Workers,
        ledger: Ledger,
        retry: DatabaseRetry,
        policy: MovePolicy,
        slow_s: float,
        *,
        check_database: Callable[[], None],
        retries: MoveRetries = _DEFAULT_RETRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Begin with no moves.

        Args:
            workers: make the moves.
            ledger: records the new names.
            retry: for writes to the ledger.
            policy: the place of a finished file; with "keep" nothing is ever moved.
            slow_s: length of a wait until a log line.
            check_database: raises an error if the database that says what is stored is not there any more.
            retries: pauses between the attempts of failed moves.
            clock: seconds of any origin.
        """
        self._workers, self._ledger, self._retry = workers, ledger, retry
        self._policy, self._slow_s, self._check_database = policy, slow_s, check_database
        self._retries, self._clock = retries, clock
        self._failed: dict[_FileKey, CompletedFile] = {}
        self._pause_s, self._retry_at = retries.first_pause_s, 0.0
        self._pending: deque[PendingMoves] = deque()

    def holds(self, file: SeenFile) -> bool:
        """Tell whether a file is on the way out, in this version: then no reader may have the file."""
        key = _FileKey(file.root, file.path, file.stamp)
        return key in self._failed or any(key in pending.keys for pending in self._pending)

    def start_moves(self, files: Sequence[CompletedFile], *, again: bool = False) -> None:
        """Have files moved; a vanished file has nothing to move, and a pipe, socket or device is never touched."""
        files = [f for f in files if f.state is not FileState.VANISHED and f.reason != Reason.NOT_REGULAR]
        if files and self._policy.after != "keep":
            self._check_database()
            planned = [plan_move(file, self._policy.after) for file in files]
            keys = frozenset(_FileKey(file.root, file.path, file.stamp) for file in files)
            self._pending.append(PendingMoves(files, planned, self._workers.move_files(planned), keys, again))

    def finish_earlier_moves(self, roots: Sequence[str]) -> int:
        """Make the moves left by an earlier process; return the number of files."""
        if self._policy.after == "keep":
            return 0
        files = self._retry.call(lambda: self._ledger.find_pending_moves(roots))
        self.start_moves(files)
        self._record_all()
        return len(files)

    def record_finished(self, within_s: float = 0.0) -> None:
        """Record the new names of files moved within so many seconds, and begin failed moves again when it is time."""
        if self._failed and self._clock() >= self._retry_at:
            failed, self._failed = self._failed, {}
            self._retry_at = self._clock() + self._pause_s  # until the results are there
            self.start_moves(list(failed.values()), again=True)
        wait([pending.results for pending in self._pending], within_s)
        names: list[tuple[int, str]] = []
        while self._pending and self._pending[0].results.done():
            pending = self._pending.popleft()
            try:
                results = pending.results.result(timeout=0)
            except (BrokenProcessPool, CancelledError):  # the process died, of a file that it was reading
                results = moves.move_files(pending.moves)
            finished = finish_moves(pending.files, results, self._policy)
            names += finished.names
            self._note_failures(pending, finished)
        self._retry.call(lambda: self._ledger.record_moves(names))

    def drop_moves(self) -> None:
        """Forget moves in flight: the next start finds the files again."""
        self._pending.clear()
        self._failed.clear()

    def _note_failures(self, pending: PendingMoves, finished: FinishedMoves) -> None:
        """Keep files that could not be moved for another attempt; log each file once, and further attempts together."""
        if not finished.failed:
            if pending.again:
                log.info("moves.recovered", files=len(pending.files))
                self._pause_s = self._retries.first_pause_s
            return
        if pending.again and not finished.names:
            self._pause_s = min(2 * self._pause_s, self._retries.longest_pause_s)
        elif not self._failed:
            self._pause_s = self._retries.first_pause_s
        self._retry_at = self._clock() + self._pause_s
        for file, error in finished.failed:
            self._failed[_FileKey(file.root, file.path, file.stamp)] = file
            if not pending.again:
                log.warning("file.not_moved", path=os.fsdecode(file.path), error=str(error), retry_in_s=self._pause_s)
        if pending.again:
            error = finished.failed[0][1]
            log.warning("files.not_moved", files=len(finished.failed), error=str(error), retry_in_s=self._pause_s)

    def _record_all(self) -> None:
        started = time.monotonic()
        while self._pending:
            self.record_finished(self._slow_s)
            if self._pending:
                files, waited_s = sum(len(p.files) for p in self._pending), time.monotonic() - started
                log.warning("batch.slow", stage="move", files=files, waited_s=round(waited_s))
