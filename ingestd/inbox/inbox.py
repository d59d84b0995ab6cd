"""
Which files in the watched folders are complete: an iterator over them, for ever.

The folders are read in full every so often, and that is the truth. Events of the file system only make it quick: a
lost one costs time, never a file. So whatever a handler hears, it does no more than note a path.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from ingestd.core.source_file import FileStamp, SeenFile
from ingestd.errors import CannotStartError
from ingestd.inbox.listener import Listener, Mode
from ingestd.inbox.scan import files, is_regular, look_at
from ingestd.inbox.settling import EMPTY_QUIET_S, Settling
from ingestd.inbox.wakeup import Wakeup

log = structlog.get_logger()

_BLIND_SCAN_S = 5.0  # between readings of a folder whose changes are not heard of
_SCAN_SHARE = 10  # a folder that takes a second to read is not read more often than every ten
_FORGOTTEN_S = 3600.0  # after which a file that is still being written is named
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
        modes: Mapping[Path, Mode] | None = None,
        done_suffix: bytes = b"",
        empty_quiet_s: float = EMPTY_QUIET_S,
        clock: Callable[[], float] = time.monotonic,
        bell: Wakeup | None = None,
    ) -> None:
        """Watch `roots`; nothing happens before `start`. Ringing `bell` ends a wait for files."""
        self.roots = [Path(root).resolve() for root in roots]
        self._ignore, self._rescan_s, self._clock = tuple(ignore), rescan_s, clock
        self._done = done_suffix
        self._forgotten: set[tuple[str, bytes]] = set()  # unfinished files that were named
        self._settling: Settling[tuple[str, bytes]] = Settling(quiet_s, empty_quiet_s)
        self._hints: deque[tuple[str, bytes, bool]] = deque(maxlen=2 * MOST_WAITING)
        self._bell = bell or Wakeup()
        self._out: dict[tuple[str, bytes], FileStamp] = {}  # handed out, or finished and left in place
        self._next_scan = 0.0
        self._more = False  # the last scan stopped before the end
        wanted = {Path(root).resolve(): mode for root, mode in (modes or {}).items()}
        self._listeners = [
            Listener(root, wanted.get(root, Mode.AUTO), self._note, self._ignore, clock) for root in self.roots
        ]

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
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Listen no longer."""
        for listener in self._listeners:
            listener.stop()

    @property
    def ready(self) -> bool:
        """Whether every folder is heard, or is meant to be read only."""
        return all(listener.hears or listener.mode is Mode.POLL for listener in self._listeners)

    def settled(self, most: int, wait_s: float) -> list[SeenFile]:
        """
        Return files that are complete, at most so many; wait for the first of them no longer than `wait_s` seconds.

        A file is returned once. It is returned again when it has changed, or after `again`. When the bell rings for
        something else, the wait ends early and without a file.
        """
        deadline = self._clock() + wait_s
        rung = False
        while True:
            found = self._collect(most)
            now = self._clock()
            if found or rung or now >= deadline:
                return found
            due = self._settling.next_due()
            until = min(t for t in (deadline, self._next_scan, due) if t is not None)
            # Events come in bursts: what arrives within a moment is taken up together.
            rung = self._bell.wait(min(until - now, wait_s))

    def again(self, wanted: Iterable[tuple[str, bytes]]) -> None:
        """Hand out files once more, when they are complete."""
        for key in wanted:
            self._out.pop(key, None)
            self._hints.append((*key, False))
        self._bell.ring()

    @property
    def waiting(self) -> int:
        """How many files are known and not complete yet."""
        return len(self._settling)

    # Inside

    def _collect(self, most: int) -> list[SeenFile]:
        now = self._clock()
        found: list[SeenFile] = []
        due = self._settling.due(now)
        # Where more come than can be stored, those that are heard of and those that are found each get half.
        for_heard = most - min(len(due), most // 2)
        while self._hints and len(found) < for_heard:
            root, path, complete = self._hints.popleft()
            self._see(root, path, complete, now, found)
        for root, path in due:
            if len(found) >= most:
                break
            self._see(root, path, False, now, found)
        if self._overflow() or now >= self._next_scan or (self._more and len(self._settling) < MOST_WAITING // 2):
            self._scan(now)
        return found

    def _overflow(self) -> bool:
        """Tell whether events were lost since the last look: then the folders are read at once."""
        lost = [listener.overflowed for listener in self._listeners if listener.overflowed.is_set()]
        for event in lost:
            event.clear()
        return bool(lost)

    def _see(self, root: str, path: bytes, complete: bool, now: float, found: list[SeenFile]) -> None:
        key = (root, path)
        seen = look_at(root, path) if path else None
        if self._done and seen is not None:
            if path.endswith(self._done):  # what counts is the file that the marker speaks of
                self._see(root, path.removesuffix(self._done), True, now, found)
                return
            complete = self._is_marked(root, path)
            if not complete:
                return
        if seen is None:
            self._settling.forget(key)
            self._out.pop(key, None)
        elif self._out.get(key) == seen.stamp:
            self._settling.forget(key)
        elif (complete and seen.size) or not is_regular(seen) or self._settling.see(key, seen.stamp, now):
            self._settling.forget(key)
            self._out[key] = seen.stamp
            found.append(seen)

    def _scan(self, now: float) -> None:
        """Read all folders; remember what is not known yet, up to a bound."""
        self._more = False
        for root in self.roots:
            self._scan_root(root, now)
        for listener in self._listeners:
            listener.check()
        took = self._clock() - now
        heard = all(listener.hears for listener in self._listeners)
        every = self._rescan_s if heard else min(self._rescan_s, _BLIND_SCAN_S)
        self._next_scan = now + max(every, _SCAN_SHARE * took)

    def _scan_root(self, root: Path, now: float) -> None:
        present: set[bytes] = set()
        unfinished: list[bytes] = []
        for seen in files(root, self._ignore, unfinished.append):
            key = (seen.root, seen.path)
            present.add(seen.path)
            if self._done and not self._is_marked(root, seen.path):
                continue
            if self._out.get(key) != seen.stamp and key not in self._settling:
                if len(self._settling) >= MOST_WAITING:
                    self._more = True  # the rest waits in the folder
                    return
                self._settling.see(key, seen.stamp, now)
        self._name_forgotten(root, unfinished)
        for key in [k for k in self._out if k[0] == str(root) and k[1] not in present]:
            del self._out[key]

    def _name_forgotten(self, root: Path, unfinished: Sequence[bytes]) -> None:
        """Say once which files have looked unfinished for so long that their writer has probably given up."""
        forgotten = {(str(root), path) for path in unfinished if _age_s(root, path) > _FORGOTTEN_S}
        named = {key for key in self._forgotten if key[0] == str(root)}
        if new := sorted(forgotten - named):
            log.warning(
                "files.unfinished",
                root=str(root),
                files=len(forgotten),
                new=[os.fsdecode(path) for _, path in new[:10]],
                hint=f"not taken in: by their names they are still being written, for more than {_FORGOTTEN_S:.0f} s",
            )
        self._forgotten = (self._forgotten - named) | forgotten

    def _is_marked(self, root: str | Path, path: bytes) -> bool:
        """Tell whether a file is said to be complete; a marker itself is none."""
        return not path.endswith(self._done) and look_at(root, path + self._done) is not None

    def _note(self, root: Path, path: bytes, complete: bool) -> None:
        self._hints.append((str(root), path, complete))
        self._bell.ring()


def _age_s(root: Path, path: bytes) -> float:
    """Return how long ago a file was last written to; 0 where it is gone."""
    seen = look_at(root, path)
    return time.time() - seen.mtime_ns / 1e9 if seen else 0.0
