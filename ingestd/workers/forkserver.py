"""
The server to fork reading processes from.

Not a plain fork: threads of the folder watcher may hold locks. The server imports all modules once.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import TypeVar

_T = TypeVar("_T")

_NICE = 5  # all wait for the process that decides: where cores are scarce it goes first, and readers run ahead of it


def start_server() -> ForkServerContext:
    """
    Start the server unless running, and return the context to begin processes with.

    Called as early as possible: the server loads modules for the readers while this process loads modules for the
    pipeline.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ingestd.workers.preload"])
    forkserver.ensure_running()
    return context


def start_executor(processes: int) -> ProcessPoolExecutor:
    """Return an executor with processes forked from the server."""
    return ProcessPoolExecutor(processes, start_server(), initializer=_prepare_reader)


def run_now(work: Callable[[], _T]) -> Future[_T]:
    """Do some work in this process; return a finished future."""
    future: Future[_T] = Future()
    future.set_result(work())
    return future


def prepare_process() -> None:
    """Prepare a forked process for work."""
    # Ctrl-C reaches the whole process group; the main process decides what is still to be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Memory that all such processes share stays shared: the collector would write to every object.
    gc.freeze()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _prepare_reader() -> None:
    prepare_process()
    os.nice(_NICE)


def _end_with_parent() -> None:
    """
    End this process when the parent process is gone: a killed parent could not say so, and nothing else would tell.

    The server ends with the last forked process.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # for the life of the process: this thread has nothing else to do
        os._exit(1)
