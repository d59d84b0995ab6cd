"""Files on the way out of the folder: moved by worker processes after the commit, then recorded in the ledger."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import structlog

from ingestd.archive import moves
from ingestd.archive.policy import MovePolicy, finish_moves, plan_move
from ingestd.core.source_file import FileState, Reason
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.store.ledger import CompletedFile, Ledger
from ingestd.workers.pool import Workers

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PendingMoves:
    """Finished files, and the moves in a worker process."""

    files: Sequence[CompletedFile]
    moves: Sequence[moves.Move]
    results: Future[list[str | OSError | None]]


class FileMover:
    """Moves finished files out of the folder, beside all other work."""

    def __init__(
        self, workers: Workers, ledger: Ledger, retry: DatabaseRetry, policy: MovePolicy, slow_s: float
    ) -> None:
        """
        Begin with no moves.

        Args:
            workers: make the moves.
            ledger: records the new names.
            retry: for writes to the ledger.
            policy: the place of a finished file; with "keep" nothing is ever moved.
            slow_s: length of a wait until a log line.
        """
        self._workers, self._ledger, self._retry = workers, ledger, retry
        self._policy, self._slow_s = policy, slow_s
        self._pending: deque[PendingMoves] = deque()

    def start_moves(self, files: Sequence[CompletedFile]) -> None:
        """Have files moved; a vanished file has nothing to move, and a pipe, socket or device is never touched."""
        files = [f for f in files if f.state is not FileState.VANISHED and f.reason != Reason.NOT_REGULAR]
        if files and self._policy.after != "keep":
            planned = [plan_move(file, self._policy.after) for file in files]
            self._pending.append(PendingMoves(files, planned, self._workers.move_files(planned)))

    def finish_earlier_moves(self, roots: Sequence[str]) -> int:
        """Make the moves left by an earlier process; return the number of files."""
        if self._policy.after == "keep":
            return 0
        files = self._retry.call(lambda: self._ledger.find_pending_moves(roots))
        self.start_moves(files)
        self._record_all()
        return len(files)

    def record_finished(self, within_s: float = 0.0) -> None:
        """Record the new names of files moved within so many seconds."""
        wait([pending.results for pending in self._pending], within_s)
        names: list[tuple[int, str]] = []
        while self._pending and self._pending[0].results.done():
            pending = self._pending.popleft()
            try:
                results = pending.results.result(timeout=0)
            except (BrokenProcessPool, CancelledError):  # the process died, of a file that it was reading
                results = moves.move_files(pending.moves)
            names += finish_moves(pending.files, results, self._policy)
        self._retry.call(lambda: self._ledger.record_moves(names))

    def drop_moves(self) -> None:
        """Forget moves in flight: the next start finds the files again."""
        self._pending.clear()

    def _record_all(self) -> None:
        started = time.monotonic()
        while self._pending:
            self.record_finished(self._slow_s)
            if self._pending:
                files, waited_s = sum(len(p.files) for p in self._pending), time.monotonic() - started
                log.warning("batch.slow", stage="move", files=files, waited_s=round(waited_s))
