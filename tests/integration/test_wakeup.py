"""What wakes the daemon's loop must never hang it."""

from __future__ import annotations

import sys
import threading
import time
from types import FrameType
from typing import Any

from ingestd.inbox.wakeup import Wakeup


def test_it_may_be_set_between_any_two_lines_of_its_own_as_by_a_signal_handler() -> None:
    """With threading.Event in its place this hangs: `set` waits for a lock that the interrupted `wait` holds."""
    wakeup = Wakeup()
    interrupted = 0

    def handler(frame: FrameType, event: str, _argument: Any) -> Any:  # not traced itself
        nonlocal interrupted
        if event == "line" and frame.f_code is not work.__code__:
            interrupted += 1
            wakeup.set()
        return handler

    def work() -> None:
        sys.settrace(handler)
        for _ in range(100):
            wakeup.wait(0.001)
            wakeup.set()
        sys.settrace(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert interrupted > 100


def test_setting_it_while_nobody_waits_ends_the_next_wait_and_only_that() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()
    assert wakeup.wait(0)
    assert not wakeup.wait(0)


def test_setting_it_in_another_thread_ends_a_wait() -> None:
    wakeup = Wakeup()
    threading.Timer(0.05, wakeup.set).start()
    started = time.monotonic()
    assert wakeup.wait(30)
    assert time.monotonic() - started < 10
