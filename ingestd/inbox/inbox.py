"""
The watched folders, and the complete files in these folders.

The folders are read in full every so often: the truth. Events of the file system only save time: a
lost event costs time, never a file. So an event handler does no more than to add a path to the hints.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from ingestd.core.source_file import FileStamp, SeenFile
from ingestd.errors import CannotStartError
from ingestd.inbox.beneath import OpenFolders, open_file
from ingestd.inbox.listener import DEFAULT_LIMITS, Listener, ListenerLimits, MakeObserver, Mode, make_observer
from ingestd.inbox.open_writers import AskForWriters, Writers, ask_for_writers
from ingestd.inbox.scan import find_files, is_regular, look_at
from ingestd.inbox.settling import EMPTY_QUIET_S, Settling
from ingestd.inbox.wakeup import Wakeup

log = structlog.get_logger()

BLIND_RESCAN_S = 5.0  # between readings of a folder that raises no events
_SCAN_SHARE = 10  # a folder that takes a second to read is not read more often than every ten
_UNFINISHED_S = 3600.0  # until a file that is still being written is named in the log
MAX_WAITING = 20_000  # files remembered at once; the folder itself is the queue for the rest

Key = tuple[str, bytes]  # root, path below it


class Inbox:
    """The watched folders."""

    def __init__(  # noqa: PLR0913 - each is one setting, named by every caller
        self,
        roots: Sequence[Path],
        *,
        quiet_s: float,
        rescan_s: float,
        ignore: Sequence[str] = (),
        modes: Mapping[Path, Mode] | None = None,
        done_suffix: bytes = b"",
        empty_quiet_s: float = EMPTY_QUIET_S,
        blind_rescan_s: float = BLIND_RESCAN_S,
        clock: Callable[[], float] = time.monotonic,
        wakeup: Wakeup | None = None,
        listener_limits: ListenerLimits = DEFAULT_LIMITS,
        make_observer: MakeObserver = make_observer,
        ask_for_writers: AskForWriters = ask_for_writers,
    ) -> None:
        """
        Watch some folders; nothing happens before `start`.

        Args:
            roots: the folders.
            quiet_s: a file unchanged for so long is complete.
            rescan_s: between two readings of all folders.
            ignore: further name patterns to leave alone.
            modes: of single folders; AUTO for the others.
            done_suffix: of markers; where there are markers, only a marked file is complete.
            empty_quiet_s: as `quiet_s`, for an empty file.
            blind_rescan_s: as `rescan_s`, while events are lost.
            clock: seconds of any origin.
            wakeup: ends a wait for files when set.
            listener_limits: until events count as lost.
            make_observer: returns the observer to listen with.
            ask_for_writers: tells of an open file whether anybody has it open for writing.
        """
        self.roots = [Path(root).resolve() for root in roots]
        self._ignore, self._rescan_s, self._clock = tuple(ignore), rescan_s, clock
        self._blind_rescan_s = blind_rescan_s
        self._done = done_suffix
        self._unfinished: set[Key] = set()  # files that were named in the log
        self._held_open: set[Key] = set()  # likewise, because somebody has them open for writing
        self._ask_for_writers = ask_for_writers
        self._folders = OpenFolders()  # of the files that are looked at together
        self._settling: Settling[Key] = Settling(quiet_s, empty_quiet_s)
        self._hints: deque[tuple[str, bytes, bool]] = deque(maxlen=2 * MAX_WAITING)
        self._wakeup = wakeup or Wakeup()
        # At work, or finished and left in place: the stamp, and the time.
        self._handed_out: dict[Key, tuple[FileStamp, float]] = {}
        self._next_scan = 0.0
        self._has_more = False  # the last scan stopped before the end
        by_root = {Path(root).resolve(): mode for root, mode in (modes or {}).items()}
        listen = partial(Listener, limits=listener_limits, make_observer=make_observer)
        self._listeners = [
            listen(root, by_root.get(root, Mode.AUTO), self._add_hint, self._ignore, clock) for root in self.roots
        ]

    def start(self) -> None:
        """
        Begin to listen.

        Raises:
            CannotStartError: a root is no folder, or lies in another root.
        """
        for root in self.roots:
            if not root.is_dir():
                raise CannotStartError(f"{root}: no such folder; create it, or name another with --watch")
            if any(other != root and root.is_relative_to(other) for other in self.roots):
                raise CannotStartError(f"{root}: lies inside another watched folder, which covers it")
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Listen no longer."""
        for listener in self._listeners:
            listener.stop()

    @property
    def ready(self) -> bool:
        """Whether every folder raises events, or is meant to be read only."""
        return all(listener.receives_events or listener.mode is Mode.POLL for listener in self._listeners)

    @property
    def waiting(self) -> int:
        """Number of files known and not complete yet."""
        return len(self._settling)

    @property
    def listeners(self) -> Sequence[Listener]:
        """The listener of each root, in the order of the roots."""
        return self._listeners

    def take_complete(self, max_files: int, wait_s: float) -> list[SeenFile]:
        """
        Return complete files, at most `max_files`; wait for the first no longer than `wait_s` seconds.

        A file is returned once, and again after a change or a call of `offer_again`. The wait ends early, and without a
        file, when the wake-up is set for something else.
        """
        deadline = self._clock() + wait_s
        woken = False
        while True:
            complete = self._collect(max_files)
            now = self._clock()
            if complete or woken or now >= deadline:
                return complete
            due = self._settling.next_due()
            until = min(t for t in (deadline, self._next_scan, due) if t is not None)
            # Events come in bursts: files that arrive within a moment are taken up together.
            woken = self._wakeup.wait(min(until - now, wait_s))

    def offer_again(self, keys: Iterable[Key]) -> None:
        """Return complete files once more."""
        for key in keys:
            self._handed_out.pop(key, None)
            self._hints.append((*key, False))
        self._wakeup.set()

    def _collect(self, max_files: int) -> list[SeenFile]:
        now = self._clock()
        complete: dict[
            Key, SeenFile
        ] = {}  # by name: of a name that is renamed over again and again, the latest version
        due = self._settling.list_due(now)
        # Where more files come than can be stored, files with events and files of the scan get half each.
        max_hinted = max_files - min(len(due), max_files // 2)
        with self._folders:
            for _ in range(len(self._hints)):  # hints that come meanwhile wait: a quick writer holds nobody up
                if len(complete) >= max_hinted:
                    break
                root, path, is_complete = self._hints.popleft()
                self._examine(root, path, is_complete, now, complete)
            for root, path in due:
                if len(complete) >= max_files:
                    break
                self._examine(root, path, False, now, complete)
        if self._take_overflow() or now >= self._next_scan or (self._has_more and self.waiting < MAX_WAITING // 2):
            self._scan(now)
        return list(complete.values())

    def _take_overflow(self) -> bool:
        """Tell whether events were lost since the last call: then the folders are read at once."""
        overflows = [listener.overflowed for listener in self._listeners if listener.overflowed.is_set()]
        for event in overflows:
            event.clear()
        return bool(overflows)

    def _examine(self, root: str, path: bytes, is_complete: bool, now: float, complete: dict[Key, SeenFile]) -> None:
        """Look at a file, and add a complete file to `complete`, unless handed out before."""
        key = (root, path)
        seen = look_at(root, path, self._folders) if path else None
        if self._done and seen is not None:
            if path.endswith(self._done):  # a marker: its file counts
                self._examine(root, path.removesuffix(self._done), True, now, complete)
                return
            is_complete = self._is_marked(root, path)
            if not is_complete:
                return
        if seen is None:
            self._let_go(key)
            self._handed_out.pop(key, None)
        elif self._is_handed_out(key, seen):
            self._let_go(key)
        elif not is_regular(seen) or self._is_complete(key, seen, is_complete, now):
            self._let_go(key)
            self._handed_out[key] = (seen.stamp, now)
            complete[key] = seen

    def _is_handed_out(self, key: Key, seen: SeenFile) -> bool:
        return key in self._handed_out and self._handed_out[key][0] == seen.stamp

    def _let_go(self, key: Key) -> None:
        self._settling.drop(key)
        self._held_open.discard(key)

    def _is_complete(self, key: Key, seen: SeenFile, is_complete: bool, now: float) -> bool:
        """
        Tell whether a file is complete: quiet, or said to be complete, and nobody has the file open for writing.

        Where nobody can tell, a writer that made pauses before gets twice as long.
        """
        if self._settle(key, seen, now) or (is_complete and seen.size):
            writers = self._ask_about(seen)
            if writers is Writers.SOME:
                self._report_held_open(key, seen, self._settling.hold(key, seen.stamp, now))
                return False
            return is_complete or writers is Writers.NONE or self._settling.is_past_pauses(key, now)
        return False

    def _ask_about(self, seen: SeenFile) -> Writers:
        try:
            descriptor = open_file(seen.root, seen.path, self._folders)
        except OSError:
            return Writers.UNKNOWN
        try:
            return self._ask_for_writers(descriptor)
        finally:
            os.close(descriptor)

    def _settle(self, key: Key, seen: SeenFile, now: float) -> bool:
        """Record a file as seen, and tell whether the file is quiet."""
        stamp, at = self._handed_out.get(key, (None, now))
        # Written on after the file was taken for complete: the writer had made a pause.
        grown = stamp is not None and stamp.inode == seen.inode
        return self._settling.see(key, seen.stamp, now, now - at if grown else 0.0)

    def _report_held_open(self, key: Key, seen: SeenFile, unchanged_s: float) -> None:
        """Log once that somebody has a file open for writing and has written nothing for so long."""
        if unchanged_s > _UNFINISHED_S and key not in self._held_open:
            self._held_open.add(key)
            log.warning(
                "file.held_open",
                root=seen.root,
                path=seen.name,
                unchanged_s=round(unchanged_s),
                hint="not taken in: a process has it open for writing, and may write on",
            )

    def _scan(self, now: float) -> None:
        """Read all folders; remember new files, up to a bound."""
        self._has_more = False
        for root in self.roots:
            self._scan_root(root, now)
        for listener in self._listeners:
            listener.check()
        elapsed_s = self._clock() - now
        hears_all = all(listener.receives_events for listener in self._listeners)
        every_s = self._rescan_s if hears_all else min(self._rescan_s, self._blind_rescan_s)
        self._next_scan = now + max(every_s, _SCAN_SHARE * elapsed_s)

    def _scan_root(self, root: Path, now: float) -> None:
        present: set[bytes] = set()
        unfinished: list[bytes] = []
        with self._folders:
            for seen in find_files(root, self._ignore, unfinished.append):
                key = (seen.root, seen.path)
                present.add(seen.path)
                if self._done and not self._is_marked(seen.root, seen.path):
                    continue
                if not self._is_handed_out(key, seen) and key not in self._settling:
                    if self.waiting >= MAX_WAITING:
                        self._has_more = True  # the rest waits in the folder
                        return
                    self._settle(key, seen, now)
        self._report_unfinished(root, unfinished)
        for key in [k for k in self._handed_out if k[0] == str(root) and k[1] not in present]:
            del self._handed_out[key]

    def _report_unfinished(self, root: Path, paths: Sequence[bytes]) -> None:
        """Log once each file unfinished for so long: the writer has probably given up."""
        abandoned = {(str(root), path) for path in paths if _measure_age(root, path) > _UNFINISHED_S}
        named = {key for key in self._unfinished if key[0] == str(root)}
        if new := sorted(abandoned - named):
            log.warning(
                "files.unfinished",
                root=str(root),
                files=len(abandoned),
                new=[os.fsdecode(path) for _, path in new[:10]],
                hint=f"not taken in: by their names they are still being written, for more than {_UNFINISHED_S:.0f} s",
            )
        self._unfinished = (self._unfinished - named) | abandoned

    def _is_marked(self, root: str, path: bytes) -> bool:
        """Tell whether there is a marker for a file; a marker is no such file."""
        return not path.endswith(self._done) and look_at(root, path + self._done, self._folders) is not None

    def _add_hint(self, root: Path, path: bytes, complete: bool) -> None:
        self._hints.append((str(root), path, complete))
        self._wakeup.set()


def _measure_age(root: Path, path: bytes) -> float:
    """Return the seconds since somebody last wrote to a file; 0 where the file is gone."""
    seen = look_at(root, path)
    return time.time() - seen.mtime_ns / 1e9 if seen else 0.0
