"""
watchdog on a folder: events to save the inbox time, and ways to notice the loss of events.

Events get lost in many ways: a queue overflows, a thread ends, a folder is removed and made again, inotify
reaches its limits, a network mount never tells. So a canary is dropped every so often: if the canary raises no event,
nothing else can be relied on to. Then the folder is read in full more often until events come back.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from ingestd.inbox.beneath import OWN_FOLDER, create_file, open_folder
from ingestd.inbox.scan import find_files, is_left_alone

log = structlog.get_logger()

# Files in new or moved-in folders often raise nothing but `created`, files renamed into place nothing but `moved`:
# waiting for `closed` alone would lose them (measured with watchdog 7.1).
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
_END_LIMIT_S = 5.0  # for a thread of watchdog to end
_CANARY = os.path.join(OWN_FOLDER, b"canary")

AddHint = Callable[[Path, bytes, bool], None]  # root, path below it, whether the file is known to be complete
MakeObserver = Callable[[Callable[[], None]], BaseObserver]  # given the function to call when events are lost


class Mode(StrEnum):
    """The way to notice changes in a folder."""

    AUTO = "auto"  # by events, and by reading the folder more often while there are none
    INOTIFY = "inotify"  # by events, started again whenever they stop
    POLL = "poll"  # by reading the folder: network mounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """Limits to tell a folder without events from a quiet folder."""

    canary_s: float = 2.0  # an event that took longer than this is of no use
    missed_canaries: int = 2  # in a row; one may be late under load
    overflows: int = 3  # within `overflows_s` seconds: the queue will not keep up
    overflows_s: float = 60.0
    retry_s: float = 300.0  # from the loss of events until the next attempt to listen


def make_observer(on_overflow: Callable[[], None]) -> BaseObserver:
    """Return the observer of this system; only the observer for Linux tells of lost events."""
    if sys.platform == "linux":
        from ingestd.inbox.inotify import FolderObserver

        return FolderObserver(on_overflow)
    return Observer()


DEFAULT_LIMITS = ListenerLimits()


class Listener:
    """Events of a folder."""

    def __init__(  # noqa: PLR0913 - each is one setting, or a stand-in of a test
        self,
        root: Path,
        mode: Mode,
        add_hint: AddHint,
        ignore: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        *,
        limits: ListenerLimits = DEFAULT_LIMITS,
        make_observer: MakeObserver = make_observer,
    ) -> None:
        """
        Listen from `start` on.

        Args:
            root: the folder.
            mode: whether to listen at all, and whether to give up.
            add_hint: called from another thread for each file heard of; must do next to nothing.
            ignore: further name patterns to leave alone.
            clock: seconds of any origin.
            limits: until events count as lost.
            make_observer: returns the observer to listen with.
        """
        self.root, self.mode = root, mode
        self.overflowed = threading.Event()
        self._add_hint, self._ignore, self._clock = add_hint, ignore, clock
        self._limits, self._make_observer = limits, make_observer
        self._observer: BaseObserver | None = None
        self._canary_at: float | None = None  # when a canary was dropped that has not been heard
        self._missed = 0  # canaries in a row
        self._overflows: deque[float] = deque(maxlen=limits.overflows)
        self._retry_at = 0.0

    @property
    def receives_events(self) -> bool:
        """Whether events can be relied on to come."""
        return self._observer is not None

    def start(self) -> None:
        """Begin to listen, unless the folder is to be read only."""
        if self.mode is Mode.POLL:
            return
        # Raised when a new folder is seen twice, by its event and by the walk of its parent: both mean the same watch.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        handler = HintHandler(self.root, self.hear, self._ignore)
        observer: BaseObserver | None = None
        try:
            observer = self._make_observer(self.report_overflow)
            observer.schedule(handler, str(self.root), recursive=True, event_filter=_EVENTS)
            observer.start()
        except Exception as error:  # noqa: BLE001 - OSError: out of inotify watches, or no folder; others: a fault of watchdog
            if observer is not None:
                _stop_observer(observer, self.root)
            self._give_up(f"{type(error).__name__}: {error}")
            return
        self._observer = observer
        self._overflows.clear()
        self._drop_canary()

    def stop(self) -> None:
        """Listen no longer."""
        observer, self._observer = self._observer, None
        if observer is not None:
            _stop_observer(observer, self.root)

    def check(self) -> None:
        """Find out whether events still come, and help if not. The folder has just been read."""
        now, limits = self._clock(), self._limits
        if self.mode is Mode.POLL:
            return
        if not self.receives_events:
            self._try_again(now)
        elif not self._has_live_threads():
            self._restart("watchdog's threads ended")
        elif len(self._overflows) == limits.overflows and now - self._overflows[0] < limits.overflows_s:
            self._handle_lost_events(
                f"the queue of events overflowed {limits.overflows} times in {limits.overflows_s:.0f} s"
            )
        elif self._canary_at is None:
            self._missed = 0
            self._drop_canary()
        elif now - self._canary_at > limits.canary_s:
            self._missed += 1
            if self._missed >= limits.missed_canaries:
                self._handle_lost_events(f"{self._missed} canaries raised no event")
            else:
                self._restart("a canary raised no event")  # as after the folder was removed and made again

    def hear(self, path: bytes, complete: bool) -> None:
        """Take up an event, from another thread."""
        if path == _CANARY:
            self._canary_at = None
        elif OWN_FOLDER not in path.split(b"/"):
            self._add_hint(self.root, path, complete)

    def report_overflow(self) -> None:
        """Take up the news of lost events, from another thread."""
        self._overflows.append(self._clock())
        self.overflowed.set()
        self._add_hint(self.root, b"", False)  # wakes the loop that waits for files

    def _try_again(self, now: float) -> None:
        if now >= self._retry_at and self.root.is_dir():
            self.start()
            if self.receives_events:
                log.info("watch.events_restored", root=str(self.root))

    def _has_live_threads(self) -> bool:
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def _restart(self, why: str) -> None:
        self.stop()
        self.start()
        if self.receives_events:
            log.warning("watch.restarted", root=str(self.root), why=why, hint="the folder was read meanwhile")

    def _handle_lost_events(self, why: str) -> None:
        if self.mode is Mode.INOTIFY:
            self._restart(why)
        else:
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        self.stop()
        self._retry_at, self._missed = self._clock() + self._limits.retry_s, 0
        log.warning(
            "watch.events_lost",
            root=str(self.root),
            why=why,
            hint=f"reading the folder more often instead; trying events again in {self._limits.retry_s:.0f} s",
        )

    def _drop_canary(self) -> None:
        """Make a file to raise an event; where no file can be made, a missing event says nothing."""
        self._canary_at = self._clock()
        folder, name = os.path.split(_CANARY)
        try:
            descriptor = open_folder(self.root, folder, create=True)  # not the root as well, should the root be gone
            try:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)  # a link goes, and what the link leads to stays
                os.close(create_file(descriptor, name))
            finally:
                os.close(descriptor)
        except OSError:
            self._canary_at = None


def _stop_observer(observer: BaseObserver, root: Path) -> None:
    """Stop an observer; a fault of watchdog is logged, and concerns nothing but the events of this folder."""
    try:
        observer.stop()
        if observer.is_alive():
            observer.join(timeout=_END_LIMIT_S)
    except Exception:
        log.exception("watch.stop_failed", root=str(root), hint="listening begins anew; the folder is read meanwhile")


class HintHandler(FileSystemEventHandler):
    """Passes paths on. An exception here would end the observer's thread, so nothing may escape."""

    def __init__(self, root: Path, hear: Callable[[bytes, bool], None], ignore: Sequence[str]) -> None:
        """Pass each path below `root` to `hear`, with whether the file is known to be complete."""
        self._root, self._hear, self._ignore = root, hear, ignore
        self._base = os.path.join(os.fsencode(root), b"")

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on the path of a file, or the files of a new folder."""
        try:
            moved = isinstance(event, (FileMovedEvent, DirMovedEvent))
            path = os.fsencode(event.dest_path if moved else event.src_path)
            if not path.startswith(self._base):  # moved out of the folder
                return
            relative = path[len(self._base) :]
            if relative == _CANARY:
                self._hear(relative, False)
            elif any(is_left_alone(part, self._ignore) for part in relative.split(b"/")):
                return
            elif event.is_directory:
                self._walk_folder(relative)
            else:
                self._hear(relative, moved)
        except Exception:
            log.exception("watch.event_failed")

    def _walk_folder(self, folder: bytes) -> None:
        """Pass on the files of a new folder; a file may be older than the watch on the folder."""
        for seen in find_files(self._root, self._ignore, folder=folder):
            self._hear(seen.path, False)
