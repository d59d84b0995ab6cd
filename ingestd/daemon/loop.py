"""The daemon: watches folders and sends what is complete down the line, until it is asked to stop."""

from __future__ import annotations

import heapq
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import structlog

from ingestd.core.source_file import SeenFile
from ingestd.daemon.sd_notify import ServiceManager
from ingestd.errors import SettingsError
from ingestd.inbox.inbox import Inbox
from ingestd.inbox.listener import Mode
from ingestd.inbox.wakeup import Wakeup
from ingestd.pipeline.pipeline import IngestPipeline, ShutdownRequested
from ingestd.settings import Settings
from ingestd.store.database import TRANSIENT_DB_ERRORS, Database

log = structlog.get_logger()

SHUTDOWN_S = 7.0  # for what is in flight when the end is asked for; with the last moves all is done within ten seconds
_IDLE_WAIT_S = 1.0
_BUSY_WAIT_S = 0.02  # between looks at the folder while readers are at work
_BUSY_FILE_S = 5.0  # until a file that another process holds is tried again
_LEDGER_EVERY_S = 5.0  # looks for files that are to be tried again


class Daemon:
    """One process at work on some folders."""

    def __init__(self, settings: Settings, database: Database, reload: Callable[[], Settings]) -> None:
        """
        Prepare for `run`.

        Args:
            settings: to begin with; `watch.roots` are the folders.
            database: to write to.
            reload: returns the settings as they are on SIGHUP, or raises SettingsError.
        """
        self._settings, self._database, self._reload = settings, database, reload
        self._manager = ServiceManager()
        self._bell = Wakeup()
        self._wanted = False  # something other than files
        self._stop_why = ""

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; then finish what is in flight. SIGHUP reads the settings anew."""
        with _signals(self._asked):
            while not self._stop_why:
                self._work()
                if not self._stop_why:
                    self._read_settings()

    def _work(self) -> None:
        """Work with the settings as they are, until something else is wanted."""
        self._begin()
        roots = [str(root) for root in self._inbox.roots]
        try:
            self._inbox.start()
            self._line.recover(roots)
            self._line.workers.warm_up()
            log.info(
                "daemon.started",
                roots=roots,
                after=self._settings.watch.after,
                workers=self._line.workers.processes,
            )
            self._manager.ready(f"watching {', '.join(roots)}")
            while not self._wanted:
                self._turn(roots)
                self._manager.alive(self._status())
            log.info("daemon.stopping", signal=self._stop_why or "SIGHUP", batches_in_flight=self._line.depth)
        except ShutdownRequested:
            log.warning(
                "daemon.gave_up_waiting",
                hint="the database was away; nothing was lost, the files are where they were",
            )
        finally:
            if self._stop_why:
                self._manager.stopping()
            self._inbox.stop()
            self._finish()

    def _begin(self) -> None:
        watch = self._settings.watch
        self._line = IngestPipeline(self._settings, self._database, after=watch.after)
        self._line.stop_waiting = self._pause
        modes = dict.fromkeys(watch.roots, watch.mode) | dict(watch.modes)
        self._inbox = Inbox(
            watch.roots,
            quiet_s=watch.quiet_seconds,
            rescan_s=watch.rescan_seconds,
            ignore=watch.ignore,
            modes={root: Mode(mode) for root, mode in modes.items()},
            done_suffix=os.fsencode(watch.done_suffix),
            bell=self._bell,
        )
        self._later: list[tuple[float, str, bytes]] = []  # when to look at a file again
        self._next_due = 0.0

    def _read_settings(self) -> None:
        """Take the new settings whole, or go on with the old ones."""
        self._wanted = False
        self._manager.reloading()
        try:
            settings = self._reload()
            self._refuse_what_cannot_change(settings)
        except SettingsError as error:
            log.warning("settings.refused", error=str(error), hint="going on with the old ones")
            return
        self._settings = settings
        log.info("settings.read", hint="in force from now on")

    def _refuse_what_cannot_change(self, settings: Settings) -> None:
        if settings.database.url != self._settings.database.url:
            raise SettingsError("database.url: another database needs another start")
        if not settings.watch.roots:
            raise SettingsError("watch.roots: no folder to watch")
        for root in settings.watch.roots:
            if not root.is_dir():
                raise SettingsError(f"watch.roots: {root}: no such folder")

    def _status(self) -> str:
        files = self._line.counts.files.total()
        blind = "" if self._inbox.ready else "; no events come, reading the folders instead"
        return f"{files} files and {self._line.counts.articles} articles since the start{blind}"

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
        except (ShutdownRequested, *TRANSIENT_DB_ERRORS) as error:
            log.warning("daemon.leases_left", error=str(error), hint="the next start takes the files up again")
        counts = self._line.counts
        log.info(
            "daemon.stopped",
            files={str(state): n for state, n in counts.files.items() if n},
            articles=counts.articles,
            repeats=counts.repeats,
        )

    def _pause(self, seconds: float) -> bool:
        """Wait for the database, and say whether to give up: something else is wanted."""
        deadline = time.monotonic() + seconds
        while not self._wanted and (left := deadline - time.monotonic()) > 0:
            self._bell.wait(left)  # it rings for files as well
        return self._wanted

    def _asked(self, why: str) -> None:
        """From a signal handler, which may have interrupted anything: note it, and wake the loop."""
        if why != "SIGHUP":
            self._stop_why = why
        self._wanted = True
        self._bell.ring()


@contextmanager
def _signals(asked: Callable[[str], None]) -> Iterator[None]:
    """Turn signals into requests; a second SIGINT ends the process at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        # No log line from here: the signal may have come in the middle of one.
        if number != signal.SIGHUP:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        asked(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
