"""The daemon: watches folders and sends what is complete down the line, until it is asked to stop."""

from __future__ import annotations

import heapq
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from ingestd.ingest import Line, Stopped
from ingestd.intake.listen import Mode
from ingestd.intake.scan import SeenFile
from ingestd.intake.watch import Inbox
from ingestd.settings import Settings
from ingestd.store.database import SURROUNDINGS, Database

log = structlog.get_logger()

SHUTDOWN_S = 10.0  # for what is in flight when the end is asked for
_IDLE_WAIT_S = 1.0
_BUSY_WAIT_S = 0.02  # between looks at the folder while readers are at work
_BUSY_FILE_S = 5.0  # until a file that another process holds is tried again
_LEDGER_EVERY_S = 5.0  # looks for files that are to be tried again


class Daemon:
    """One process at work on some folders."""

    def __init__(self, settings: Settings, database: Database, roots: Sequence[Path]) -> None:
        """Prepare for `run`."""
        watch = settings.watch
        self._settings = settings
        self._line = Line(settings, database, after=watch.after)
        modes = dict.fromkeys(roots, watch.mode) | dict(watch.modes)
        self._inbox = Inbox(
            roots,
            quiet_s=watch.quiet_seconds,
            rescan_s=watch.rescan_seconds,
            ignore=watch.ignore,
            modes={root: Mode(mode) for root, mode in modes.items()},
            done_suffix=os.fsencode(watch.done_suffix),
        )
        self._stopping = threading.Event()
        self._why = ""
        self._later: list[tuple[float, str, bytes]] = []  # when to look at a file again
        self._next_due = 0.0

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; then finish what is in flight."""
        roots = [str(root) for root in self._inbox.roots]
        self._line.stop_waiting = self._stopping.wait
        with _signals(self._ask_to_stop):
            self._inbox.start()
            try:
                self._line.recover(roots)
                log.info(
                    "daemon.started",
                    roots=roots,
                    after=self._settings.watch.after,
                    workers=self._line.workers.processes,
                )
                while not self._stopping.is_set():
                    self._turn(roots)
                log.info("daemon.stopping", signal=self._why, batches_in_flight=self._line.depth)
            except Stopped:
                log.warning(
                    "daemon.gave_up_waiting",
                    hint="the database was away; nothing was lost, the files are where they were",
                )
            finally:
                self._inbox.stop()
                self._finish()

    def _turn(self, roots: Sequence[str]) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, root, path = heapq.heappop(self._later)
            self._inbox.again([(root, path)])
        if now >= self._next_due:
            self._next_due = now + _LEDGER_EVERY_S
            self._inbox.again(self._line.due(roots))
        if not self._line.full:
            wait_s = 0.0 if self._line.depth else _IDLE_WAIT_S
            files = self._inbox.settled(self._settings.ingest.batch_files, wait_s)
            if files:
                self._look_later(self._line.feed(files), _BUSY_FILE_S)
        self._look_later(self._line.advance(_BUSY_WAIT_S if not self._line.full else _IDLE_WAIT_S), 0.0)

    def _look_later(self, files: Sequence[SeenFile], after_s: float) -> None:
        for file in files:
            heapq.heappush(self._later, (time.monotonic() + after_s, file.root, file.path))

    def _finish(self) -> None:
        deadline = time.monotonic() + SHUTDOWN_S
        # From now on a database that is away ends the work, instead of being waited for.
        try:
            self._line.interrupt()
            while self._line.depth and time.monotonic() < deadline:
                self._line.advance(deadline - time.monotonic())
            self._line.close()
        except (Stopped, *SURROUNDINGS) as error:
            log.warning("daemon.leases_left", error=str(error), hint="the next start takes the files up again")
        counts = self._line.counts
        log.info(
            "daemon.stopped",
            files={str(state): n for state, n in counts.files.items() if n},
            articles=counts.articles,
            repeats=counts.repeats,
        )

    def _ask_to_stop(self, why: str) -> None:
        self._why = why
        self._stopping.set()
        self._inbox.wake()


@contextmanager
def _signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a request to stop; a second SIGINT ends the process at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        # No log line from here: the signal may have come in the middle of one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
