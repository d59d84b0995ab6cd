"""A pool of processes to read files, fingerprint articles and move finished files."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from ingestd.archive.moves import Move, move_files
from ingestd.core.article import Article
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.source_file import SeenFile
from ingestd.formats import ReadLimits
from ingestd.workers.chunks import Chunk
from ingestd.workers.extract import ExtractionResult, compute_fingerprints, extract_chunk, read_files
from ingestd.workers.forkserver import run_now, start_executor

_T = TypeVar("_T")

_WARM_UP_S = 0.1  # of doing nothing, so that no process gets the work of two
_START_LIMIT_S = 60.0  # for all processes to start; after that the first files wait for the rest


class Workers:
    """Processes to read files and fingerprint articles. With none, the work is done on the spot."""

    def __init__(self, processes: int) -> None:
        """Start nothing yet: processes begin with the first work, or with `warm_up`."""
        self.processes = processes
        self._executor: ProcessPoolExecutor | None = None

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        """Read files and fingerprint the articles."""
        return self.submit(partial(read_files, tuple(files), limits))

    def fingerprint(self, articles: Sequence[Article]) -> Future[list[Fingerprint]]:
        """Fingerprint articles read before."""
        return self.submit(partial(compute_fingerprints, tuple(articles)))

    def extract(self, file: SeenFile, chunk: Chunk, limits: ReadLimits) -> Future[ExtractionResult]:
        """Turn the records of a chunk into fingerprinted articles."""
        return self.submit(partial(extract_chunk, file, chunk, limits))

    def move_files(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        """Move files: the deciding process would wait for the disk, several times a file."""
        return self.submit(partial(move_files, tuple(moves)))

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Have some work done; the function and the result travel between processes."""
        if not self.processes:
            return run_now(work)
        if self._executor is None:
            self._executor = start_executor(self.processes)
        try:
            return self._executor.submit(work)
        except BrokenProcessPool:
            self.restart()
            return self.submit(work)

    def warm_up(self) -> None:
        """Start all processes now and wait, so the first files do not wait."""
        wait([self.submit(partial(time.sleep, _WARM_UP_S)) for _ in range(self.processes)], _START_LIMIT_S)

    def restart(self) -> None:
        """Begin anew after a process died. Work waiting for a process is cancelled."""
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def abandon(self) -> None:
        """End the processes in the midst of work, to be done again: an exit would wait for the work."""
        if self._executor is not None:
            self.close()
            for process in multiprocessing.active_children():
                process.terminate()
