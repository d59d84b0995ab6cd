"""Upper bounds of the work in flight: sizes and times."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from ingestd.formats import ReadLimits
from ingestd.settings import FormatSettings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineLimits:
    """Limits of a pipeline."""

    # A second's work where text is to be found in pages, a batch where text lies open.
    read_together_bytes: int = 4 << 20
    deferred_retry_s: float = 30.0  # until a file without read permission is tried again
    last_moves_s: float = 2.0  # of a shutdown; the next start makes and records the remaining moves
    slow_s: float = 300.0  # until `batch.slow` is logged, and between two such lines


def make_read_limits(formats: FormatSettings) -> ReadLimits:
    """Return the limits of a reading begun now."""
    return ReadLimits(
        datetime.now(UTC),
        ZoneInfo(formats.timezone),
        formats.max_file_bytes,
        formats.max_records,
        formats.max_unpacked_bytes,
        formats.max_unpack_ratio,
        formats.max_members,
        formats.keys,
    )


def await_result(future: Future[_T], report_slow: Callable[[float], None], slow_s: float) -> _T:
    """
    Return the result of a future.

    Args:
        future: work in another process.
        report_slow: called with the seconds waited so far, after each slice of the wait.
        slow_s: length of a slice.
    """
    waited_s = 0.0
    while True:
        try:
            return future.result(timeout=slow_s)
        except TimeoutError:
            if future.done():  # the work ended just now, or raised this error
                return future.result(timeout=0)
            waited_s += slow_s
            report_slow(waited_s)
