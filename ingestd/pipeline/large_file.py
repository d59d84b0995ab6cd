"""Files that are read in pieces: cut up in one process, understood in all of them, stored in order."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import structlog

from ingestd.errors import Reason, UnusableError
from ingestd.formats import ReadLimits, Rejected
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.workers.pool import Chunk, ChunkReader, ExtractionResult, Workers

log = structlog.get_logger()

_SAY_EVERY_S = 30.0
_NOTHING: Future[Any] = Future()
_NOTHING.set_result(None)


class LargeFile:
    """One file on its way, a piece at a time, with no more of it in memory than a few pieces."""

    def __init__(self, progress: FileOutcome, workers: Workers, context: ReadLimits) -> None:
        """Begin to cut it up."""
        self.progress = progress
        self.pieces = self.bytes_read = 0  # of what has been handed out
        self._workers, self._context = workers, context
        self._cutter = ChunkReader(progress.claim.file, context, apart=workers.processes > 0)
        self._cutting: Future[Chunk] | None = self._cutter.next()
        self._ahead: deque[tuple[Chunk, Future[ExtractionResult]]] = deque()
        self._said = time.monotonic()

    @property
    def waiting_for(self) -> Future[Any]:
        """What has to be done before there may be a next piece."""
        self._look_ahead()
        return self._ahead[0][1] if self._ahead else self._cutting or _NOTHING

    def next(self) -> tuple[ExtractionResult, bool] | None:
        """Return the next piece and whether it is the last; None: it is not ready yet."""
        self._look_ahead()
        if not self._ahead or not self._ahead[0][1].done():
            return None
        cut, future = self._ahead.popleft()
        try:
            reading = future.result()
        except BrokenProcessPool:
            reading = self._one_by_one(cut)
        self._look_ahead()
        self.pieces += 1
        self.bytes_read = cut.bytes_read
        return reading, cut.last

    def say_how_far(self) -> None:
        """Log how far it has come, now and then."""
        if time.monotonic() - self._said > _SAY_EVERY_S:
            self._said = time.monotonic()
            file = self.progress.claim.file
            log.info(
                "file.progress",
                path=file.name,
                percent=round(100 * self.bytes_read / max(1, file.size), 1),
                new=self.progress.new,
                repeats=self.progress.repeats,
            )

    def close(self) -> None:
        """Let go of it."""
        self._cutter.close()
        self._cutting = None
        self._ahead.clear()

    def _look_ahead(self) -> None:
        """Keep every worker busy, and the next piece in the making."""
        while self._cutting is not None and self._cutting.done() and len(self._ahead) <= 2 * self._workers.processes:
            try:
                cut = self._cutting.result()
            except BrokenProcessPool:
                failure = UnusableError(Reason.INTERNAL, "the process that read the file died")
                cut = Chunk((), (), {}, None, self.bytes_read, last=True, failure=failure)
            self._cutting = None if cut.last else self._cutter.next()
            self._ahead.append((cut, self._workers.understand(self.progress.claim.file, cut, self._context)))

    def _one_by_one(self, cut: Chunk) -> ExtractionResult:
        """Find the record that a worker died of: each in a process that nothing else depends on."""
        file = self.progress.claim.file
        log.error("worker.died", path=file.name, records=len(cut.records), hint="reading its records one by one")
        parts: list[ExtractionResult] = []
        for record in cut.records:
            one = Chunk((record,), (), {}, cut.sha256, 0, last=False)
            try:
                parts.append(self._workers.understand(file, one, self._context).result())
            except BrokenProcessPool:
                self._workers.restart()
                dead = Rejected(record.record_no, Reason.INTERNAL, "the process that read the record died")
                parts.append(ExtractionResult(file, rejected=(dead,)))
        return ExtractionResult(
            file,
            cut.sha256,
            tuple(article for part in parts for article in part.articles),
            tuple(made for part in parts for made in part.fingerprints),
            (*cut.rejected, *(r for part in parts for r in part.rejected)),
            cut.skipped,
            cut.failure,
        )
