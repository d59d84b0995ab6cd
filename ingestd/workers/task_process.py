"""A process that carries out one task after the other, over a pair of sockets that no other process shares."""

from __future__ import annotations

import os
import pickle
import resource
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ingestd.workers.forkserver import prepare_process, start_server

_NICE = 5  # all wait for the process that decides: where cores are scarce it goes first, and readers run ahead of it
_START_LIMIT_S = 60.0  # until a process has answered for the first time
# A process that has taken this part of its memory limit is replaced after the task: memory that the allocator keeps
# would be missing for the next file.
_WORN_PART = 0.25
_READY = b"ready"


class TaskProcess:
    """A process, seen from outside. Every way for the process to end closes its socket, and so ends every wait."""

    def __init__(self, memory_bytes: int, *, wears: bool) -> None:
        """
        Start the process; `await_ready` comes before the first task.

        Args:
            memory_bytes: that the process may take; 0: any.
            wears: whether the process leaves after a task that took much of the memory.

        Raises:
            OSError, EOFError: there is no room for a process.
        """
        context = start_server()
        self._connection, theirs = context.Pipe()
        self.leaving = False  # whether the process takes no further task
        self._process = context.Process(target=_serve, args=(theirs, memory_bytes, wears))
        try:
            self._process.start()
        finally:
            theirs.close()  # or its end would never be noticed here
        self._state = Path(f"/proc/{self._process.pid}/stat")

    def await_ready(self) -> None:
        """
        Wait until the process is ready for tasks.

        Raises:
            OSError, EOFError: the process has died at once, or takes too long.
        """
        if not self._connection.poll(_START_LIMIT_S):
            raise TimeoutError(f"a process was not ready after {_START_LIMIT_S:g} s")
        self._connection.recv_bytes()

    def ask(self, payload: bytes) -> bytes:
        """
        Have a task carried out.

        Raises:
            OSError, EOFError: the process has died.
        """
        self._connection.send_bytes(payload)
        answer = self._connection.recv_bytes()
        self.leaving = answer[:1] == b"\x01"
        return answer

    def is_alive(self) -> bool:
        """Tell whether an idle process is there for a task."""
        return not self._connection.poll(0)  # the end of the process is all that there could be to read

    def is_stopped(self) -> bool:
        """Tell whether a signal has stopped the process (SIGSTOP); never where there is no /proc."""
        try:
            return self._state.read_bytes().rpartition(b") ")[2][:1] == b"T"
        except OSError:
            return False

    def kill(self) -> None:
        """End the process at once."""
        if self._process.pid is not None and self._process.is_alive():
            self._process.kill()


def load_answer(answer: bytes, future: Future[Any]) -> None:
    """Give the result of a task, or the error, to a future."""
    try:
        value, error = pickle.loads(memoryview(answer)[1:])  # noqa: S301 - from a process of our own
    except Exception as fault:  # noqa: BLE001 - such as a class of a plug-in that does not survive pickling
        value, error = None, fault
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def _serve(connection: Connection, memory_bytes: int, wears: bool) -> None:
    """Carry out tasks until the other end is closed. Anything but an Exception ends the process."""
    prepare_process()
    os.nice(_NICE)
    if memory_bytes:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    fresh_bytes = _measure_peak()
    connection.send_bytes(_READY)
    while True:
        try:
            payload = connection.recv_bytes()
        except (EOFError, OSError):
            return
        answer = _carry_out(payload)
        worn = wears and memory_bytes > 0 and _measure_peak() - fresh_bytes > _WORN_PART * memory_bytes
        try:
            connection.send_bytes((b"\x01" if worn else b"\x00") + answer)
        except OSError:
            return
        if worn:
            return


def _carry_out(payload: bytes) -> bytes:
    answer: tuple[Any, Exception | None]
    try:
        answer = (pickle.loads(payload)(), None)  # noqa: S301 - from the process that decides
    except Exception as error:  # noqa: BLE001 - travels to the process that decides
        answer = (None, error)
    try:
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - such as a class of a plug-in that cannot be pickled
        return pickle.dumps((None, RuntimeError(repr(error))), pickle.HIGHEST_PROTOCOL)


def _measure_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
