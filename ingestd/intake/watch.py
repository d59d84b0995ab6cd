"""
Which files in the watched folders are complete: an iterator over them, for ever.

The folders are read in full every so often, and that is the truth. Events of the file system only make it quick: a
lost one costs time, never a file. So whatever a handler hears, it does no more than note a path.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
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

from ingestd.core.stability import EMPTY_QUIET_S, Look, Settling
from ingestd.errors import CannotStartError
from ingestd.intake.scan import OWN_FOLDER, SeenFile, files, left_alone, look_at

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
MOST_WAITING = 20_000  # files remembered at once; the folder itself is the queue for the rest


class Inbox:
    """The watched folders."""

    def __init__(  # noqa: PLR0913 - each is one setting, named by every caller
        self,
        roots: Sequence[Path],
        *,
        quiet_s: float,
        rescan_s: float,
        ignore: Sequence[str] = (),
        empty_quiet_s: float = EMPTY_QUIET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch `roots`; nothing happens before `start`."""
        self.roots = [Path(root).resolve() for root in roots]
        self._ignore, self._rescan_s, self._clock = tuple(ignore), rescan_s, clock
        self._settling: Settling[tuple[str, bytes]] = Settling(quiet_s, empty_quiet_s)
        self._hints: deque[tuple[str, bytes, bool]] = deque(maxlen=2 * MOST_WAITING)
        self._heard = threading.Event()
        self._out: dict[tuple[str, bytes], Look] = {}  # handed out, or finished and left in place
        self._next_scan = 0.0
        self._more = False  # the last scan stopped before the end
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """
        Begin to listen.

        Raises:
            CannotStartError: a root is no folder, or lies in another.
        """
        for root in self.roots:
            if not root.is_dir():
                raise CannotStartError(f"{root}: no such folder; create it, or name another with --watch")
            if any(other != root and root.is_relative_to(other) for other in self.roots):
                raise CannotStartError(f"{root}: lies inside another watched folder, which covers it")
        self._observe()

    def stop(self) -> None:
        """Listen no longer."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=5)
            self._observer = None

    def wake(self) -> None:
        """End a wait for files, from any thread or signal handler."""
        self._heard.set()

    def settled(self, most: int, wait_s: float) -> list[SeenFile]:
        """
        Return files that are complete, at most so many; wait for the first of them no longer than `wait_s` seconds.

        A file is returned once. It is returned again when it has changed, or after `again`.
        """
        deadline = self._clock() + wait_s
        while True:
            found = self._collect(most)
            now = self._clock()
            if found or now >= deadline:
                return found
            due = self._settling.next_due()
            until = min(t for t in (deadline, self._next_scan, due) if t is not None)
            # Events come in bursts: what arrives within a moment is taken up together.
            if self._heard.wait(max(0.0, min(until - now, wait_s))):
                self._heard.clear()

    def again(self, wanted: Iterable[tuple[str, bytes]]) -> None:
        """Hand out files once more, when they are complete."""
        for key in wanted:
            self._out.pop(key, None)
            self._hints.append((*key, False))
        self._heard.set()

    @property
    def waiting(self) -> int:
        """How many files are known and not complete yet."""
        return len(self._settling)

    # Inside

    def _collect(self, most: int) -> list[SeenFile]:
        now = self._clock()
        found: list[SeenFile] = []
        while self._hints and len(found) < most:
            root, path, complete = self._hints.popleft()
            self._see(root, path, complete, now, found)
        for root, path in self._settling.due(now):
            if len(found) >= most:
                return found
            self._see(root, path, False, now, found)
        if now >= self._next_scan or (self._more and len(self._settling) < MOST_WAITING // 2):
            self._scan(now)
        return found

    def _see(self, root: str, path: bytes, complete: bool, now: float, found: list[SeenFile]) -> None:
        key = (root, path)
        seen = look_at(Path(root), path)
        if seen is None:
            self._settling.forget(key)
            self._out.pop(key, None)
        elif self._out.get(key) == seen.look:
            self._settling.forget(key)
        elif (complete and seen.size) or not seen.regular or self._settling.see(key, seen.look, now):
            self._settling.forget(key)
            self._out[key] = seen.look
            found.append(seen)

    def _scan(self, now: float) -> None:
        """Read all folders; remember what is not known yet, up to a bound."""
        self._next_scan, self._more = now + self._rescan_s, False
        for root in self.roots:
            self._scan_root(root, now)
        if self._observer is not None and not self._listening():
            log.warning("watch.restarted", hint="the folders were read in full meanwhile; nothing was missed")
            self.stop()
            self._observe()

    def _scan_root(self, root: Path, now: float) -> None:
        present: set[bytes] = set()
        for seen in files(root, self._ignore):
            key = (seen.root, seen.path)
            present.add(seen.path)
            if self._out.get(key) != seen.look and key not in self._settling:
                if len(self._settling) >= MOST_WAITING:
                    self._more = True  # the rest waits in the folder
                    return
                self._settling.see(key, seen.look, now)
        for key in [k for k in self._out if k[0] == str(root) and k[1] not in present]:
            del self._out[key]

    def _observe(self) -> None:
        # Said when a new folder is seen twice, by its event and by the walk of its parent: both mean the same watch.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer = Observer()
        try:
            for root in self.roots:
                self._observer.schedule(_Handler(root, self._note), str(root), recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError as error:  # out of inotify watches or instances: slower, not wrong
            log.warning("watch.blind", error=str(error), hint=f"reading the folders every {self._rescan_s} s instead")
            self._observer = None

    def _listening(self) -> bool:
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def _note(self, root: Path, path: bytes, complete: bool) -> None:
        self._hints.append((str(root), path, complete))
        self._heard.set()


class _Handler(FileSystemEventHandler):
    """Notes paths. An exception here would end the observer's thread, so nothing may escape."""

    def __init__(self, root: Path, note: Callable[[Path, bytes, bool], None]) -> None:
        self._root, self._note = root, note

    def on_any_event(self, event: FileSystemEvent) -> None:
        try:
            moved = isinstance(event, (FileMovedEvent, DirMovedEvent))
            path = os.fsencode(event.dest_path if moved else event.src_path)
            relative = os.path.relpath(path, os.fsencode(self._root))
            if (
                relative.startswith(b"..")
                or any(left_alone(p, ()) for p in relative.split(b"/"))
                or OWN_FOLDER in relative.split(b"/")
            ):
                return
            if event.is_directory:
                self._walk(relative)
            else:
                self._note(self._root, relative, moved)
        except Exception:
            log.exception("watch.event_failed")

    def _walk(self, folder: bytes) -> None:
        """Note what a new folder holds: its files may have been there before the watch on it was."""
        base = Path(os.fsdecode(os.path.join(os.fsencode(self._root), folder)))
        for seen in files(base):
            self._note(self._root, os.path.join(folder, seen.path), False)
