"""A file cut into chunks ahead of time, in a separate process where there are processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

from ingestd.core.source_file import SeenFile
from ingestd.formats import ReadLimits
from ingestd.workers.chunks import Chunk, iterate_chunks
from ingestd.workers.forkserver import run_now
from ingestd.workers.lane import Lane, make_task
from ingestd.workers.pool import WorkerLimits

# Before the first chunk the whole file is hashed, and between two chunks there may be any number of other records: each
# chunk has the time of the whole file at this speed, that of a slow network mount, besides the limit.
_SLOWEST_BYTES_PER_S = 10 << 20

_open_files: dict[SeenFile, Iterator[Chunk]] = {}  # in a process of its own: the one file that is cut up there


class ChunkReader:
    """Cuts a file into records, a chunk at a time."""

    def __init__(self, file: SeenFile, limits: ReadLimits, worker_limits: WorkerLimits, *, apart: bool) -> None:
        """Open nothing yet; `apart`: in a separate process, within limits."""
        self._file, self._limits = file, limits
        self._limit_s = worker_limits.alone_s + file.size / _SLOWEST_BYTES_PER_S
        self._lane = Lane(1, worker_limits.memory_bytes, wears=False, lasting=True) if apart else None
        self._chunks: Iterator[Chunk] | None = None

    def read_next(self) -> Future[Chunk]:
        """Cut the next chunk off; not to be called after the last."""
        if self._lane is not None:
            # Another process would begin at the first chunk again.
            task = make_task(partial(_read_next, self._file, self._limits), self._limit_s, repeatable=False)
            self._lane.submit(task)
            return task.future
        self._chunks = self._chunks or iterate_chunks(self._file, self._limits)
        chunks = self._chunks
        return run_now(lambda: next(chunks))

    def close(self) -> None:
        """Let go of the file."""
        if self._lane is not None:
            self._lane.close()
        self._chunks = None


def _read_next(file: SeenFile, limits: ReadLimits) -> Chunk:
    return next(_open_files.setdefault(file, iterate_chunks(file, limits)))
