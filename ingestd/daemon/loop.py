"""The daemon: watches folders and sends complete files through the pipeline, until a signal to stop."""

from __future__ import annotations

import heapq
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import structlog
from sqlalchemy.exc import DBAPIError

from ingestd.core.source_file import SeenFile
from ingestd.daemon.sd_notify import ServiceManager
from ingestd.errors import DatabaseGoneError, IngestdError, SettingsError
from ingestd.inbox.beneath import check_own_folder
from ingestd.inbox.heartbeat import SIGN_EVERY_S, Heartbeat
from ingestd.inbox.inbox import Inbox
from ingestd.inbox.listener import Mode
from ingestd.inbox.wakeup import Wakeup
from ingestd.pipeline.database_retry import Pause, ShutdownRequested
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.settings import Settings, WatchSettings
from ingestd.store.database import Database

log = structlog.get_logger()

SHUTDOWN_S = 7.0  # for what is in flight when the end is asked for; with the last moves all is done within ten seconds
_IDLE_WAIT_S = 1.0
_BUSY_WAIT_S = 0.02  # between looks at the folder while readers are at work
_BUSY_FILE_S = 5.0  # until a file that another process holds is tried again
_FIRST_PAUSE_S = 1.0  # after a fault of ours; doubled with every further fault
_LONGEST_PAUSE_S = 30.0  # as while the database is away; a fault after so long a time of work counts as the first
_LEDGER_EVERY_S = 5.0  # looks for files that are to be tried again


