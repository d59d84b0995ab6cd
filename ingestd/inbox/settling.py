"""
Complete files: nothing about a file has changed for a while. Knows no clock; time arrives as a value.

A file renamed into place is complete at once: writers rename for this purpose.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from ingestd.core.source_file import FileStamp

EMPTY_QUIET_S = 60.0  # an empty file may be about to be written

Key = TypeVar("Key")


class Settling(Generic[Key]):
    """Files seen, and the time since when each file has not changed."""

    def __init__(self, quiet_s: float, empty_quiet_s: float = EMPTY_QUIET_S) -> None:
        """A file is complete when unchanged for `quiet_s` seconds, an empty file for `empty_quiet_s`."""
        self._quiet_s, self._empty_quiet_s = quiet_s, max(quiet_s, empty_quiet_s)
        self._since: dict[Key, tuple[FileStamp, float]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, key: Key) -> bool:
        return key in self._since

    def see(self, key: Key, stamp: FileStamp, now: float) -> bool:
        """Record the stamp of a file at `now` (seconds, any origin); drop a complete file and return True."""
        known = self._since.get(key)
        if known is None or known[0] != stamp:
            self._since[key] = (stamp, now)
            return False
        if now - known[1] < self._quiet_time(stamp):
            return False
        del self._since[key]
        return True

    def drop(self, key: Key) -> None:
        """Drop a file, vanished or known to be complete."""
        self._since.pop(key, None)

    def list_due(self, now: float) -> list[Key]:
        """Return the files to be complete if the stamps are still the same."""
        return [key for key, (stamp, since) in self._since.items() if now - since >= self._quiet_time(stamp)]

    def next_due(self) -> float | None:
        """Return the time when the next file can be complete; None: no file is waiting."""
        return min((since + self._quiet_time(stamp) for stamp, since in self._since.values()), default=None)

    def _quiet_time(self, stamp: FileStamp) -> float:
        return self._quiet_s if stamp.size else self._empty_quiet_s
