"""Processes that read files, fingerprint articles and move files, in lanes that do not hold each other up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ingestd.archive.moves import Move, move_files
from ingestd.core.article import Article
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.source_file import SeenFile
from ingestd.formats import ReadLimits
from ingestd.workers.chunks import Chunk
from ingestd.workers.extract import ExtractionResult, compute_fingerprints, extract_chunk, read_files
from ingestd.workers.forkserver import run_now
from ingestd.workers.lane import Lane, Task, make_task

_T = TypeVar("_T")

_START_LIMIT_S = 60.0  # for all processes to start; after that the first files wait for the rest
_ALONE_PROCESSES = 2  # a first look at files under suspicion; each is quick, or goes to the last lane


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """Limits of one task of one process. Without processes there is nobody to enforce them."""

    memory_bytes: int = 0  # of private memory; 0: any
    alone_s: float = 60.0  # of a file, chunk or record alone
    # Twenty times what files read together take by their size; a machine under load stays below.
    together_s: float = 20.0
    # A first look at a file alone: the innocent files of a batch are through before any other gets the whole limit.
    first_look_s: float = 2.0


_DEFAULT_LIMITS = WorkerLimits()


class Workers:
    """
    Processes to read files and fingerprint articles. With none, the work is done on the spot and has no limits.

    Files of a batch share the main lane with moves. A file under suspicion is read alone, in lanes of its own, begun
    when there is such a file: a first look that has to be quick, then a last one with the whole limit. Chunks of large
    files have a lane of their own. A future raises OverdueError for a task beyond the limit, and BrokenProcessPool for
    the death of the process.
    """

    def __init__(self, processes: int, limits: WorkerLimits = _DEFAULT_LIMITS) -> None:
        """Start nothing yet: processes begin with the first work, or with `warm_up`."""
        self.processes, self.limits = processes, limits
        self._open_lanes()

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        """Read files together and fingerprint the articles."""
        return self._submit(self._main, partial(read_files, tuple(files), limits), self.limits.together_s)

    def read_alone(self, file: SeenFile, limits: ReadLimits) -> Future[list[ExtractionResult]]:
        """Read one file in a process that reads nothing else meanwhile."""
        if not self.processes:
            return self.read_files((file,), limits)
        return self._submit_alone(partial(read_files, (file,), limits))

    def extract(self, file: SeenFile, chunk: Chunk, limits: ReadLimits) -> Future[ExtractionResult]:
        """Turn the records of a chunk into fingerprinted articles."""
        return self._submit(self._chunks, partial(extract_chunk, file, chunk, limits), self.limits.together_s)

    def extract_alone(self, file: SeenFile, record: Chunk, limits: ReadLimits) -> Future[ExtractionResult]:
        """Turn a chunk of a single record into fingerprinted articles."""
        if not self.processes:
            return self.extract(file, record, limits)
        return self._submit_alone(partial(extract_chunk, file, record, limits))

    def fingerprint(self, articles: Sequence[Article]) -> Future[list[Fingerprint]]:
        """Fingerprint articles read before."""
        return self.submit(partial(compute_fingerprints, tuple(articles)))

    def move_files(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        """Move files: the deciding process would wait for the disk, several times a file."""
        return self.submit(partial(move_files, tuple(moves)))

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Have some work done, without a limit; the function and the result travel between processes."""
        return self._submit(self._main, work, math.inf)

    def warm_up(self) -> None:
        """Start the processes of the main lane now and wait, so the first files do not wait."""
        self._main.warm_up(_START_LIMIT_S)

    def close(self) -> None:
        """End the processes, also in the midst of work; further work begins with new processes."""
        for lane in (self._main, self._alone, self._last, self._chunks):
            lane.close()
        self._open_lanes()

    def _open_lanes(self) -> None:
        processes, memory_bytes = self.processes, self.limits.memory_bytes
        self._main = Lane(processes, memory_bytes, lasting=True, spares=processes)
        self._alone = Lane(min(processes, _ALONE_PROCESSES), memory_bytes)
        self._last = Lane(processes, memory_bytes)
        self._chunks = Lane(processes, memory_bytes)

    def _submit(self, lane: Lane, work: Callable[[], _T], limit_s: float) -> Future[_T]:
        if not self.processes:
            return run_now(work)
        task = make_task(work, limit_s)
        lane.submit(task)
        return task.future

    def _submit_alone(self, work: Callable[[], _T]) -> Future[_T]:
        last, limit_s = self._last, self.limits.alone_s

        def give_whole_limit(task: Task) -> None:
            task.limit_s, task.hand_over = limit_s, None
            last.submit(task)

        task = make_task(work, min(limit_s, self.limits.first_look_s))
        task.hand_over = give_whole_limit if task.limit_s < limit_s else None
        self._alone.submit(task)
        return task.future
