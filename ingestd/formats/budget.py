"""
The budget of one file: bytes unpacked, members and records, spent by all layers of the file together.

A bound on each layer alone does not bound a file: thousands of members, each below the bound, unpack to terabytes.
"""

from __future__ import annotations

from collections.abc import Callable

from ingestd.errors import Reason, UnusableError

HARMLESS_BYTES = 64 * 1024 * 1024  # a file that unpacks to less is no bomb


class Budget:
    """The rest of what a file may cost. Every call after the end of the budget raises the same error again."""

    def __init__(  # noqa: PLR0913 - four limits, by name
        self,
        count_packed: Callable[[], int],
        *,
        max_unpacked_bytes: int,
        max_unpack_ratio: int,
        max_members: int,
        max_records: int,
        harmless_bytes: int = HARMLESS_BYTES,
    ) -> None:
        """Begin with the whole budget; `count_packed` returns the bytes of the file read so far."""
        self.count_packed = count_packed
        self.failure: UnusableError | None = None  # the end of the budget
        self._max_unpacked_bytes, self._max_unpack_ratio = max_unpacked_bytes, max_unpack_ratio
        self._max_members, self._max_records = max_members, max_records
        self._harmless_bytes = harmless_bytes
        self._n_unpacked = self._n_members = self._n_records = 0

    def spend_unpacked(self, n_bytes: int) -> None:
        """
        Count bytes that a layer has unpacked.

        Raises:
            UnusableError: all layers together unpacked more than the limits allow.
        """
        self._n_unpacked += n_bytes
        self.check_unpacked(self._n_unpacked)

    def check_unpacked(self, n_bytes: int) -> None:
        """
        Refuse a total of unpacked bytes.

        Raises:
            UnusableError: the limits do not allow so many bytes.
        """
        if n_bytes > self._max_unpacked_bytes:
            self._end(Reason.BOMB, f"unpacks to more than formats.max_unpacked_bytes = {self._max_unpacked_bytes}")
        if n_bytes > self._harmless_bytes and n_bytes > self._max_unpack_ratio * self.count_packed():
            self._end(Reason.BOMB, f"unpacks to more than formats.max_unpack_ratio = {self._max_unpack_ratio} times")

    def spend_members(self, count: int) -> None:
        """
        Count members of an archive.

        Raises:
            UnusableError: the file has more members than the limits allow.
        """
        self._n_members += count
        if self._n_members > self._max_members:
            self._end(Reason.TOO_LARGE, f"more than formats.max_members = {self._max_members} members")

    def spend_record(self) -> None:
        """
        Count a record.

        Raises:
            UnusableError: the file has more records than the limits allow.
        """
        self._n_records += 1
        if self._n_records > self._max_records:
            self._end(Reason.TOO_LARGE, f"more than formats.max_records = {self._max_records} records")

    def _end(self, reason: Reason, detail: str) -> None:
        self.failure = self.failure or UnusableError(reason, detail)
        raise self.failure
