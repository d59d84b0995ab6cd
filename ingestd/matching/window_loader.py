"""
Stored articles for the window, read by several processes: it is filled again as quickly as all cores allow.

Reading them takes longer than indexing them, and one process reads on one core however many threads it has.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Protocol

import structlog
from sqlalchemy import Connection, select

from ingestd.core.window.columns import WindowColumns
from ingestd.store.articles import IdPartition
from ingestd.store.database import TRANSIENT_DB_ERRORS, Database
from ingestd.workers import forkserver

log = structlog.get_logger()

_FEWEST_DIVIDED = 20_000  # one process has read fewer when the others have only begun
_MOST_READERS = 4
_STRETCH = 256  # ids that one process reads in a row: SQLite comes from one to the next with a step, in every table
_PIPE_BYTES = 1 << 20  # what Linux allows everybody; with the usual 64 KiB the processes wait for each other
_SPEAKS_AFTER_S = 5.0


class Read(Protocol):
    """A query for articles that can go to another process."""

    def __call__(self, connection: Connection, *, share: IdPartition | None = None) -> Iterator[WindowColumns]:
        """Yield the articles, or a share of them, some at a time."""


def entries(connection: Connection, reads: Sequence[Read], count: int) -> Iterator[WindowColumns]:
    """
    Return articles; several processes read where there are so many that it is worth it, and begin at once.

    They come in nearly the order of `reads`, and always in the same. The processes read what is committed. When one of
    them fails, everything is read here once more: articles may come twice, and what is wrong with the database comes
    to light.

    Args:
        connection: to the database, which the processes connect to themselves.
        reads: what to read, one after the other.
        count: how many articles that is, about.
    """
    n_readers = min(os.cpu_count() or 1, _MOST_READERS)
    if count < _FEWEST_DIVIDED or n_readers == 1:
        return _alone(connection, reads)
    try:
        readers = [_started(connection, reads, IdPartition(rest, n_readers, _STRETCH)) for rest in range(n_readers)]
    except (EOFError, OSError) as error:
        log.warning("window.no_readers", error=str(error), hint="reading in this process")
        return _alone(connection, reads)
    return _received(connection, reads, readers)


def _alone(connection: Connection, reads: Sequence[Read]) -> Iterator[WindowColumns]:
    return chain.from_iterable(read(connection) for read in reads)


def _started(connection: Connection, reads: Sequence[Read], share: IdPartition) -> tuple[BaseProcess, Pipe]:
    """Start a process that sends its share."""
    context = forkserver.start_server()
    url = connection.engine.url.render_as_string(hide_password=False)
    receiving, sending = context.Pipe(duplex=False)
    _widen(receiving)
    process = context.Process(target=_send, args=(sending, url, reads, share), daemon=True)
    process.start()
    sending.close()  # or its end would never be noticed here
    return process, receiving


def _received(
    connection: Connection, reads: Sequence[Read], readers: Sequence[tuple[BaseProcess, Pipe]]
) -> Iterator[WindowColumns]:
    """Yield what processes send, from one after the other, so that the order is always the same."""
    pipes = deque(pipe for _, pipe in readers)
    spoke = time.monotonic()
    try:
        while pipes:
            pipe = pipes.popleft()
            while not pipe.poll(_SPEAKS_AFTER_S) or time.monotonic() > spoke + _SPEAKS_AFTER_S:
                connection.execute(select(1))  # a server ends a transaction that is idle for long
                spoke = time.monotonic()
            came: WindowColumns | None = pipe.recv()
            if came is not None:
                yield came
                pipes.append(pipe)
    except (EOFError, OSError):  # it ended between two messages, or within one
        log.warning("window.reader_failed", hint="reading everything once more, in this process")
        yield from _alone(connection, reads)
    finally:
        for process, pipe in readers:
            process.terminate()
            pipe.close()


def _widen(pipe: Pipe) -> None:
    """Let a process send well ahead of what is taken from it, where the system can do that and allows it."""
    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _send(pipe: Pipe, url: str, reads: Sequence[Read], share: IdPartition) -> None:
    """Send a share of some articles, and None after the last."""
    forkserver.prepare_process()
    database = Database(url)
    try:
        with database.begin_read() as connection:
            for read in reads:
                for some in read(connection, share=share):
                    pipe.send(some)
        pipe.send(None)
    except (*TRANSIENT_DB_ERRORS, BrokenPipeError):
        pass  # that nothing came last says that this was not all
    finally:
        database.close()
