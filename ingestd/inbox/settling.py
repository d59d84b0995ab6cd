"""
When is a file complete? When nothing about it has changed for a while. Knows no clock: time arrives as a value.

A file that was renamed into place is complete at once: that is what writers rename for.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from ingestd.core.source_file import FileStamp

EMPTY_QUIET_S = 60.0  # an empty file may be one that is about to be written

Key = TypeVar("Key")


class Settling(Generic[Key]):
    """Files seen, and since when they have not changed."""

    def __init__(self, quiet_s: float, empty_quiet_s: float = EMPTY_QUIET_S) -> None:
        """A file is settled when it looks the same for `quiet_s` seconds, an empty one for `empty_quiet_s`."""
        self._quiet_s, self._empty_quiet_s = quiet_s, max(quiet_s, empty_quiet_s)
        self._since: dict[Key, tuple[FileStamp, float]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, key: Key) -> bool:
        return key in self._since

    def see(self, key: Key, stamp: FileStamp, now: float) -> bool:
        """Note how a file looks now (seconds, any origin); return whether it is settled. Forget it then."""
        known = self._since.get(key)
        if known is None or known[0] != stamp:
            self._since[key] = (stamp, now)
            return False
        if now - known[1] < self._quiet(stamp):
            return False
        del self._since[key]
        return True

    def forget(self, key: Key) -> None:
        """Leave a file that vanished, or that is known to be complete."""
        self._since.pop(key, None)

    def due(self, now: float) -> list[Key]:
        """Return the files that are settled if they still look the same."""
        return [key for key, (stamp, since) in self._since.items() if now - since >= self._quiet(stamp)]

    def next_due(self) -> float | None:
        """Return when the next file can be settled; None: none is waiting."""
        return min((since + self._quiet(stamp) for stamp, since in self._since.values()), default=None)

    def _quiet(self, stamp: FileStamp) -> float:
        return self._quiet_s if stamp.size else self._empty_quiet_s
