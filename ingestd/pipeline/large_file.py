"""Files read in chunks: cut up in a single process, extracted in all processes, stored in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

import structlog

from ingestd.core.source_file import Reason, Rejected
from ingestd.errors import UnusableError
from ingestd.formats import ReadLimits
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.pipeline.limits import await_result, make_read_limits
from ingestd.settings import FormatSettings
from ingestd.store.ledger import Claim
from ingestd.workers.chunk_reader import ChunkReader
from ingestd.workers.chunks import Chunk
from ingestd.workers.extract import ExtractionResult
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
        self._reader = ChunkReader(outcome.claim.file, limits, apart=workers.processes > 0)
        self._cutting: Future[Chunk] | None = self._reader.read_next()
        self._ahead: deque[tuple[Chunk, Future[ExtractionResult]]] = deque()
        self._reported_at = self._last_chunk_at = time.monotonic()

    @property
    def pending(self) -> Future[Any]:
        """The work that has to end before there may be a next chunk."""
        self._read_ahead()
        return self._ahead[0][1] if self._ahead else self._cutting or _DONE

    @property
    def percent_read(self) -> float:
        """Share of the file in the chunks handed out."""
        return 100 * self.bytes_read / max(1, self.outcome.claim.file.size)

    def take_next(self) -> tuple[ExtractionResult, bool] | None:
        """Return the articles of the next chunk, and whether the chunk is the last; None: not ready yet."""
        self._read_ahead()
        if not self._ahead or not self._ahead[0][1].done():
            self._report_if_slow()
            return None
        chunk, future = self._ahead.popleft()
        try:
            extraction = future.result(timeout=0)
        except (BrokenProcessPool, CancelledError):
            extraction = self._extract_one_by_one(chunk)
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
        self._cutting = None
        self._ahead.clear()

    def _read_ahead(self) -> None:
        """Keep every worker busy, and the next chunk in the making."""
        while self._cutting is not None and self._cutting.done() and len(self._ahead) <= 2 * self._workers.processes:
            try:
                chunk = self._cutting.result(timeout=0)
            except BrokenProcessPool:
                failure = UnusableError(Reason.INTERNAL, "the process that read the file died")
                chunk = Chunk((), (), {}, None, self.bytes_read, last=True, failure=failure)
            self._cutting = None if chunk.last else self._reader.read_next()
            self._ahead.append((chunk, self._workers.extract(self.outcome.claim.file, chunk, self._limits)))

    def _extract_one_by_one(self, chunk: Chunk) -> ExtractionResult:
        """Extract each record alone, to find the cause of a worker's death."""
        file = self.outcome.claim.file
        log.error("worker.died", path=file.name, records=len(chunk.records), hint="reading its records one by one")
        parts: list[ExtractionResult] = []
        for record in chunk.records:
            single = Chunk((record,), (), {}, chunk.sha256, 0, last=False)
            try:
                future = self._workers.extract(file, single, self._limits)
                parts.append(await_result(future, partial(self._report_slow, record.record_no), self._slow_s))
            except BrokenProcessPool:
                self._workers.restart()
                dead = Rejected(record.record_no, Reason.INTERNAL, "the process that read the record died")
                parts.append(ExtractionResult(file, rejected=(dead,)))
        return ExtractionResult(
            file,
            chunk.sha256,
            tuple(article for part in parts for article in part.articles),
            tuple(fingerprint for part in parts for fingerprint in part.fingerprints),
            (*chunk.rejected, *(rejected for part in parts for rejected in part.rejected)),
            chunk.skipped,
            chunk.failure,
        )

    def _report_if_slow(self) -> None:
        now = time.monotonic()
        if now - max(self._last_chunk_at, self._reported_at) >= self._slow_s:
            self._reported_at = now
            self._report_slow(None, now - self._last_chunk_at)

    def _report_slow(self, record_no: int | None, waited_s: float) -> None:
        log.warning(
            "batch.slow",
            stage="read a chunk",
            paths=[self.outcome.claim.file.name],
            record_no=record_no,
            waited_s=round(waited_s),
        )


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
