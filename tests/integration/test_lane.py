"""Processes with limits from outside: whatever becomes of one, the others go on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from ingestd.workers.lane import Lane, OverdueError, Task, make_task

LIMIT_S = 60.0


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane(2, lasting=True)
    yield lane
    lane.close()


def submit(lane: Lane, task: Task) -> Task:
    lane.submit(task)
    return task


def write_pid_and_answer(path: Path, n_bytes: int) -> bytes:
    path.write_text(str(os.getpid()))
    return bytes(n_bytes)


def fill_memory(n_bytes: int) -> int:
    return len(b"x" * n_bytes)


def await_pid(path: Path) -> int:
    while not path.exists() or not path.read_text():
        time.sleep(0.001)
    return int(path.read_text())


def test_a_task_beyond_its_limit_ends_and_the_others_do_not(lane: Lane) -> None:
    late = submit(lane, make_task(partial(time.sleep, 600), 0.5))
    others = [submit(lane, make_task(partial(time.sleep, 0.01), 30)) for _ in range(20)]
    for other in others:
        assert other.future.result(LIMIT_S) is None
    assert isinstance(late.future.exception(LIMIT_S), OverdueError)


def test_an_overdue_task_is_handed_over_with_its_future(lane: Lane) -> None:
    task = make_task(partial(time.sleep, 1.5), 0.5)

    def give_time(task: Task) -> None:
        task.limit_s, task.hand_over = 60, None
        lane.submit(task)

    task.hand_over = give_time
    assert submit(lane, task).future.result(LIMIT_S) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_killed_or_stopped_while_it_sends_a_large_answer_holds_up_no_other(
    lane: Lane, tmp_path: Path, number: signal.Signals
) -> None:
    large = submit(lane, make_task(partial(write_pid_and_answer, tmp_path / "pid", 1 << 29), repeatable=False))
    os.kill(await_pid(tmp_path / "pid"), number)
    others = [submit(lane, make_task(partial(time.sleep, 0.01), 30)) for _ in range(20)]
    for other in others:
        assert other.future.result(LIMIT_S) is None
    assert isinstance(large.future.exception(LIMIT_S), BrokenProcessPool)


def test_a_stopped_process_costs_no_task_and_a_task_that_stops_every_process_ends(lane: Lane, tmp_path: Path) -> None:
    pid = submit(lane, make_task(os.getpid)).future.result(LIMIT_S)
    os.kill(pid, signal.SIGSTOP)
    tasks = [submit(lane, make_task(os.getpid)) for _ in range(4)]
    assert pid not in {task.future.result(LIMIT_S) for task in tasks}
    stopping = submit(lane, make_task(partial(signal.raise_signal, signal.SIGSTOP)))
    assert isinstance(stopping.future.exception(LIMIT_S), BrokenProcessPool)


def test_an_idle_process_that_was_killed_costs_no_task(lane: Lane) -> None:
    pids = {submit(lane, make_task(os.getpid)).future.result(LIMIT_S) for _ in range(4)}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert submit(lane, make_task(os.getpid)).future.result(LIMIT_S) not in pids


def test_what_a_process_cannot_take_or_send_is_an_error_of_the_task(lane: Lane) -> None:
    unsendable = submit(lane, make_task(partial(open, os.devnull)))
    assert "cannot pickle" in str(unsendable.future.exception(LIMIT_S))
    leaving = submit(lane, make_task(partial(sys.exit, 3)))
    assert isinstance(leaving.future.exception(LIMIT_S), BrokenProcessPool)
    assert submit(lane, make_task(os.getpid)).future.result(LIMIT_S) > 0


def test_memory_has_a_limit_and_a_process_that_took_much_is_replaced() -> None:
    lane = Lane(1, 512 << 20, lasting=True)
    first = submit(lane, make_task(os.getpid)).future.result(LIMIT_S)
    assert isinstance(submit(lane, make_task(partial(bytearray, 1 << 30))).future.exception(LIMIT_S), MemoryError)
    assert submit(lane, make_task(os.getpid)).future.result(LIMIT_S) == first
    submit(lane, make_task(partial(fill_memory, 200 << 20))).future.result(LIMIT_S)
    assert submit(lane, make_task(os.getpid)).future.result(LIMIT_S) != first
    lane.close()


def test_a_closed_lane_leaves_no_task_without_an_end(lane: Lane) -> None:
    tasks = [submit(lane, make_task(partial(time.sleep, 600))) for _ in range(4)]
    while not tasks[1].future.running():
        time.sleep(0.01)
    lane.close()
    tasks.append(submit(lane, make_task(os.getpid)))
    for task in tasks:
        assert task.future.cancelled() or isinstance(task.future.exception(LIMIT_S), BrokenProcessPool)
