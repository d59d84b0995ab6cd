"""
The server that reading processes are forked from.

Not a plain fork: threads of the folder watcher may hold locks. The server imports once what every such process needs.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


def start() -> ForkServerContext:
    """
    Start the server unless it runs, and return what processes are begun with.

    Called as soon as it is known that there will be such processes: the server loads what they need while this process
    loads what it needs itself.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ingestd.workers.preload"])
    forkserver.ensure_running()
    return context


def begin() -> None:
    """Prepare a process that was forked for its work."""
    # Ctrl-C reaches the whole process group; the main process decides what is still to be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What all such processes share of memory stays shared: the collector would write to every object.
    gc.freeze()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """
    End when the process is gone that this one works for: killed, it could not say so, and nothing else would tell.

    The server ends with the last of those that were forked from it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
