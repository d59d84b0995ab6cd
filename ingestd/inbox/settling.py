"""
Complete files: nothing about a file has changed for a while. Knows no clock; time arrives as a value.

A file renamed into place is complete at once: writers rename for this purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ingestd.core.source_file import FileStamp

EMPTY_QUIET_S = 60.0  # an empty file may be about to be written
LONGEST_QUIET_S = 300.0  # upper bound of the quiet time of a writer with pauses

Key = TypeVar("Key")


@dataclass(slots=True)
class SettlingFile:
    """A file that is not complete yet; times are seconds of the clock of the caller."""

    stamp: FileStamp
    since: float  # time of the last change
    due: float  # time of the next look
    pause_s: float = 0.0  # longest time without a change, before a further change


class Settling(Generic[Key]):
    """Files seen, and the time since when each file has not changed."""

    def __init__(
        self, quiet_s: float, empty_quiet_s: float = EMPTY_QUIET_S, longest_quiet_s: float = LONGEST_QUIET_S
    ) -> None:
        """
        Begin with no file.

        Args:
            quiet_s: a file unchanged for so long is quiet.
            empty_quiet_s: as `quiet_s`, for an empty file.
            longest_quiet_s: bounds the quiet time of a writer with pauses.
        """
        self._quiet_s, self._empty_quiet_s = quiet_s, max(quiet_s, empty_quiet_s)
        self._longest_quiet_s = longest_quiet_s
        self._files: dict[Key, SettlingFile] = {}

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, key: Key) -> bool:
        return key in self._files

    def see(self, key: Key, stamp: FileStamp, now: float, pause_s: float = 0.0) -> bool:
        """
        Record the stamp of a file, and tell whether the file is quiet: unchanged for the quiet time.

        Args:
            key: of the file.
            stamp: as of now.
            now: seconds of any origin.
            pause_s: of the writer before this change, where the caller knows of a pause.
        """
        file = self._files.get(key)
        if file is not None and file.stamp == stamp:
            return now - file.since >= self._get_quiet_s(stamp)
        if file is not None:
            # Another inode is another file of the same name: no pause, but the next file.
            same_file = file.stamp.inode == stamp.inode
            pause_s = max(pause_s, file.pause_s, now - file.since if same_file else 0.0)
        self._files[key] = SettlingFile(stamp, now, now + self._get_quiet_s(stamp), pause_s)
        return False

    def is_past_pauses(self, key: Key, now: float) -> bool:
        """Tell whether a file is unchanged for twice the writer's longest pause; put the next look off if not."""
        file = self._files.get(key)
        if file is None:
            return True
        file.due = max(file.since + min(2 * file.pause_s, self._longest_quiet_s), file.due)
        return now >= file.due

    def hold(self, key: Key, stamp: FileStamp, now: float) -> float:
        """Keep a file that is being written until the next look; return the seconds since the last change."""
        file = self._files.setdefault(key, SettlingFile(stamp, now, now))
        file.due = now + self._quiet_s
        return now - file.since

    def drop(self, key: Key) -> None:
        """Drop a file, vanished or complete."""
        self._files.pop(key, None)

    def list_due(self, now: float) -> list[Key]:
        """Return the files to be looked at: complete if the stamps are still the same and nobody writes."""
        return [key for key, file in self._files.items() if now >= file.due]

    def next_due(self) -> float | None:
        """Return the time when the next file can be complete; None: no file is waiting."""
        return min((file.due for file in self._files.values()), default=None)

    def _get_quiet_s(self, stamp: FileStamp) -> float:
        return self._quiet_s if stamp.size else self._empty_quiet_s
