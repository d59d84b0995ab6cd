"""Batches in the hands of the readers, oldest first; files under suspicion, read alone; files given back unread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from ingestd.core.source_file import FileState, Reason, SeenFile
from ingestd.core.stats import IngestStats
from ingestd.errors import DeferredError, UnsettledError, UnusableError
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.pipeline.limits import PipelineLimits, make_read_limits
from ingestd.settings import FormatSettings
from ingestd.store.claims import Claim
from ingestd.store.ledger import Ledger
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.faults import make_failure
from ingestd.workers.lane import OverdueError
from ingestd.workers.pool import Workers

log = structlog.get_logger()

# Batches that are read and wait to be stored, until no more files are claimed. At 100 files a second a file waits 96 ms
# with 2, and 147 ms without this bound, in rows of ever so small batches (medians of 4 and 6 runs, 2 cores).
_READ_AHEAD = 2
_WATCHED_SUSPECTS = 64  # waited for, and stored in a transaction: readers take the files up in this order


@dataclass(slots=True, eq=False)
class InFlightBatch:
    """Claimed files in the hands of a reader."""

    claims: Sequence[Claim]
    results: Future[list[ExtractionResult]]
    claimed_at: float  # time.monotonic()
    reported_at: float  # time.monotonic() of the last `batch.slow`, or of the claim
    began_at: float | None = None  # time.monotonic() when a reader was first seen at work
    ended_at: float | None = None  # time.monotonic() when the results were first seen


class ReadingQueue:
    """
    Batches being read, in the order of the claims; and files under suspicion, each read alone.

    Under suspicion is each file of a batch whose reader died, took too long, or ran out of memory.
    """

    def __init__(self, workers: Workers, formats: FormatSettings, limits: PipelineLimits) -> None:
        """Begin with no batch."""
        self._workers, self._formats, self._limits = workers, formats, limits
        self._batches: deque[InFlightBatch] = deque()
        self._suspects: list[InFlightBatch] = []  # of a single file each

    def __len__(self) -> int:
        return len(self._batches) + len(self._suspects)

    @property
    def full(self) -> bool:
        """
        Whether every reader has enough to do: a batch beyond the patience counts for nothing, up to a bound.

        Also while batches that are read wait to be stored: files that are claimed later make fewer and larger batches.
        """
        most = self._workers.processes
        if sum(batch.results.done() for batch in self._batches) >= _READ_AHEAD:
            return True
        if len(self._suspects) > self._limits.most_suspects or len(self._batches) > most + self._limits.most_overdue:
            return True
        overdue_since = time.monotonic() - self._limits.patience_s
        return sum(batch.began_at is None or batch.began_at > overdue_since for batch in self._batches) > most

    @property
    def claims(self) -> list[Claim]:
        """The claims of all batches."""
        return [claim for batch in (*self._batches, *self._suspects) for claim in batch.claims]

    @property
    def pending(self) -> list[Future[Any]]:
        """The work next in turn: the oldest batch, and files under suspicion."""
        oldest = [self._batches[0].results] if self._batches else []
        return [*oldest, *(suspect.results for suspect in self._suspects[:_WATCHED_SUSPECTS])]

    def start_reading(self, claims: Sequence[Claim]) -> None:
        """Have claimed files read, a few large or many small files at a time."""
        for together in split_by_size(claims, self._limits.read_together_bytes):
            now = time.monotonic()
            self._batches.append(InFlightBatch(together, self._read(together), now, now))

    def read_alone(self, claims: Sequence[Claim]) -> None:
        """Have each of some claimed files read in a process that reads nothing else meanwhile."""
        now = time.monotonic()
        self._suspect(claims, now, now)

    def take_next(self) -> list[FileOutcome]:
        """
        Return the outcomes of the next batch, and of files read alone.

        Next is the oldest batch, or one behind it that has been waiting for it beyond the patience.
        """
        now = time.monotonic()
        for batch in (*self._batches, *self._suspects):
            self._note_progress(batch, now)
        outcomes: list[FileOutcome] = []
        if (ready := self._find_next(now)) is not None:
            self._batches.remove(ready)
            outcomes += self._list_outcomes(ready)
        done = [suspect for suspect in self._suspects if suspect.results.done()][:_WATCHED_SUSPECTS]
        if done:
            self._suspects = [suspect for suspect in self._suspects if suspect not in done]
            outcomes += [_make_outcome_alone(suspect, self._workers.limits.alone_s) for suspect in done]
        return outcomes

    def drop_batches(self) -> None:
        """Let go of all batches."""
        self._batches.clear()
        self._suspects.clear()

    def _read(self, claims: Sequence[Claim]) -> Future[list[ExtractionResult]]:
        return self._workers.read_files([claim.file for claim in claims], make_read_limits(self._formats))

    def _note_progress(self, batch: InFlightBatch, now: float) -> None:
        if batch.results.done():
            batch.ended_at = batch.ended_at or now
        elif batch.began_at is None and batch.results.running():
            batch.began_at = now
        if not batch.results.done() and now - batch.reported_at >= self._limits.slow_s:
            batch.reported_at = now
            _report_slow(batch.claims, now - batch.claimed_at)

    def _find_next(self, now: float) -> InFlightBatch | None:
        if not self._batches or self._batches[0].results.done():
            return self._batches[0] if self._batches else None
        waited_since = now - self._limits.patience_s
        waiting = [batch for batch in self._batches if batch.ended_at is not None and batch.ended_at <= waited_since]
        return waiting[0] if waiting else None

    def _list_outcomes(self, batch: InFlightBatch) -> list[FileOutcome]:
        """Return the outcomes of the files of a batch that has ended, without those under suspicion from now on."""
        try:
            results = batch.results.result(timeout=0)
        except Exception as error:  # noqa: BLE001 - whatever became of the process; each file tells for itself
            event = "worker.overdue" if isinstance(error, OverdueError) else "worker.failed"
            event = "worker.died" if isinstance(error, (BrokenProcessPool, CancelledError)) else event
            hint = "reading the files of its batch one by one"
            log.warning(event, files=len(batch.claims), error=repr(error), hint=hint)
            self._suspect(batch.claims, batch.claimed_at, batch.reported_at)
            return []
        read = list(zip(batch.claims, results, strict=True))
        lacking = [claim for claim, result in read if _lacked_memory(result)]
        self._suspect(lacking, batch.claimed_at, batch.reported_at)
        return [FileOutcome(claim, r, batch.claimed_at) for claim, r in read if not _lacked_memory(r)]

    def _suspect(self, claims: Sequence[Claim], claimed_at: float, reported_at: float) -> None:
        """Have each file read alone; the times are those of `InFlightBatch`."""
        for claim in claims:
            results = self._workers.read_alone(claim.file, make_read_limits(self._formats))
            self._suspects.append(InFlightBatch([claim], results, claimed_at, reported_at))


class UnreadFiles:
    """Gives unread files back, with no attempt charged."""

    def __init__(self, ledger: Ledger, retry: DatabaseRetry, stats: IngestStats, retry_s: float) -> None:
        """`retry_s`: until a file without read permission is tried again."""
        self._ledger, self._retry, self._stats, self._retry_s = ledger, retry, stats, retry_s

    def give_back(self, outcomes: Sequence[FileOutcome]) -> list[SeenFile]:
        """Defer every unread file among some outcomes; return files changed during the reading."""
        changed = [o.claim for o in outcomes if isinstance(o.extraction.failure, UnsettledError)]
        if changed:
            self._retry.call(lambda: self._ledger.defer(changed, datetime.now(UTC), "changed while being read"))
        for outcome in outcomes:
            if isinstance(outcome.extraction.failure, DeferredError):
                self._defer(outcome.claim, outcome.extraction.failure)
        return [claim.file for claim in changed]

    def _defer(self, claim: Claim, error: DeferredError) -> None:
        retry_at = datetime.now(UTC) + timedelta(seconds=self._retry_s)
        self._retry.call(lambda: self._ledger.defer([claim], retry_at, str(error)))
        self._stats.files[FileState.DEFERRED] += 1
        log.warning("file.deferred", path=claim.file.name, error=str(error), retry_at=retry_at.isoformat())


def is_unread(outcome: FileOutcome) -> bool:
    """Tell whether a file is to be given back."""
    return isinstance(outcome.extraction.failure, (UnsettledError, DeferredError))


def split_by_size(claims: Sequence[Claim], together_bytes: int) -> Iterator[Sequence[Claim]]:
    """Divide files among the readers: few large files at a time, so each reader has some and none takes long."""
    begin = size = 0
    for at, claim in enumerate(claims):
        size += claim.file.size
        if size >= together_bytes:
            yield claims[begin : at + 1]
            begin, size = at + 1, 0
    if begin < len(claims):
        yield claims[begin:]


def _make_outcome_alone(suspect: InFlightBatch, limit_s: float) -> FileOutcome:
    """Return the outcome of a file that was read alone: what happened is on account of the file."""
    (claim,) = suspect.claims
    try:
        (result,) = suspect.results.result(timeout=0)
    except OverdueError:
        failure = UnusableError(Reason.TIMEOUT, f"reading took more than ingest.read_seconds = {limit_s:g}")
        result = ExtractionResult(claim.file, failure=failure)
    except (BrokenProcessPool, CancelledError):
        failure = UnusableError(Reason.INTERNAL, "the process that read the file died")
        result = ExtractionResult(claim.file, failure=failure)
    except Exception as error:  # noqa: BLE001 - whatever the process could not send
        result = ExtractionResult(claim.file, failure=make_failure(error))
    return FileOutcome(claim, result, suspect.claimed_at)


def _lacked_memory(result: ExtractionResult) -> bool:
    """Tell whether a reader ran out of memory: perhaps on account of another file."""
    failure = result.failure
    if isinstance(failure, UnusableError) and failure.reason is Reason.MEMORY:
        return True
    return any(problem.reason is Reason.MEMORY for problem in result.rejected)


def _report_slow(claims: Sequence[Claim], waited_s: float) -> None:
    paths = [claim.file.name for claim in claims[:3]]
    log.warning("batch.slow", stage="read", files=len(claims), paths=paths, waited_s=round(waited_s))
