"""
watchdog on one folder: events that make it quick, and how to notice that there are none any more.

Events get lost in many ways: a queue that overflows (which is only logged), a thread that ended, a folder that was
removed and made again, limits of inotify, network mounts that never tell. So a canary is dropped every so often: if it
raises no event, nothing else can be relied on to. Then the folder is read in full more often until events come back.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
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

from ingestd.inbox.scan import OWN_FOLDER, files, left_alone

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
_CANARY = os.path.join(OWN_FOLDER, b"canary")
_CANARY_S = 2.0  # an event that took longer than this is of no use
_MISSED_CANARIES = 2  # one may be late under load
_OVERFLOWS, _OVERFLOWS_S = 3, 60.0  # so many in so many seconds: the queue will not keep up
_TRY_AGAIN_S = 300.0  # from going blind to listening again
_OVERFLOW_LOGGER = "watchdog.observers.inotify_c"

Note = Callable[[Path, bytes, bool], None]  # root, path below it, whether it is known to be complete


class Mode(StrEnum):
    """How changes in a folder are noticed."""

    AUTO = "auto"  # by events, and by reading it more often while there are none
    INOTIFY = "inotify"  # by events, started again whenever they stop
    POLL = "poll"  # by reading it: network mounts


class Listener:
    """What is heard of one folder."""

    def __init__(
        self,
        root: Path,
        mode: Mode,
        note: Note,
        ignore: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen from `start` on; `note` is called from another thread and must do next to nothing."""
        self._ignore = ignore
        self.root, self.mode = root, mode
        self._note, self._clock = note, clock
        self._observer: BaseObserver | None = None
        self._canary_at: float | None = None  # when one was dropped that has not been heard
        self._missed = 0
        self._overflows: deque[float] = deque(maxlen=_OVERFLOWS)
        self._try_again = 0.0
        self.overflowed = threading.Event()
        self._watch_log = _OverflowHandler(self._on_overflow)

    @property
    def hears(self) -> bool:
        """Whether events can be relied on to come."""
        return self._observer is not None

    def start(self) -> None:
        """Begin to listen, unless the folder is to be read only."""
        if self.mode is Mode.POLL:
            return
        # Said when a new folder is seen twice, by its event and by the walk of its parent: both mean the same watch.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        observer = _observer()
        try:
            observer.schedule(
                _Handler(self.root, self._heard, self._ignore), str(self.root), recursive=True, event_filter=_EVENTS
            )
            observer.start()
        except OSError as error:  # out of inotify watches or instances, or the folder is gone
            self._blind(str(error))
            return
        self._observer = observer
        self._overflows.clear()
        logging.getLogger(_OVERFLOW_LOGGER).addHandler(self._watch_log)
        self._drop_canary()

    def stop(self) -> None:
        """Listen no longer."""
        logging.getLogger(_OVERFLOW_LOGGER).removeHandler(self._watch_log)
        if self._observer is not None:
            self._observer.stop()
            if self._observer.is_alive():
                self._observer.join(timeout=5)
            self._observer = None

    def check(self) -> None:
        """Find out whether events still come, and do what helps if they do not. The folder has just been read."""
        now = self._clock()
        if self.mode is Mode.POLL:
            return
        if not self.hears:
            if now >= self._try_again and self.root.is_dir():
                self.start()
                if self.hears:
                    log.info("watch.hears_again", root=str(self.root))
            return
        if not self._alive():
            self._again("watchdog's threads ended")
        elif len(self._overflows) == _OVERFLOWS and now - self._overflows[0] < _OVERFLOWS_S:
            self._deaf(f"the queue of events overflowed {_OVERFLOWS} times in {_OVERFLOWS_S:.0f} s")
        elif self._canary_at is None:
            self._missed = 0
            self._drop_canary()
        elif now - self._canary_at > _CANARY_S:
            self._missed += 1
            if self._missed >= _MISSED_CANARIES:
                self._deaf(f"{self._missed} canaries raised no event")
            else:
                self._again("a canary raised no event")  # as after the folder was removed and made again

    def _alive(self) -> bool:
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def _again(self, why: str) -> None:
        self.stop()
        self.start()
        if self.hears:
            log.warning("watch.restarted", root=str(self.root), why=why, hint="the folder was read meanwhile")

    def _deaf(self, why: str) -> None:
        if self.mode is Mode.INOTIFY:
            self._again(why)
        else:
            self._blind(why)

    def _blind(self, why: str) -> None:
        self.stop()
        self._try_again, self._missed = self._clock() + _TRY_AGAIN_S, 0
        log.warning(
            "watch.blind",
            root=str(self.root),
            why=why,
            hint=f"reading the folder more often instead; trying events again in {_TRY_AGAIN_S:.0f} s",
        )

    def _drop_canary(self) -> None:
        """Make a file whose event has to come; where none can be made, its absence says nothing."""
        path = os.path.join(os.fsencode(self.root), _CANARY)
        self._canary_at = self._clock()
        try:
            with suppress(FileExistsError):
                os.mkdir(os.path.dirname(path))  # not the root as well, should it be gone
            with open(path, "wb"):
                pass
        except OSError:
            self._canary_at = None

    def _heard(self, path: bytes, complete: bool) -> None:
        if path == _CANARY:
            self._canary_at = None
        elif OWN_FOLDER not in path.split(b"/"):
            self._note(self.root, path, complete)

    def _on_overflow(self) -> None:
        self._overflows.append(self._clock())
        self.overflowed.set()
        self._note(self.root, b"", False)  # wakes whoever waits for files


class _OverflowHandler(logging.Handler):
    """Hears the one thing about a lost event that watchdog says, and says only to its log."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__()
        self._overflowed = overflowed

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self._overflowed()


def _observer() -> BaseObserver:
    if sys.platform == "linux":
        from ingestd.inbox.inotify import FolderObserver

        return FolderObserver()
    return Observer()


class _Handler(FileSystemEventHandler):
    """Notes paths. An exception here would end the observer's thread, so nothing may escape."""

    def __init__(self, root: Path, heard: Callable[[bytes, bool], None], ignore: Sequence[str]) -> None:
        self._root, self._heard, self._ignore = root, heard, ignore
        self._base = os.path.join(os.fsencode(root), b"")

    def on_any_event(self, event: FileSystemEvent) -> None:
        try:
            moved = isinstance(event, (FileMovedEvent, DirMovedEvent))
            path = os.fsencode(event.dest_path if moved else event.src_path)
            if not path.startswith(self._base):  # moved out of the folder
                return
            relative = path[len(self._base) :]
            if relative == _CANARY:
                self._heard(relative, False)
            elif any(left_alone(part, self._ignore) for part in relative.split(b"/")):
                return
            elif event.is_directory:
                self._walk(relative)
            else:
                self._heard(relative, moved)
        except Exception:
            log.exception("watch.event_failed")

    def _walk(self, folder: bytes) -> None:
        """Note what a new folder holds: its files may have been there before the watch on it was."""
        base = Path(os.fsdecode(os.path.join(os.fsencode(self._root), folder)))
        for seen in files(base, self._ignore):
            self._heard(os.path.join(folder, seen.path), False)
