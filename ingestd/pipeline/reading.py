"""Batches in the hands of the readers, oldest first; the death of a reader; files given back unread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from ingestd.core.source_file import FileState, Reason, SeenFile
from ingestd.core.stats import IngestStats
from ingestd.errors import DeferredError, UnsettledError, UnusableError
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.pipeline.limits import PipelineLimits, await_result, make_read_limits
from ingestd.settings import FormatSettings
from ingestd.store.ledger import Claim, Ledger
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.pool import Workers

log = structlog.get_logger()


@dataclass(slots=True)
class InFlightBatch:
    """Claimed files in the hands of a reader."""

    claims: Sequence[Claim]
    results: Future[list[ExtractionResult]]
    claimed_at: float  # time.monotonic()
    reported_at: float  # time.monotonic() of the last `batch.slow`, or of the claim


class ReadingQueue:
    """Batches being read, in the order of the claims."""

    def __init__(self, workers: Workers, formats: FormatSettings, limits: PipelineLimits) -> None:
        """Begin with no batch."""
        self._workers, self._formats, self._limits = workers, formats, limits
        self._batches: deque[InFlightBatch] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def claims(self) -> list[Claim]:
        """The claims of all batches."""
        return [claim for batch in self._batches for claim in batch.claims]

    @property
    def oldest(self) -> Future[list[ExtractionResult]] | None:
        """The results of the batch next in turn."""
        return self._batches[0].results if self._batches else None

    def start_reading(self, claims: Sequence[Claim]) -> None:
        """Have claimed files read, a few large or many small files at a time."""
        for together in split_by_size(claims, self._limits.read_together_bytes):
            now = time.monotonic()
            self._batches.append(InFlightBatch(together, self._read(together), now, now))

    def take_oldest(self) -> list[FileOutcome]:
        """Return the outcomes of the oldest batch, and let go of the batch; nothing while the reading goes on."""
        if not self._batches:
            return []
        batch = self._batches[0]
        if not batch.results.done():
            self._report_if_slow(batch)
            return []
        try:
            results = batch.results.result(timeout=0)
        except CancelledError:  # the processes were restarted for the sake of other files
            batch.results = self._read(batch.claims)
            return []
        except BrokenProcessPool:
            results = self._read_one_by_one(batch)
        self._batches.popleft()
        return [FileOutcome(c, r, batch.claimed_at) for c, r in zip(batch.claims, results, strict=True)]

    def drop_batches(self) -> None:
        """Let go of all batches."""
        self._batches.clear()

    def _read(self, claims: Sequence[Claim]) -> Future[list[ExtractionResult]]:
        return self._workers.read_files([claim.file for claim in claims], make_read_limits(self._formats))

    def _read_one_by_one(self, batch: InFlightBatch) -> list[ExtractionResult]:
        """Read each file in a new process, to find the cause of a worker's death."""
        log.error("worker.died", files=len(batch.claims), hint="reading the files of its batch one by one")
        results: list[ExtractionResult] = []
        for claim in batch.claims:
            self._workers.restart()
            report_slow = partial(_report_slow, [claim])
            try:
                (result,) = await_result(self._read([claim]), report_slow, self._limits.slow_s)
                results.append(result)
            except BrokenProcessPool:
                failure = UnusableError(Reason.INTERNAL, "the process that read the file died")
                results.append(ExtractionResult(claim.file, failure=failure))
        # Only now: each restart cancels what is waiting for a process.
        for other in self._batches:
            if other is not batch:
                other.results = self._read(other.claims)
        return results

    def _report_if_slow(self, batch: InFlightBatch) -> None:
        now = time.monotonic()
        if now - batch.reported_at >= self._limits.slow_s:
            batch.reported_at = now
            _report_slow(batch.claims, now - batch.claimed_at)


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


def _report_slow(claims: Sequence[Claim], waited_s: float) -> None:
    paths = [claim.file.name for claim in claims[:3]]
    log.warning("batch.slow", stage="read", files=len(claims), paths=paths, waited_s=round(waited_s))
