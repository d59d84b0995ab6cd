"""Files in a real folder, with real events; the scan is set so far apart that it plays no part unless it is meant to."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from watchdog.events import FileCreatedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver, EventEmitter
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

from ingestd.errors import CannotStartError
from ingestd.inbox.inbox import Inbox
from ingestd.inbox.inotify import FolderObserver
from ingestd.inbox.listener import ListenerLimits
from tests.support.watching import handed_out, names


def test_a_file_that_was_there_before_is_found(root: Path, watching: Callable[..., Inbox]) -> None:
    (root / "a.json").write_text("{}")
    assert names(watching()) == ["a.json"]


def test_a_renamed_file_is_complete_at_once(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(quiet_s=30.0)
    inbox.take_complete(1, 0.0)  # the first scan
    (root / "a.json.part").write_text("{}")
    (root / "a.json.part").rename(root / "a.json")
    assert names(inbox) == ["a.json"]


def test_a_file_moved_in_from_elsewhere_is_complete_at_once(
    root: Path, tmp_path: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching(quiet_s=30.0)
    inbox.take_complete(1, 0.0)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json").rename(root / "a.json")
    assert names(inbox) == ["a.json"]
    (root / "a.json").rename(tmp_path / "gone.json")  # raises an event without a name
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "b.json").rename(root / "b.json")
    assert names(inbox) == ["b.json"]


def test_a_file_written_in_place_is_found_when_it_has_been_quiet(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(quiet_s=0.5)
    inbox.take_complete(1, 0.0)
    with (root / "slow.json").open("w") as file:
        for _ in range(6):
            file.write("x" * 100)
            file.flush()
            assert names(inbox, 0.15) == []
    (seen,) = handed_out(inbox)
    assert (seen.name, seen.size) == ("slow.json", 600)


def test_files_in_new_and_moved_in_folders_are_found(
    root: Path, tmp_path: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching()
    inbox.take_complete(1, 0.0)
    (root / "made/deep").mkdir(parents=True)
    (root / "made/deep/a.json").write_text("{}")
    (tmp_path / "staged/deep").mkdir(parents=True)
    (tmp_path / "staged/deep/b.json").write_text("{}")
    (tmp_path / "staged").rename(root / "staged")
    assert names(inbox, n=2) == ["made/deep/a.json", "staged/deep/b.json"]


def test_without_any_event_the_scan_finds_everything(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.3, blind=True)
    inbox.take_complete(1, 0.0)
    (root / "sub").mkdir()
    (root / "sub/a.json").write_text("{}")
    (root / "b.json").write_text("{}")
    assert names(inbox, n=2) == ["b.json", "sub/a.json"]


def test_a_file_is_handed_out_once_and_again_only_when_it_changes(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.1)
    (root / "a.json").write_text("{}")
    assert names(inbox) == ["a.json"]
    assert names(inbox, wait_s=0.8) == []
    (root / "a.json").write_text('{"changed": true}')
    assert names(inbox) == ["a.json"]
    inbox.offer_again([(str(root), b"a.json")])
    assert names(inbox) == ["a.json"]


def test_an_empty_file_is_waited_for(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(quiet_s=0.1)
    (root / "a.json").touch()
    assert names(inbox, wait_s=0.6) == []
    assert names(inbox, wait_s=2.0) == ["a.json"]


def test_the_programs_own_folder_and_names_left_alone_raise_nothing(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.1)
    for name in (".ingestd/archive/a.json", "a.json.part", ".b.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    assert names(inbox, wait_s=1.0) == []


def test_names_to_be_ignored_are_so_in_events_and_in_scans(root: Path, watching: Callable[..., Inbox]) -> None:
    (root / "before.lock").write_text("x")
    inbox = watching(quiet_s=0.1, rescan_s=0.3, ignore=("*.lock", "skipped"))
    names(inbox, 0.2)
    for name in ("heard.lock", "sub/heard.lock", "skipped/a.json", "kept.json"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{name}.part").write_text("x")
        (root / f"{name}.part").rename(root / name)
    assert names(inbox, wait_s=1.5, n=9) == ["kept.json"]


def test_a_folder_that_is_removed_and_made_again_is_watched_again(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.2)
    inbox.take_complete(1, 0.0)
    shutil.rmtree(root)
    names(inbox, 0.5)
    root.mkdir()
    (root / "a.json").write_text("{}")
    assert names(inbox) == ["a.json"]


def test_a_burst_is_found_in_full(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=1.0)
    inbox.take_complete(1, 0.0)
    wanted = []
    for i in range(2000):
        (root / f"{i}.part").write_text("{}")
        (root / f"{i}.part").rename(root / f"{i}.json")
        wanted.append(f"{i}.json")
    assert names(inbox, wait_s=20.0, n=2000) == sorted(wanted)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="no such folder"):
        Inbox([tmp_path / "nowhere"], quiet_s=1, rescan_s=1).start()


def test_a_folder_inside_another_is_refused(root: Path) -> None:
    (root / "sub").mkdir()
    with pytest.raises(CannotStartError, match="inside another"):
        Inbox([root, root / "sub"], quiet_s=1, rescan_s=1).start()


def test_a_name_that_is_no_text_is_handed_out_as_bytes(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching()
    (root / os.fsdecode(b"caf\xff.json")).write_text("{}")
    (seen,) = handed_out(inbox)
    assert seen.path == b"caf\xff.json"
    assert seen.name.isprintable()


def test_a_marked_file_is_handed_out_when_its_marker_appears_and_not_before(
    root: Path, watching: Callable[..., Inbox]
) -> None:
    (root / "before.json").write_text("{}")
    (root / "before.json.done").touch()
    inbox = watching(rescan_s=0.3, done_suffix=b".done")
    assert names(inbox) == ["before.json"]
    (root / "a.json").write_text("{}")
    (root / "b.json.part").write_text("{}")
    (root / "b.json.part").rename(root / "b.json")
    assert names(inbox, wait_s=1.0) == []
    (root / "a.json.done").touch()
    assert names(inbox) == ["a.json"]
    assert names(inbox, wait_s=1.0) == []


class Ears:
    """Makes observers whose events can be taken away, and shows them to the test."""

    def __init__(self) -> None:
        self.deaf = False
        self.broken = False  # events make no sense
        self.heard: list[str] = []
        self.observers: list[FolderObserver] = []

    def make_observer(self, on_overflow: Callable[[], None]) -> BaseObserver:
        ears = self

        class Observer(FolderObserver):
            def schedule(self, handler: FileSystemEventHandler, *where: Any, **how: Any) -> Any:
                return super().schedule(Filter(handler), *where, **how)

        class Filter(FileSystemEventHandler):
            def __init__(self, handler: FileSystemEventHandler) -> None:
                self.handler = handler

            def on_any_event(self, event: FileSystemEvent) -> None:
                ears.heard.append(os.fsdecode(event.dest_path or event.src_path))
                if ears.broken:
                    event = FileCreatedEvent(None)  # type: ignore[arg-type]
                if not ears.deaf:
                    self.handler.on_any_event(event)

        self.observers.append(Observer(on_overflow))
        return self.observers[-1]


def end_threads(observer: FolderObserver) -> None:
    for emitter in observer.emitters:
        emitter.stop()


def end_watches(observer: FolderObserver) -> None:
    observer.unschedule_all()


@pytest.mark.parametrize("end", [end_threads, end_watches])
def test_when_nothing_is_heard_any_more_listening_begins_anew(
    root: Path, watching: Callable[..., Inbox], end: Callable[[FolderObserver], None]
) -> None:
    ears = Ears()
    inbox = watching(
        quiet_s=0.1, rescan_s=0.5, listener_limits=ListenerLimits(canary_s=0.3), make_observer=ears.make_observer
    )
    names(inbox, 0.2)
    end(ears.observers[0])
    (root / "meanwhile.json").write_text("{}")
    assert names(inbox) == ["meanwhile.json"]  # by the scan
    names(inbox, 1.5)
    (root / "later.json").write_text("{}")
    assert names(inbox) == ["later.json"]
    deadline = time.monotonic() + 5
    while str(root / "later.json") not in ears.heard and time.monotonic() < deadline:
        time.sleep(0.01)
    assert str(root / "later.json") in ears.heard  # by an event as well
    assert len(ears.observers) > 1
    assert inbox.ready


def test_a_file_whose_event_was_lost_is_not_held_up_by_those_that_keep_coming(
    root: Path, watching: Callable[..., Inbox], tmp_path: Path
) -> None:
    ears = Ears()
    inbox = watching(quiet_s=0.1, make_observer=ears.make_observer)
    names(inbox, 0.2)
    ears.deaf = True
    (root / "lost.json").write_text("{}")
    time.sleep(0.2)
    ears.deaf = False
    inbox.listeners[0].report_overflow()
    found: list[str] = []
    for number in range(200):
        for more in range(4):  # twice as many as are taken
            (tmp_path / "next.json").write_text("{}")
            (tmp_path / "next.json").rename(root / f"{number}-{more}.json")
        time.sleep(0.01)
        found += [seen.name for seen in inbox.take_complete(2, 0.0)]
        if "lost.json" in found:
            break
    assert "lost.json" in found
    assert len(found) > 2


def test_a_folder_that_raises_no_events_is_read_more_often_until_it_does(
    root: Path, watching: Callable[..., Inbox]
) -> None:
    ears = Ears()
    ears.deaf = True
    limits = ListenerLimits(canary_s=0.2, retry_s=2.0)
    inbox = watching(
        quiet_s=0.1, rescan_s=0.5, blind_rescan_s=0.2, listener_limits=limits, make_observer=ears.make_observer
    )
    deadline = time.monotonic() + 5
    while inbox.ready and time.monotonic() < deadline:
        names(inbox, 0.2)
    assert not inbox.ready
    (root / "blind.json").write_text("{}")
    assert names(inbox) == ["blind.json"]
    ears.deaf = False
    deadline = time.monotonic() + 5
    while not inbox.ready and time.monotonic() < deadline:
        names(inbox, 0.2)
    assert inbox.ready


def test_a_handler_that_fails_ends_no_thread(root: Path, watching: Callable[..., Inbox]) -> None:
    ears = Ears()
    inbox = watching(quiet_s=0.1, make_observer=ears.make_observer)
    names(inbox, 0.2)
    ears.broken = True
    (root / "lost.json").write_text("{}")
    names(inbox, 0.5)
    ears.broken = False
    (root / "heard.json").write_text("{}")
    assert "heard.json" in names(inbox)


def test_what_is_put_into_the_archive_is_not_heard_of(root: Path, watching: Callable[..., Inbox]) -> None:
    """Holds FolderDescriptor.add_callback to the watchdog that is installed."""
    ears = Ears()
    inbox = watching(quiet_s=0.1, make_observer=ears.make_observer)
    heard = ears.heard
    archive = root / ".ingestd" / "archive" / "2026-01-01"
    archive.mkdir(parents=True)
    names(inbox, 0.2)  # by now the new folder is watched
    (root / "a.json").write_text("{}")
    (archive / "a.json").hardlink_to(root / "a.json")
    (root / "last.json").write_text("{}")
    deadline = time.monotonic() + 5
    while str(root / "last.json") not in heard and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {str(root / "a.json"), str(root / "last.json")} <= set(heard)
    assert not [path for path in heard if path.startswith(f"{archive}/")]


def test_a_folder_below_one_that_is_named_as_our_own_is_heard(tmp_path: Path) -> None:
    root = tmp_path / ".ingestd" / "inbox"
    root.mkdir(parents=True)
    inbox = Inbox([root], quiet_s=0.1, rescan_s=60)
    inbox.start()
    try:
        assert inbox.ready
        names(inbox, 0.2)
        (root / "a.json").write_text("{}")
        assert names(inbox) == ["a.json"]
    finally:
        inbox.stop()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EMFILE, errno.EACCES])
def test_where_inotify_has_no_room_the_folder_is_read(root: Path, watching: Callable[..., Inbox], error: int) -> None:
    stopped = []

    class Full(BaseObserver):
        def __init__(self, _on_overflow: Callable[[], None]) -> None:
            super().__init__(EventEmitter)

        def schedule(self, *_: Any, **__: Any) -> Any:
            raise OSError(error, os.strerror(error))

        def on_thread_stop(self) -> None:
            stopped.append(self)

    inbox = watching(quiet_s=0.1, rescan_s=0.3, make_observer=Full)
    assert not inbox.ready
    assert len(stopped) == 1  # its descriptor and thread are not kept
    (root / "a.json").write_text("{}")
    assert names(inbox) == ["a.json"]


def test_an_overflow_has_the_folder_read_at_once_and_several_end_the_listening(
    root: Path, watching: Callable[..., Inbox]
) -> None:
    """Holds FolderDescriptor.handle_event to the watchdog that is installed."""
    ears = Ears()
    ears.deaf = True  # events are lost, as in an overflow
    inbox = watching(quiet_s=0.1, make_observer=ears.make_observer)
    names(inbox, 0.2)
    overflow = InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b"")
    for number in range(3):
        (root / f"{number}.json").write_text("{}")
        assert names(inbox, wait_s=0.5) == []
        ears.observers[0].descriptor.handle_event(overflow)
        assert names(inbox) == [f"{number}.json"]
    assert not inbox.ready


def test_a_polled_folder_is_never_listened_to(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.3, blind=True)
    names(inbox, 1.0)
    assert inbox.ready
    assert not any(listener.receives_events for listener in inbox.listeners)


def test_files_that_have_looked_unfinished_for_an_hour_are_named_once(
    root: Path, watching: Callable[..., Inbox]
) -> None:
    for name, hours in (("old.json.part", 2), ("fresh.json.part", 0), ("sub/older.tmp", 30), (".hidden", 50)):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("{}")
        os.utime(root / name, (time.time() - 3600 * hours,) * 2)
    with structlog.testing.capture_logs() as said:
        inbox = watching(rescan_s=0.2)
        assert names(inbox, wait_s=1.0) == []
    (line,) = [line for line in said if line["event"] == "files.unfinished"]
    assert (line["files"], line["new"]) == (2, ["old.json.part", "sub/older.tmp"])
