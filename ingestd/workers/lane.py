"""
Processes that work off one queue of tasks, each with a time limit that is enforced from outside.

Each process has a pair of sockets and a thread of its own, and shares no lock and no pipe with another: a process that
dies, is stopped, or never answers costs the task in hand and nothing else. A process beyond a limit is killed and
replaced at once.
"""

from __future__ import annotations

import atexit
import math
import pickle
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import structlog

from ingestd.workers.task_process import TaskProcess, load_answer

log = structlog.get_logger()

_LOOK_EVERY_S = 0.25  # at tasks at work: a limit is kept to this
_LONGEST_LOOK_S = 1.0  # counted between two looks: a machine that slept, or a daemon that was stopped, uses up no limit
_STOPPED_S = 1.2  # in which a process is seen stopped (SIGSTOP), in several looks, until the process is replaced
_MOST_STOPS = 3  # of one task
_DEATH_S = 2.0  # after a kill; a process that waits for a disk may not be able to die
_START_PAUSE_S = 1.0  # after a process did not start
_IDLE_S = 10.0  # until a process beyond the usual number ends
# Of work of every process on one task each, until a further process takes the next task. Ten times what a batch takes:
# further processes on a machine under load would only add to the load.
_SPARE_AFTER_S = 10.0


class OverdueError(Exception):
    """A task took longer than allowed; the process is ended."""


@dataclass(slots=True, eq=False)
class Task:
    """Work for a process, and the result."""

    payload: bytes  # a pickled function without arguments
    limit_s: float = math.inf
    hand_over: Callable[[Task], None] | None = None  # takes an overdue task, instead of the error
    repeatable: bool = True  # whether another process may begin anew, after the first was stopped
    future: Future[Any] = field(default_factory=Future)
    stops: int = 0


@dataclass(slots=True, eq=False)
class _Seat:
    """One process at a time, and the task in hand."""

    process: TaskProcess | None = None
    ready: bool = False  # whether a process has started
    task: Task | None = None
    used_s: float = 0.0  # of the task's limit
    stopped_s: float = 0.0
    killed_s: float | None = None  # since the kill; None: not killed
    overdue: bool = False
    gone: bool = False  # given up by the lane: the thread is to end


