"""Files whose writers are still at work, and an observer with faults."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from ingestd.inbox.inbox import Inbox
from ingestd.inbox.inotify import FolderObserver
from ingestd.inbox.listener import ListenerLimits
from ingestd.inbox.open_writers import Writers
from tests.support.watching import handed_out, names


def test_a_name_renamed_over_all_the_time_is_handed_out_once_at_a_time_and_holds_nobody_up(
    root: Path, tmp_path: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching(quiet_s=0.1)
    names(inbox, 0.2)
    ended = threading.Event()

    def write_versions() -> None:
        while not ended.is_set():
            (tmp_path / "next.json").write_text("{}")
            (tmp_path / "next.json").rename(root / "latest.json")

    writer = threading.Thread(target=write_versions)
    writer.start()
    try:
        (root / "other.json").write_text("{}")
        handed: list[list[str]] = []
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            handed.append([seen.name for seen in inbox.take_complete(100, 0.1)])
    finally:
        ended.set()
        writer.join()
    assert [found for found in handed if len(found) != len(set(found))] == []
    assert {"latest.json", "other.json"} <= {name for found in handed for name in found}


class Falling(FolderObserver):
    """An observer that stumbles over its own records when it stops, as watchdog does after folders were exchanged."""

    def on_thread_stop(self) -> None:
        super().on_thread_stop()
        raise KeyError("folder")


class NeverBeginning(Falling):
    """An observer that stumbles when it starts, too."""

    def schedule(self, *_: Any, **__: Any) -> Any:
        raise KeyError("folder")


@pytest.mark.parametrize("observer", [Falling, NeverBeginning])
def test_a_fault_of_the_observer_costs_events_and_no_file(
    root: Path, watching: Callable[..., Inbox], observer: type[FolderObserver]
) -> None:
    inbox = watching(quiet_s=0.1, rescan_s=0.2, listener_limits=ListenerLimits(canary_s=0.2), make_observer=observer)
    names(inbox, 0.2)
    with structlog.testing.capture_logs() as said:
        shutil.rmtree(root / ".ingestd", ignore_errors=True)  # the canary with it: listening begins anew
        for number in range(3):
            (root / f"{number}.json").write_text("{}")
            assert names(inbox) == [f"{number}.json"]
        inbox.stop()
    assert observer is NeverBeginning or "watch.stop_failed" in [line["event"] for line in said]


def test_a_file_that_is_open_for_writing_is_not_complete_however_long_its_writer_pauses(
    root: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching()
    names(inbox, 0.2)
    with (root / "slow.json").open("w") as slow, (root / "placeholder.json").open("w"):
        slow.write("{")
        slow.flush()
        assert names(inbox, 1.8) == []  # the placeholder would have been taken for empty after one second
        slow.write("}")
    ready = handed_out(inbox, n=2)
    assert sorted((seen.name, seen.size) for seen in ready) == [("placeholder.json", 0), ("slow.json", 2)]


def test_a_file_renamed_into_place_while_its_writer_holds_it_is_not_complete_either(
    root: Path, tmp_path: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching()
    names(inbox, 0.2)
    with (tmp_path / "a.json").open("w") as file:
        file.write("{")
        file.flush()
        (tmp_path / "a.json").rename(root / "a.json")
        assert names(inbox, 1.0) == []
        file.write("}")
    assert names(inbox) == ["a.json"]


def test_where_nobody_can_tell_about_writers_a_pause_earns_a_file_twice_its_time(
    root: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching(quiet_s=0.3, ask_for_writers=lambda _path: Writers.UNKNOWN)
    names(inbox, 0.2)
    path = root / "a.json"
    path.write_text("1")
    assert names(inbox) == ["a.json"]  # the first pause is found out too late
    time.sleep(0.5)
    with path.open("a") as file:
        file.write("2")
    began = time.monotonic()
    assert names(inbox) == ["a.json"]
    assert time.monotonic() - began > 0.9


def test_a_file_held_open_for_an_hour_is_named_once(root: Path, watching: Callable[..., Inbox]) -> None:
    now = [0.0]
    (root / "a.json").write_text("{}")
    inbox = watching(blind=True, clock=lambda: now[0], ask_for_writers=lambda _path: Writers.SOME)
    with structlog.testing.capture_logs() as said:
        for _ in range(5):
            inbox.take_complete(10, 0.0)
            now[0] += 1200.0
    assert [line["path"] for line in said if line["event"] == "file.held_open"] == ["a.json"]
