"""A file cut into chunks ahead of time, in a separate process where there are processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

from ingestd.core.source_file import SeenFile
from ingestd.formats import ReadLimits
from ingestd.workers.chunks import Chunk, iterate_chunks
from ingestd.workers.forkserver import run_now, start_executor

_open_files: dict[SeenFile, Iterator[Chunk]] = {}  # in a process of its own: the one file that is cut up there


class ChunkReader:
    """Cuts a file into records, a chunk at a time."""

    def __init__(self, file: SeenFile, limits: ReadLimits, *, apart: bool) -> None:
        """Open nothing yet; `apart`: in a separate process."""
        self._file, self._limits = file, limits
        self._executor = start_executor(1) if apart else None
        self._chunks: Iterator[Chunk] | None = None

    def read_next(self) -> Future[Chunk]:
        """Cut the next chunk off; not to be called after the last."""
        if self._executor is not None:
            return self._executor.submit(_read_next, self._file, self._limits)
        self._chunks = self._chunks or iterate_chunks(self._file, self._limits)
        chunks = self._chunks
        return run_now(lambda: next(chunks))

    def close(self) -> None:
        """Let go of the file."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._chunks = None


def _read_next(file: SeenFile, limits: ReadLimits) -> Chunk:
    return next(_open_files.setdefault(file, iterate_chunks(file, limits)))