class Lane:
    """A queue of tasks, and the processes at work."""

    def __init__(
        self, processes: int, memory_bytes: int = 0, *, lasting: bool = False, spares: int = 0, wears: bool = True
    ) -> None:
        """
        Start nothing yet.

        Args:
            processes: most at a time.
            memory_bytes: that each process may take; 0: any.
            lasting: whether idle processes stay.
            spares: further processes while every other one is at work for long.
            wears: whether a process that has taken much memory is replaced between two tasks.
        """
        self._processes, self._memory_bytes, self._lasting, self._spares = processes, memory_bytes, lasting, spares
        self._wears = wears
        self._changed = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._seats: list[_Seat] = []
        self._closed = False
        self._watching = False
        _lanes.add(self)

    def submit(self, task: Task) -> None:
        """Queue a task."""
        with self._changed:
            if self._closed:
                _give_up(task)
                return
            self._tasks.append(task)
            if len(self._seats) < self._processes and self._count_idle() < len(self._tasks):
                self._add_seat()
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="watch", daemon=True).start()
            self._changed.notify_all()

    def warm_up(self, within_s: float) -> None:
        """Start all processes, and wait until they are ready."""
        with self._changed:
            while len(self._seats) < self._processes:
                self._add_seat()
            self._changed.wait_for(lambda: self._closed or all(seat.ready for seat in self._seats), within_s)

    def close(self) -> None:
        """Kill the processes; tasks at work end with an error, waiting tasks are cancelled."""
        with self._changed:
            self._closed = True
            tasks, self._tasks = self._tasks, deque()
            self._changed.notify_all()
            for seat in self._seats:
                if seat.process is not None:
                    seat.process.kill()
        for task in tasks:
            _give_up(task)

    def _count_idle(self) -> int:
        return sum(seat.task is None for seat in self._seats)

    def _lacks_seat(self) -> bool:
        """Tell whether waiting tasks are to get a further process."""
        if len(self._seats) < self._processes:
            return True
        all_late = all(seat.task is not None and seat.used_s > _SPARE_AFTER_S for seat in self._seats)
        return all_late and len(self._seats) < self._processes + self._spares

    def _add_seat(self) -> None:
        seat = _Seat()
        self._seats.append(seat)
        threading.Thread(target=self._work, args=(seat,), name="reader", daemon=True).start()

    def _work(self, seat: _Seat) -> None:
        """Have one process after the other carry out tasks, until the lane needs the seat no longer."""
        task: Task | None = None
        while not seat.gone and (process := self._start_process(seat)) is not None:
            try:
                while (task := task or self._take_task(seat)) is not None:
                    if not process.is_alive():
                        break  # died while idle: the next process takes the task
                    task = self._carry_out(seat, process, task)
                    if process.leaving or seat.killed_s is not None:
                        break
            finally:
                process.kill()
            if task is None and not process.leaving and seat.killed_s is None:
                break
            with self._changed:
                seat.process, seat.killed_s, seat.overdue = None, None, False
        self._leave(seat, task)

    def _leave(self, seat: _Seat, task: Task | None) -> None:
        with self._changed:
            if seat in self._seats:
                self._seats.remove(seat)
            if task is not None and not self._closed:
                self._tasks.appendleft(task)
        if task is not None and self._closed:
            _give_up(task)

    def _start_process(self, seat: _Seat) -> TaskProcess | None:
        """Start a process; try again while the system has no room for one. None: the lane is closed."""
        while not self._closed:
            process: TaskProcess | None = None
            try:
                process = TaskProcess(self._memory_bytes, wears=self._wears)
                with self._changed:
                    seat.process = process
                    if self._closed:
                        process.kill()
                process.await_ready()
            except (OSError, EOFError) as error:
                if process is not None:
                    process.kill()
                if not self._closed:
                    log.warning("worker.not_started", error=repr(error), retry_in_s=_START_PAUSE_S)
                    time.sleep(_START_PAUSE_S)
                continue
            with self._changed:
                seat.ready = True
                self._changed.notify_all()
            return process
        return None

    def _take_task(self, seat: _Seat) -> Task | None:
        """Wait for a task; None: the seat is needed no longer."""
        with self._changed:
            while not self._closed and not seat.gone:
                if self._tasks:
                    task = self._tasks.popleft()
                    if task.future.running() or task.future.set_running_or_notify_cancel():
                        return task
                    continue
                lasting = self._lasting and self._seats.index(seat) < self._processes
                if not self._changed.wait(None if lasting else _IDLE_S) and not self._tasks and not lasting:
                    self._seats.remove(seat)  # no submit counts on this seat from now on
                    return None
        return None

    def _carry_out(self, seat: _Seat, process: TaskProcess, task: Task) -> Task | None:
        """Have a process carry out a task; return the task if another process is to begin anew."""
        with self._changed:
            seat.task, seat.used_s, seat.stopped_s = task, 0.0, 0.0
        answer: bytes | None = None
        try:
            answer = process.ask(task.payload)
        except (EOFError, OSError):
            process.leaving = True  # has died
        with self._changed:
            seat.task = None
            if seat.gone:
                return None  # the watch has ended the task already
        if answer is not None:
            load_answer(answer, task.future)
        elif seat.overdue:
            _end_overdue(task)
        elif seat.stopped_s >= _STOPPED_S and task.repeatable and task.stops < _MOST_STOPS and not self._closed:
            task.stops += 1
            return task
        else:
            _fail(task, BrokenProcessPool("a process has died"))
        return None

    def _watch(self) -> None:
        """Enforce the limits while there are tasks."""
        before = time.monotonic()
        while True:
            with self._changed:
                if not self._tasks and all(seat.task is None for seat in self._seats):
                    self._watching = False
                    return
            time.sleep(_LOOK_EVERY_S)
            now = time.monotonic()
            passed_s, before = min(now - before, _LONGEST_LOOK_S), now
            for task in self._look(passed_s):
                _end_overdue(task)

    def _look(self, passed_s: float) -> list[Task]:
        """Kill each process beyond a limit; return the tasks of processes that cannot even die."""
        stuck: list[Task] = []
        with self._changed:
            for seat in list(self._seats):
                if seat.task is None or seat.process is None:
                    continue
                seat.used_s += passed_s
                if seat.killed_s is not None:
                    seat.killed_s += passed_s
                    if seat.killed_s > _DEATH_S:
                        stuck.append(seat.task)
                        seat.gone = True
                        self._seats.remove(seat)
                    continue
                seat.stopped_s = seat.stopped_s + passed_s if seat.process.is_stopped() else 0.0
                seat.overdue = seat.used_s >= seat.task.limit_s
                if seat.overdue or seat.stopped_s >= _STOPPED_S:
                    seat.killed_s = 0.0
                    seat.process.kill()
            if self._tasks and not self._closed and self._lacks_seat():
                self._add_seat()
        return stuck


def make_task(work: Callable[[], Any], limit_s: float = math.inf, *, repeatable: bool = True) -> Task:
    """Return a task; the function and the result travel between processes."""
    return Task(pickle.dumps(work, pickle.HIGHEST_PROTOCOL), limit_s, repeatable=repeatable)


def _end_overdue(task: Task) -> None:
    if task.hand_over is not None:
        task.hand_over(task)
    else:
        _fail(task, OverdueError(f"more than {task.limit_s:g} s"))


def _give_up(task: Task) -> None:
    if not task.future.cancel():
        _fail(task, BrokenProcessPool("the processes were ended"))


def _fail(task: Task, error: Exception) -> None:
    task.future.set_exception(error)


_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


@atexit.register
def _close_lanes() -> None:
    """End all processes, before the exit waits for them."""
    for lane in list(_lanes):
        lane.close()