class Daemon:
    """A process at work on some folders: reacts to signals, and works with the settings in force."""

    def __init__(self, settings: Settings, database: Database, reload: Callable[[], Settings]) -> None:
        """
        Prepare for `run`.

        Args:
            settings: to begin with; `watch.roots` are the folders.
            database: to write to.
            reload: returns the new settings on SIGHUP, or raises SettingsError.
        """
        self._settings, self._database, self._reload = settings, database, reload
        self._manager = ServiceManager()
        self._heartbeat = Heartbeat([])
        self._wakeup = Wakeup()
        self._interrupted = False  # something other than files is asked for
        self._stop_signal = ""
        self._has_worked = False
        self._pause_s = 0.5 * _FIRST_PAUSE_S

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; then finish the work in flight. SIGHUP reads the settings anew."""
        with _handle_signals(self._note_signal):
            try:
                while not self._stop_signal:
                    if self._work_safely() and not self._stop_signal:
                        self._read_settings()
            finally:
                self._heartbeat.end()

    def _work_safely(self) -> bool:
        """
        Work until a signal comes; return False after a fault of ours: then the work begins anew after a pause.

        What is in hand is given back, and the inbox and the pipeline are made anew: nothing half-done stays in memory.
        An expected error ends the daemon, and so does a fault before the first files were taken in.
        """
        began_at = time.monotonic()
        try:
            self._work()
        except IngestdError:
            raise
        except Exception:
            if not self._has_worked:
                raise
            worked_s = time.monotonic() - began_at
            self._pause_s = _FIRST_PAUSE_S if worked_s > _LONGEST_PAUSE_S else min(2 * self._pause_s, _LONGEST_PAUSE_S)
            log.exception("daemon.failed", retry_in_s=self._pause_s, hint="a fault of ingestd: please report it")
            self._pause(self._pause_s)
            return self._interrupted
        return True

    def _work(self) -> None:
        """Work with the present settings, until a signal comes."""
        watch = FolderWatch(self._settings, self._database, self._wakeup, self._pause)
        if watch.roots != self._heartbeat.roots:
            self._heartbeat.end()
            self._heartbeat = Heartbeat(watch.roots)
        self._heartbeat.beat()
        faulty = True
        try:
            watch.begin()
            self._has_worked = True
            self._manager.notify_ready(f"watching {', '.join(watch.roots)}")
            while not self._interrupted:
                watch.step()
                self._show_life(watch.describe_status)
            log.info("daemon.stopping", signal=self._stop_signal or "SIGHUP", batches_in_flight=watch.depth)
            faulty = False
        except ShutdownRequested:
            faulty = False
            log.warning(
                "daemon.database_unavailable",
                hint="the database was away; nothing was lost, the files are where they were",
            )
        finally:
            if self._stop_signal:
                self._manager.notify_stopping()
            watch.finish(give_back=faulty)

    def _read_settings(self) -> None:
        """Take the new settings whole, or go on with the old settings."""
        self._interrupted = False
        self._manager.notify_reloading()
        try:
            settings = self._reload()
            self._check_reloadable(settings)
        except SettingsError as error:
            log.warning("settings.refused", error=str(error), hint="going on with the old ones")
            return
        self._settings = settings
        log.info("settings.read", hint="in force from now on")

    def _check_reloadable(self, settings: Settings) -> None:
        if settings.database.url != self._settings.database.url:
            raise SettingsError("database.url: another database needs another start")
        if not settings.watch.roots:
            raise SettingsError("watch.roots: no folder to watch")
        for root in settings.watch.roots:
            if not root.is_dir():
                raise SettingsError(f"watch.roots: {root}: no such folder")
            try:
                check_own_folder(root)
            except OSError as error:
                raise SettingsError(f"watch.roots: {error.strerror}") from error

    def _pause(self, seconds: float) -> bool:
        """Wait for the database; return whether to give up, because a signal came."""
        deadline = time.monotonic() + seconds
        while not self._interrupted and (remaining_s := deadline - time.monotonic()) > 0:
            self._show_life(lambda: "waiting: see the log")  # a daemon that tries again is not stuck
            self._wakeup.wait(min(remaining_s, SIGN_EVERY_S))  # set for files as well
        return self._interrupted

    def _show_life(self, make_status: Callable[[], str]) -> None:
        self._manager.notify_alive(make_status)
        self._heartbeat.beat()

    def _note_signal(self, name: str) -> None:
        """Note a signal, and wake the loop. Called by a signal handler, in the middle of anything."""
        if name != "SIGHUP":
            self._stop_signal = name
        self._interrupted = True
        self._wakeup.set()


class FolderWatch:
    """The inbox and the pipeline under a fixed version of the settings."""

    def __init__(self, settings: Settings, database: Database, wakeup: Wakeup, pause: Pause) -> None:
        """
        Prepare for `begin`.

        Args:
            settings: in force until `finish`.
            database: to write to.
            wakeup: ends a wait for files when set.
            pause: waits between attempts while the database is away, and says whether to give up.
        """
        self._settings = settings
        self._pipeline = IngestPipeline(settings, database, after=settings.watch.after, pause=pause)
        self._inbox = _make_inbox(settings.watch, wakeup)
        self.roots = [str(root) for root in self._inbox.roots]
        self._look_again: list[tuple[float, str, bytes]] = []  # a heap: when to look at a file again
        self._look_at: dict[tuple[str, bytes], float] = {}  # the earliest such time of each file; others are void
        self._next_ledger_look = 0.0
        self._step_s = 0.0  # time of the last step, for waiting and storing
        self._next_recheck = 0.0

    @property
    def depth(self) -> int:
        """Batches and large files in hand."""
        return self._pipeline.depth

    def begin(self) -> None:
        """Begin to listen, and take up the work of an earlier process."""
        self._inbox.start()
        self._pipeline.recover(self.roots)
        self._pipeline.workers.warm_up()
        log.info(
            "daemon.started",
            roots=self.roots,
            after=self._settings.watch.after,
            workers=self._pipeline.workers.processes,
        )

    def step(self) -> None:
        """Claim complete files, and store a batch after the reading."""
        now = time.monotonic()
        while self._look_again and self._look_again[0][0] <= now:
            due, root, path = heapq.heappop(self._look_again)
            if self._look_at.get((root, path)) == due:
                del self._look_at[root, path]
                self._inbox.offer_again([(root, path)])
        if now >= self._next_ledger_look:
            self._next_ledger_look = now + _LEDGER_EVERY_S
            self._inbox.offer_again(self._pipeline.find_retryable(self.roots))
        if now >= self._next_recheck:
            self._next_recheck = now + self._settings.watch.rescan_seconds
            self._pipeline.take_up_changed(self.roots)
        if not self._pipeline.full:
            wait_s = 0.0 if self._pipeline.depth else _IDLE_WAIT_S
            files = self._inbox.take_complete(self._settings.ingest.batch_files, wait_s)
            if files:
                self._schedule_look(self._pipeline.submit(files), _BUSY_FILE_S)
        self._schedule_look(self._step_pipeline(_IDLE_WAIT_S if self._pipeline.full else _BUSY_WAIT_S), 0.0)

    def finish(self, *, give_back: bool = False) -> None:
        """Listen no longer, and finish the work in flight as far as there is time, or give all of it back."""
        self._inbox.stop()
        deadline = time.monotonic() + SHUTDOWN_S
        # From now on a database that is away ends the work, instead of being waited for.
        try:
            self._pipeline.release_large_files()
            # A transaction is not interrupted: none is begun that would take longer than there is time.
            while not give_back and self._pipeline.depth and time.monotonic() + self._step_s < deadline:
                self._step_pipeline(deadline - time.monotonic())
            self._pipeline.close()
        except (ShutdownRequested, DatabaseGoneError, DBAPIError) as error:
            log.warning("daemon.leases_left", error=str(error), hint="the next start takes the files up again")
        stats = self._pipeline.take_snapshot()
        log.info("daemon.stopped", files=dict(stats.files), articles=stats.articles, repeats=stats.repeats)

    def describe_status(self) -> str:
        """Return the status line for the service manager."""
        stats = self._pipeline.take_snapshot()
        blind = "" if self._inbox.ready else "; no events come, reading the folders instead"
        return f"{sum(stats.files.values())} files and {stats.articles} articles since the start{blind}"

    def _step_pipeline(self, wait_s: float) -> list[SeenFile]:
        began_at = time.monotonic()
        changed = self._pipeline.step(wait_s)
        self._step_s = time.monotonic() - began_at
        return changed

    def _schedule_look(self, files: Sequence[SeenFile], after_s: float) -> None:
        due = time.monotonic() + after_s
        for file in files:
            if due < self._look_at.get((file.root, file.path), math.inf):
                self._look_at[file.root, file.path] = due
                heapq.heappush(self._look_again, (due, file.root, file.path))


def _make_inbox(watch: WatchSettings, wakeup: Wakeup) -> Inbox:
    modes = dict.fromkeys(watch.roots, watch.mode) | dict(watch.modes)
    return Inbox(
        watch.roots,
        quiet_s=watch.quiet_seconds,
        rescan_s=watch.rescan_seconds,
        ignore=watch.ignore,
        modes={root: Mode(mode) for root, mode in modes.items()},
        done_suffix=os.fsencode(watch.done_suffix),
        wakeup=wakeup,
    )


@contextmanager
def _handle_signals(note_signal: Callable[[str], None]) -> Iterator[None]:
    """Turn signals into requests; a second SIGINT ends the process at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        # No log line from here: the signal may have come in the middle of one.
        if number != signal.SIGHUP:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        note_signal(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
