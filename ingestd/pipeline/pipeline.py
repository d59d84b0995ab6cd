"""
The way of a file: claimed, read, decided on, stored, and only then moved.

    claim -> read and fingerprint (worker processes) -> a transaction { identity, copies, event, rows, ledger }
          -> COMMIT -> a log line -> archive or quarantine (worker processes)

After a crash anywhere the file is taken up again; articles committed before are recognised and not stored twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from ingestd.archive.policy import After, MovePolicy
from ingestd.core.source_file import Reason, SeenFile
from ingestd.core.stats import IngestStats, StatsSnapshot
from ingestd.core.window.window import Window
from ingestd.errors import IngestdError
from ingestd.pipeline.attempts import AttemptLimit, give_up
from ingestd.pipeline.committer import BatchCommitter
from ingestd.pipeline.database_retry import DatabaseRetry, Pause, ShutdownRequested
from ingestd.pipeline.file_outcome import FileOutcome, report_refused
from ingestd.pipeline.large_file import LargeFile, LargeFileQueue
from ingestd.pipeline.late_changes import LateChanges
from ingestd.pipeline.leases import LeaseKeeper
from ingestd.pipeline.limits import PipelineLimits, make_worker_limits
from ingestd.pipeline.mover import FileMover
from ingestd.pipeline.reading import ReadingQueue, UnreadFiles, is_unread
from ingestd.pipeline.restorer import Restorer
from ingestd.pipeline.storing import BatchStorer
from ingestd.settings import Settings
from ingestd.store.claims import Claim
from ingestd.store.database import Database
from ingestd.store.ledger import Ledger
from ingestd.workers.extract import explain_unusable
from ingestd.workers.faults import describe_fault
from ingestd.workers.pool import Workers

log = structlog.get_logger()

_DEFAULT_LIMITS = PipelineLimits()


def sleep(seconds: float) -> bool:
    """Pause, and never give up."""
    time.sleep(seconds)
    return False


class IngestPipeline:
    """Takes files from the folder to the database, several batches at once, in order of arrival."""

    def __init__(  # noqa: PLR0913 - the last three are for the daemon and for tests
        self,
        settings: Settings,
        database: Database,
        *,
        after: After,
        pause: Pause = sleep,
        workers: Workers | None = None,
        limits: PipelineLimits = _DEFAULT_LIMITS,
    ) -> None:
        """
        Begin with nothing in hand.

        Args:
            settings: of the whole program.
            database: to write to.
            after: the place of a finished file.
            pause: waits between attempts while the database is away, and says whether to give up.
            workers: reading and moving processes; None: as many as the settings say.
            limits: of the work in flight.
        """
        self.stats = IngestStats(time.perf_counter)
        self.workers = workers or Workers(settings.ingest.workers, make_worker_limits(settings.ingest))
        self._limits = limits
        self._ledger = Ledger(database, settings.database.lease_seconds)
        self._committer = BatchCommitter(settings, self.stats)
        self._retry = DatabaseRetry(
            pause=pause, max_pause_s=settings.database.retry_seconds, on_failure=self._committer.reset
        )
        self._reading = ReadingQueue(self.workers, settings.formats, limits)
        self._attempts = AttemptLimit(settings.ingest.attempts)
        self._unread = UnreadFiles(self._ledger, self._retry, self.stats, limits.deferred_retry_s)
        self._large = LargeFileQueue(self.workers, settings.formats, limits.slow_s)
        self._leases = LeaseKeeper(self._ledger, self._retry, settings.database.lease_seconds / 3)
        self._storer = BatchStorer(database, self._ledger, self._committer, self._retry, self.stats)
        policy = MovePolicy(after, settings.watch.done_suffix)
        self._mover = FileMover(
            self.workers, self._ledger, self._retry, policy, limits.slow_s, check_database=database.check_file
        )
        self._restorer = Restorer(database, self._retry)
        # A file with a marker is complete: its writer says so.
        recheck_s = 0.0 if settings.watch.done_suffix else settings.watch.recheck_seconds
        self._late_changes = LateChanges(database, self._retry, recheck_s)

    @property
    def window(self) -> Window:
        """The articles to compare new articles with."""
        return self._committer.window

    @property
    def depth(self) -> int:
        """Batches and large files in hand."""
        return len(self._reading) + len(self._large)

    @property
    def full(self) -> bool:
        """Whether every worker has enough to do."""
        return self._reading.full

    @property
    def large_file(self) -> LargeFile | None:
        """The large file being read."""
        return self._large.current

    def take_snapshot(self) -> StatsSnapshot:
        """Return the present counters and gauges."""
        stats, window = self.stats, self.window
        stats.queue_depth = self.depth
        stats.window_articles, stats.window_bytes = len(window), window.nbytes
        stats.index_truncated = window.candidates.truncated
        return stats.snapshot()

    def recover(self, roots: Sequence[str]) -> None:
        """Release the claims of an earlier process, and finish the moves."""
        released = self._retry.call(lambda: self._ledger.recover(_now()))
        restored = self._restorer.restore(roots, at_start=True)
        moved = self._mover.finish_earlier_moves(roots)
        if released or restored or moved:
            log.info("work.recovered", claims_released=released, restored=restored, moves_finished=moved)

    def find_retryable(self, roots: Sequence[str]) -> list[tuple[str, bytes]]:
        """Return root and path of deferred files due for another attempt; files in quarantine come back first."""
        self._restorer.restore(roots)
        return self._retry.call(lambda: self._ledger.find_retryable(roots, _now()))

    def take_up_changed(self, roots: Sequence[str]) -> int:
        """Put finished files that somebody wrote on back into the folders; return the number of files."""
        with self.stats.timed("recheck"):
            return self._late_changes.take_up(roots)

    def submit(self, files: Sequence[SeenFile]) -> list[SeenFile]:
        """
        Claim and read files.

        Returns:
            Files held by another process, not due yet, or impossible to claim: to be looked at again later.
        """
        held = [file for file in files if self._mover.holds(file)]
        files = [file for file in files if file not in held] if held else files
        try:
            with self.stats.timed("claim"):
                in_hand = {claim.id for claim in self._list_claims()}
                claimed = self._retry.call(lambda: self._ledger.claim(files, _now(), in_hand))
        except (ShutdownRequested, IngestdError):
            raise
        except Exception as error:
            # A fault of ours in one file: the others are claimed without that file.
            if len(files) > 1:
                return held + [later for file in files for later in self.submit([file])]
            log.exception("file.not_claimed", path=files[0].name, hint="the file stays where it is; tried again later")
            self.stats.files["not_claimed"] += 1
            if self.stats.quarantined is not None:
                self.stats.quarantined.append((files[0].name, f"{Reason.INTERNAL}: {describe_fault(error)}"))
            return [*files, *held]
        self.stats.files["unchanged"] += len(claimed.completed)
        for file in claimed.refused:
            report_refused(file, self.stats)
        self._mover.start_moves(claimed.completed)  # could not be moved before, or were put back
        self._start_reading(claimed.claims)
        return [*claimed.busy, *held]

    def step(self, wait_s: float) -> list[SeenFile]:
        """
        Store the next batch, or the next chunk of a large file, if the reading is finished within `wait_s` seconds.

        Returns:
            Files to be looked at again later: changed during the reading, or waiting to be read alone.
        """
        self._large.start_next()
        with self.stats.timed("wait for readers"):
            self._wait_for_readers(wait_s)
        changed = self._store_next_batch() + self._store_next_chunk()
        self._mover.record_finished()
        return changed + self._attempts.take_waiting(self._list_claims())

    def release_large_files(self) -> None:
        """Give back large files, too slow for a shutdown. The articles stored so far are known next time."""
        claims = self._large.claims
        self._large.drop_files()
        if claims:
            self._retry.call(lambda: self._ledger.defer(claims, _now(), "interrupted by a shutdown"))

    def close(self) -> None:
        """Give back all files still being read, and end the workers."""
        claims = self._list_claims()
        self._reading.drop_batches()
        self._large.drop_files()
        try:
            self._mover.record_finished(self._limits.last_moves_s)
        finally:
            self._mover.drop_moves()
            self.workers.close()  # an exit would wait for a process that is stopped, or waits for the disk
        if claims:
            self._ledger.defer(claims, _now(), "released at shutdown")

    def _start_reading(self, claims: Sequence[Claim]) -> None:
        """Have claimed files read; a file that was in hand at too many ends of the process alone, or no more."""
        if not any(map(self._attempts.is_suspect, claims)):
            self._reading.start_reading(claims)
            return
        sorted_claims = self._attempts.sort_claims(claims, self._list_claims())
        self._reading.start_reading(sorted_claims.together)
        self._reading.read_alone(sorted_claims.alone)
        waiting, given_up = sorted_claims.waiting, sorted_claims.given_up
        self._retry.call(lambda: self._ledger.defer(waiting, _now(), "waits to be read alone"))
        if given_up:
            outcomes = [give_up(claim, time.monotonic()) for claim in given_up]
            self._mover.start_moves(self._storer.store(outcomes))

    def _list_claims(self) -> list[Claim]:
        return self._reading.claims + self._large.claims

    def _wait_for_readers(self, wait_s: float) -> None:
        pending = self._reading.pending
        if self._large.current:
            pending.append(self._large.current.pending)
        if pending:
            # Other batches than the oldest are looked at now and then; and leases end, however long the reading takes.
            wait(pending, min(wait_s, self._limits.look_s), FIRST_COMPLETED)
            self._leases.renew_if_due()

    def _store_next_batch(self) -> list[SeenFile]:
        """Store the next batch once the reading is done; return files changed during the reading."""
        outcomes = self._reading.take_next()
        changed = self._unread.give_back(outcomes)
        self._large.add_outcomes([o for o in outcomes if o.extraction.large])
        readable = [o for o in outcomes if not o.extraction.large and not is_unread(o)]
        if readable:
            self._leases.renew_if_due()
            self._mover.start_moves(self._storer.store(readable))
        return changed

    def _store_next_chunk(self) -> list[SeenFile]:
        """Store the next chunk of a large file, if any; return the file in case of a change during the reading."""
        large = self._large.current
        if large is None or (ready := large.take_next()) is None:
            return []
        chunk, last = ready
        outcome = large.outcome
        known = large.chunks == 1 and chunk.sha256 is not None and self._storer.is_content_known(chunk.sha256)
        last = last or known
        outcome.add_chunk(chunk)
        if last:
            self._large.close_current()
            _mark_unusable(outcome, used=bool(known or chunk.articles))
            if is_unread(outcome):
                return self._unread.give_back([outcome])
        self._leases.renew_if_due()
        self._mover.start_moves(self._storer.store([outcome], chunk, last=last))
        if outcome.extraction.failure is not None:
            self._large.close_current()
        if self._large.current:
            self._large.current.report_progress()
        return []


def _mark_unusable(outcome: FileOutcome, *, used: bool) -> None:
    """Mark a finished large file without any article as unusable."""
    used = used or bool(outcome.new or outcome.repeats or outcome.revisions)
    if outcome.extraction.failure is None and not used:
        failure = explain_unusable(outcome.extraction.rejected, outcome.extraction.skipped)
        outcome.extraction = replace(outcome.extraction, failure=failure)


def _now() -> datetime:
    return datetime.now(UTC)
