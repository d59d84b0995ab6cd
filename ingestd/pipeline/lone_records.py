"""The records of a chunk extracted one by one, after a reader died of the chunk or took too long."""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool

from ingestd.core.source_file import Reason, Rejected, SeenFile
from ingestd.errors import UnusableError
from ingestd.formats import ReadLimits, Record
from ingestd.workers.chunks import Chunk
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.faults import make_failure
from ingestd.workers.lane import OverdueError
from ingestd.workers.pool import Workers

MOST_TIMEOUTS = 8  # records of one file that may take too long: each costs a reader a minute by default


class LoneRecords:
    """The records of one chunk on the way, each in a process of its own; a record that fails is rejected."""

    def __init__(
        self, file: SeenFile, chunk: Chunk, workers: Workers, limits: ReadLimits, timeouts_left: int = MOST_TIMEOUTS
    ) -> None:
        """Begin with the first records; after `timeouts_left` more records that take too long the file ends."""
        self.timeouts_left = timeouts_left
        self._file, self._chunk, self._workers, self._limits = file, chunk, workers, limits
        self._waiting = deque(chunk.records)
        self._at_work: deque[tuple[Record, Future[ExtractionResult]]] = deque()
        self._parts: list[ExtractionResult] = []
        self._go_on()

    @property
    def pending(self) -> Future[ExtractionResult] | None:
        """The record next in turn; None: all have ended."""
        self._go_on()
        return self._at_work[0][1] if self._at_work else None

    def combine(self) -> ExtractionResult:
        """Return the result of the chunk, after the last record has ended."""
        failure = self._chunk.failure
        if not self.timeouts_left:
            limit_s = self._workers.limits.alone_s
            detail = f"{MOST_TIMEOUTS} records took more than ingest.read_seconds = {limit_s:g}; the rest was not read"
            failure = UnusableError(Reason.TIMEOUT, detail)
        return ExtractionResult(
            self._file,
            self._chunk.sha256,
            tuple(article for part in self._parts for article in part.articles),
            tuple(fingerprint for part in self._parts for fingerprint in part.fingerprints),
            (*self._chunk.rejected, *(rejected for part in self._parts for rejected in part.rejected)),
            self._chunk.skipped,
            failure,
        )

    def _go_on(self) -> None:
        """Take the results that are there, in order, and keep the readers busy."""
        while self._at_work and self._at_work[0][1].done():
            record, future = self._at_work.popleft()
            self._parts.append(self._take_result(record, future))
        if not self.timeouts_left:
            self._waiting.clear()
        while self._waiting and len(self._at_work) <= 2 * self._workers.processes:
            record = self._waiting.popleft()
            single = Chunk((record,), (), {}, self._chunk.sha256, 0, last=False)
            self._at_work.append((record, self._workers.extract_alone(self._file, single, self._limits)))

    def _take_result(self, record: Record, future: Future[ExtractionResult]) -> ExtractionResult:
        try:
            return future.result(timeout=0)
        except OverdueError:
            self.timeouts_left = max(0, self.timeouts_left - 1)
            limit_s = self._workers.limits.alone_s
            detail = f"reading took more than ingest.read_seconds = {limit_s:g}"
            problem = Rejected(record.record_no, Reason.TIMEOUT, detail)
        except (BrokenProcessPool, CancelledError):
            problem = Rejected(record.record_no, Reason.INTERNAL, "the process that read the record died")
        except Exception as error:  # noqa: BLE001 - whatever the process did not survive, or could not send
            failure = make_failure(error)
            problem = Rejected(record.record_no, failure.reason, failure.detail)
        return ExtractionResult(self._file, rejected=(problem,))
