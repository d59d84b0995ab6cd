from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from ingestd.pipeline.limits import await_result


def test_a_long_wait_is_reported_after_every_slice_and_ends_with_the_result() -> None:
    future: Future[str] = Future()
    reports: list[float] = []
    threading.Timer(0.5, future.set_result, ["done"]).start()
    assert await_result(future, reports.append, slow_s=0.1) == "done"
    assert 1 <= len(reports) <= 5
    assert reports == pytest.approx([0.1 * n for n in range(1, len(reports) + 1)])


def test_a_time_limit_inside_the_work_is_the_error_of_the_work() -> None:
    future: Future[str] = Future()
    future.set_exception(TimeoutError("the work itself gave up"))
    with pytest.raises(TimeoutError, match="the work itself"):
        await_result(future, lambda _waited_s: None, slow_s=0.1)
