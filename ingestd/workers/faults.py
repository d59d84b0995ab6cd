"""
The policy for faults of our own in records, files and chunks: keep the fault with the item, go on with the others.

A record ends as rejected, a file or the rest of a file as quarantined: both with the reason `internal` and a traceback.
"""

from __future__ import annotations

import traceback
from types import TracebackType

from ingestd.core.source_file import Reason
from ingestd.errors import UnusableError

_FRAMES = 4  # of a traceback, the innermost


class FaultTrap:
    """
    A block to catch every exception.

    `error` is the exception afterwards: an UnusableError as raised, any other exception as an UnusableError with the
    reason `internal`, or `memory` where the memory did not suffice; None if there was none.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        """Begin without an error."""
        self.error: UnusableError | None = None

    def __enter__(self) -> FaultTrap:
        """Begin the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End the block; only requests to end the process pass."""
        if isinstance(error, UnusableError):
            self.error = error
        elif isinstance(error, Exception):
            self.error = make_failure(error)
        return isinstance(error, Exception)


def make_failure(error: Exception) -> UnusableError:
    """Return a fault of ours as the end of a record or file."""
    reason = Reason.MEMORY if isinstance(error, MemoryError) else Reason.INTERNAL
    return UnusableError(reason, describe_fault(error))


def describe_fault(error: Exception) -> str:
    """Return the innermost frames of a traceback, and the exception."""
    return "".join(traceback.format_exception(error, limit=-_FRAMES))
