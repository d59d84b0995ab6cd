"""Files read in chunks: cut up in a single process, extracted in several processes, stored in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import structlog

from ingestd.core.source_file import Reason
from ingestd.errors import UnusableError
from ingestd.formats import ReadLimits
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.pipeline.limits import make_read_limits
from ingestd.pipeline.lone_records import MOST_TIMEOUTS, LoneRecords
from ingestd.settings import FormatSettings
from ingestd.store.claims import Claim
from ingestd.workers.chunk_reader import ChunkReader
from ingestd.workers.chunks import Chunk
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.faults import make_failure
from ingestd.workers.lane import OverdueError
from ingestd.workers.pool import Workers

log = structlog.get_logger()

_REPORT_EVERY_S = 30.0
_DONE: Future[Any] = Future()
_DONE.set_result(None)


class LargeFile:
    """A file on the way, a chunk at a time; no more than a few chunks are in memory."""

    def __init__(self, outcome: FileOutcome, workers: Workers, limits: ReadLimits, slow_s: float) -> None:
        """Begin to cut the file up; a chunk slower than `slow_s` seconds is reported."""
        self.outcome = outcome
        self.chunks = self.bytes_read = 0  # of the chunks handed out
        self._workers, self._limits, self._slow_s = workers, limits, slow_s
        self._reader = ChunkReader(outcome.claim.file, limits, workers.limits, apart=workers.processes > 0)
        self._cutting: Future[Chunk] | None = self._reader.read_next()
        self._ahead: deque[tuple[Chunk, Future[ExtractionResult]]] = deque()
        self._alone: LoneRecords | None = None  # instead of the first chunk ahead
        self._timeouts_left = MOST_TIMEOUTS
        self._reported_at = self._last_chunk_at = time.monotonic()

    @property
    def pending(self) -> Future[Any]:
        """The work that has to end before there may be a next chunk."""
        self._read_ahead()
        if self._alone is not None:
            return self._alone.pending or _DONE
        return self._ahead[0][1] if self._ahead else self._cutting or _DONE

    @property
    def percent_read(self) -> float:
        """Share of the file in the chunks handed out."""
        return 100 * self.bytes_read / max(1, self.outcome.claim.file.size)

    def take_next(self) -> tuple[ExtractionResult, bool] | None:
        """Return the articles of the next chunk, and whether the chunk is the last; None: not ready yet."""
        self._read_ahead()
        extraction = self._take_extraction()
        if extraction is None:
            self._report_if_slow()
            return None
        chunk, _ = self._ahead.popleft()
        self._read_ahead()
        self.chunks += 1
        self.bytes_read = chunk.bytes_read
        self._last_chunk_at = time.monotonic()
        return extraction, chunk.last or extraction.failure is not None

    def report_progress(self) -> None:
        """Log how much of the file has been read, every now and then."""
        if time.monotonic() - self._reported_at > _REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            log.info(
                "file.progress",
                path=self.outcome.claim.file.name,
                percent=round(self.percent_read, 1),
                new=self.outcome.new,
                repeats=self.outcome.repeats,
            )

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._cutting = self._alone = None
        for _, future in self._ahead:
            future.cancel()  # no reader is to begin with it
        self._ahead.clear()

    def _read_ahead(self) -> None:
        """Keep every worker busy, and the next chunk in the making."""
        while self._cutting is not None and self._cutting.done() and len(self._ahead) <= 2 * self._workers.processes:
            try:
                chunk = self._cutting.result(timeout=0)
            except Exception as error:  # noqa: BLE001 - whatever became of the process
                failure = _explain_failure(error, self._workers.limits.alone_s)
                chunk = Chunk((), (), {}, None, self.bytes_read, last=True, failure=failure)
            self._cutting = None if chunk.last else self._reader.read_next()
            self._ahead.append((chunk, self._workers.extract(self.outcome.claim.file, chunk, self._limits)))

    def _take_extraction(self) -> ExtractionResult | None:
        """Return the articles of the next chunk, if extracted; after a fault the records are extracted one by one."""
        if self._alone is not None:
            if self._alone.pending is not None:
                return None
            extraction, self._timeouts_left = self._alone.combine(), self._alone.timeouts_left
            self._alone = None
            return extraction
        if not self._ahead or not self._ahead[0][1].done():
            return None
        chunk, future = self._ahead[0]
        try:
            return future.result(timeout=0)
        except Exception as error:  # noqa: BLE001 - whatever became of the process; each record tells for itself
            file = self.outcome.claim.file
            hint = "reading its records one by one"
            log.warning("worker.failed", path=file.name, records=len(chunk.records), error=repr(error), hint=hint)
            self._alone = LoneRecords(file, chunk, self._workers, self._limits, self._timeouts_left)
            return self._take_extraction()

    def _report_if_slow(self) -> None:
        now = time.monotonic()
        if now - max(self._last_chunk_at, self._reported_at) >= self._slow_s:
            self._reported_at = now
            waited_s = round(now - self._last_chunk_at)
            log.warning("batch.slow", stage="read a chunk", paths=[self.outcome.claim.file.name], waited_s=waited_s)


def _explain_failure(error: Exception, limit_s: float) -> UnusableError:
    """Return the end of a file whose next chunk was not cut off."""
    if isinstance(error, OverdueError):
        return UnusableError(Reason.TIMEOUT, f"cutting off records took more than ingest.read_seconds = {limit_s:g}")
    if isinstance(error, (BrokenProcessPool, CancelledError)):
        return UnusableError(Reason.INTERNAL, "the process that read the file died")
    return make_failure(error)


class LargeFileQueue:
    """Large files in order of arrival; a single file at a time is read."""

    def __init__(self, workers: Workers, formats: FormatSettings, slow_s: float) -> None:
        """Begin with no file."""
        self.current: LargeFile | None = None
        self._workers, self._formats, self._slow_s = workers, formats, slow_s
        self._waiting: deque[FileOutcome] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + (self.current is not None)

    @property
    def claims(self) -> list[Claim]:
        """The claims of all files."""
        current = [self.current.outcome] if self.current else []
        return [outcome.claim for outcome in (*current, *self._waiting)]

    def add_outcomes(self, outcomes: Sequence[FileOutcome]) -> None:
        """Queue files too large to be read at once."""
        self._waiting.extend(outcomes)

    def start_next(self) -> None:
        """Begin with the next file, unless another is being read or none is waiting."""
        if self.current is None and self._waiting:
            limits = make_read_limits(self._formats)
            self.current = LargeFile(self._waiting.popleft(), self._workers, limits, self._slow_s)

    def close_current(self) -> None:
        """Let go of the file being read."""
        if self.current:
            self.current.close()
            self.current = None

    def drop_files(self) -> None:
        """Let go of all files."""
        self._waiting.clear()
        self.close_current()
