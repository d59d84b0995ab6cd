"""
The server to fork reading processes from.

Not a plain fork: threads of the folder watcher may hold locks. The server imports all modules once.

SIGTERM and SIGINT reach the whole process group, from a terminal, a supervisor or systemd. The main process decides
what is still to be finished, so the server and its processes ignore both; SIGKILL alone ends a process.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import TypeVar

_T = TypeVar("_T")

_SIGNALS_OF_GROUP = (signal.SIGTERM, signal.SIGINT)


class KilledProcess(ForkServerProcess):
    """A process that ignores SIGTERM."""

    def terminate(self) -> None:
        """End the process at once."""
        self.kill()


class KilledContext(ForkServerContext):
    """Makes processes that end by SIGKILL alone."""

    Process = KilledProcess


def start_server() -> ForkServerContext:
    """
    Start the server unless running, and return the context to begin processes with.

    Called as early as possible: the server loads modules for the readers while this process loads modules for the
    pipeline.
    """
    context = KilledContext()
    context.set_forkserver_preload(["ingestd.workers.preload"])
    resource_tracker.ensure_running()  # would let the signals through again, within the block below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS_OF_GROUP)
    try:
        forkserver.ensure_running()  # the server inherits the block, until the preloaded module ignores the signals
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def ignore_group_signals() -> None:
    """Leave SIGTERM and SIGINT to the main process."""
    for number in _SIGNALS_OF_GROUP:
        signal.signal(number, signal.SIG_IGN)


def run_now(work: Callable[[], _T]) -> Future[_T]:
    """Do some work in this process; return a finished future."""
    future: Future[_T] = Future()
    future.set_result(work())
    return future


def prepare_process() -> None:
    """Prepare a forked process for work."""
    ignore_group_signals()
    # Memory that all such processes share stays shared: the collector would write to every object.
    gc.freeze()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """
    End this process when the parent process is gone: a killed parent could not say so, and nothing else would tell.

    The server ends with the last forked process.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # for the life of the process: this thread has nothing else to do
        os._exit(1)
