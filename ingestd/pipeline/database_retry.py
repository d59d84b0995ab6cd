"""Retries of work while the database or the disk is away. No file is charged with an attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from ingestd.store.transient import is_transient

log = structlog.get_logger()

_T = TypeVar("_T")

_FIRST_PAUSE_S = 0.5  # doubled with every further attempt

# Pauses for some seconds, or less if something else is wanted; returns whether to give up.
Pause = Callable[[float], bool]


class ShutdownRequested(Exception):  # noqa: N818 - not an error: the end that was asked for
    """The program was asked to stop while the database was away."""


class DatabaseRetry:
    """Repeats work on the database until the work succeeds or the program is to stop."""

    def __init__(self, *, pause: Pause, max_pause_s: float, on_failure: Callable[[], None]) -> None:
        """
        Prepare for calls.

        Args:
            pause: waits between two attempts.
            max_pause_s: longest pause.
            on_failure: called after each failed attempt, to drop caches of uncommitted rows.
        """
        self._pause, self._max_pause_s, self._on_failure = pause, max_pause_s, on_failure

    def call(self, work: Callable[[], _T]) -> _T:
        """
        Return the result of some work.

        Raises:
            ShutdownRequested: the database was away, and `pause` said to give up.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return work()
            except DBAPIError as error:
                if not is_transient(error):
                    raise
                self._on_failure()
                log.warning("database.away", error=str(error.orig), retry_in_s=pause_s)
                if self._pause(pause_s):
                    raise ShutdownRequested from error
                pause_s = min(2 * pause_s, self._max_pause_s)
