"""
Stored articles for the window, read by several processes: the window is filled again as quickly as all cores allow.

Reading takes longer than indexing, and the threads of one process share one core.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import structlog
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from ingestd.core.stored import RowSelection
from ingestd.core.window.columns import WindowColumns
from ingestd.store.database import Database
from ingestd.store.window_rows import IdPartition, read_rows
from ingestd.workers import forkserver

log = structlog.get_logger()

_MOST_READERS = 4
_PIPE_BYTES = 1 << 20  # what Linux allows everybody; with the usual 64 KiB the processes wait for each other


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """When reading is divided, and how."""

    min_rows: int = 20_000  # one process has read fewer when the others have only begun
    stretch: int = 256  # ids that one process reads in a row: SQLite steps from one id to the next, in every table
    processes: int = min(os.cpu_count() or 1, _MOST_READERS)
    keepalive_s: float = 5.0  # a server ends a transaction that is idle for long


ReadPartition = Callable[[Connection, RowSelection, IdPartition], Iterator[WindowColumns]]
Start = Callable[[Connection, Sequence[RowSelection], IdPartition], tuple[BaseProcess, Pipe]]


# From connection, selections and the number of articles to expect to the articles.
ReadRows = Callable[[Connection, Sequence[RowSelection], int], Iterator[WindowColumns]]


def read_rows_in_turn(
    connection: Connection, selections: Sequence[RowSelection], count: int = 0
) -> Iterator[WindowColumns]:
    """Yield the articles of some selections, one selection after the other; `count` changes nothing."""
    for selection in selections:
        yield from read_rows(connection, selection)


class RowReaders:
    """Reads selections of stored articles, in several processes where there are many articles."""

    def __init__(self, limits: ReaderLimits | None = None, start: Start | None = None) -> None:
        """Read within limits; `start` starts a process that sends a partition."""
        self._limits, self._start = limits or ReaderLimits(), start or start_reader

    def __call__(
        self, connection: Connection, selections: Sequence[RowSelection], count: int
    ) -> Iterator[WindowColumns]:
        """
        Return articles in nearly the order of the selections, and always in the same order.

        The processes begin at once and read what is committed. When a process fails, everything is read here once
        more: articles may come twice, and a fault of the database comes to light.

        Args:
            connection: to the database, which the processes connect to themselves.
            selections: read one after the other.
            count: how many articles the selections hold, about.
        """
        n_readers = self._limits.processes
        if count < self._limits.min_rows or n_readers == 1:
            return read_rows_in_turn(connection, selections, count)
        partitions = (IdPartition(rest, n_readers, self._limits.stretch) for rest in range(n_readers))
        try:
            readers = [self._start(connection, selections, partition) for partition in partitions]
        except (EOFError, OSError) as error:
            log.warning("window.no_readers", error=str(error), hint="reading in this process")
            return read_rows_in_turn(connection, selections, count)
        return self._receive(connection, selections, readers)

    def _receive(
        self,
        connection: Connection,
        selections: Sequence[RowSelection],
        readers: Sequence[tuple[BaseProcess, Pipe]],
    ) -> Iterator[WindowColumns]:
        """Yield the articles that processes send, from one after the other, so that the order is always the same."""
        pipes = deque(pipe for _, pipe in readers)
        spoke = time.monotonic()
        keepalive_s = self._limits.keepalive_s
        try:
            while pipes:
                pipe = pipes.popleft()
                while not pipe.poll(keepalive_s) or time.monotonic() > spoke + keepalive_s:
                    connection.execute(select(1))
                    spoke = time.monotonic()
                columns: WindowColumns | None = pipe.recv()
                if columns is not None:
                    yield columns
                    pipes.append(pipe)
        except (EOFError, OSError):  # a process ended between two messages, or within one
            log.warning("window.reader_failed", hint="reading everything once more, in this process")
            yield from read_rows_in_turn(connection, selections, 0)
        finally:
            for process, pipe in readers:
                process.terminate()
                pipe.close()


def start_reader(
    connection: Connection,
    selections: Sequence[RowSelection],
    partition: IdPartition,
    read: ReadPartition = read_rows,
) -> tuple[BaseProcess, Pipe]:
    """Start a process that sends a part of the articles of some selections, as `read` reads them."""
    context = forkserver.start_server()
    url = connection.engine.url.render_as_string(hide_password=False)
    receiving, sending = context.Pipe(duplex=False)
    _widen_pipe(receiving)
    process = context.Process(target=_send_rows, args=(sending, url, selections, partition, read), daemon=True)
    process.start()
    sending.close()  # or its end would never be noticed here
    return process, receiving


def _widen_pipe(pipe: Pipe) -> None:
    """Let a process send well ahead of the reader, where the system can do that and allows it."""
    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _send_rows(
    pipe: Pipe, url: str, selections: Sequence[RowSelection], partition: IdPartition, read: ReadPartition
) -> None:
    """Send a part of the articles of some selections, and None after the last."""
    forkserver.prepare_process()
    database = Database(url)
    try:
        with database.begin_read() as connection:
            for selection in selections:
                for columns in read(connection, selection, partition):
                    pipe.send(columns)
        pipe.send(None)
    except (DBAPIError, BrokenPipeError):
        pass  # without the None at the end the receiver knows that rows are missing, and meets the same fault
    finally:
        database.close()
