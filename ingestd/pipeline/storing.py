"""A transaction for each batch: articles, decisions and ledger entries; repeated while the database is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from ingestd.archive.policy import describe_completed
from ingestd.core.source_file import Reason
from ingestd.core.stats import IngestStats
from ingestd.errors import DatabaseGoneError, UnusableError
from ingestd.pipeline.committer import BatchCommitter
from ingestd.pipeline.database_retry import DatabaseRetry, ShutdownRequested
from ingestd.pipeline.file_outcome import FileOutcome, report_file
from ingestd.store.claims import Claim, CompletedFile, FileResult
from ingestd.store.database import Database
from ingestd.store.ledger import Ledger
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.faults import describe_fault

log = structlog.get_logger()


class BatchStorer:
    """Stores batches of files, and reports each finished file."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        committer: BatchCommitter,
        retry: DatabaseRetry,
        stats: IngestStats,
    ) -> None:
        """Begin; counts and times go to `stats`."""
        self._database, self._ledger, self._committer = database, ledger, committer
        self._retry, self._stats = retry, stats

    def store(
        self, batch: Sequence[FileOutcome], chunk: ExtractionResult | None = None, *, last: bool = True
    ) -> list[CompletedFile]:
        """
        Store some files in a single transaction; a fault of ours in a file does not stop the others.

        Args:
            batch: the files.
            chunk: articles of a large file, then alone in the batch; None: the articles are in the outcomes.
            last: whether the files are finished afterwards.

        Returns:
            The finished files, to be moved.
        """
        now = datetime.now(UTC)
        snapshots = [outcome.snapshot() for outcome in batch]

        def attempt() -> list[FileResult]:
            for outcome, snapshot in zip(batch, snapshots, strict=True):
                outcome.restore(snapshot)
            return self._commit(batch, chunk, now, last=last)

        try:
            results = self._retry.call(attempt)
        except (ShutdownRequested, DatabaseGoneError):
            raise
        except Exception as error:
            self._committer.reset()
            if len(batch) > 1:
                return [file for outcome in batch for file in self.store([outcome])]
            log.exception("file.failed", path=batch[0].claim.file.name)
            results = self._quarantine_faulty(batch[0], error, now)
        self._committer.evict()
        outcomes = {outcome.claim.id: outcome for outcome in batch}
        for result in results:
            report_file(outcomes[result.claim.id], result, self._stats)
        return [describe_completed(result, now) for result in results]

    def is_content_known(self, sha256: str) -> bool:
        """Tell whether a file of this content is stored."""

        def look_up() -> bool:
            with self._database.begin_read() as connection:
                return bool(self._ledger.find_by_hash(connection, [sha256]))

        return self._retry.call(look_up)

    def _quarantine_faulty(self, outcome: FileOutcome, error: Exception, now: datetime) -> list[FileResult]:
        """Record our own fault as the end of a file."""
        failure = UnusableError(Reason.INTERNAL, describe_fault(error))
        outcome.extraction = replace(outcome.extraction, articles=(), fingerprints=(), failure=failure)
        return self._retry.call(lambda: self._commit([outcome], None, now, last=True))

    def _commit(
        self, batch: Sequence[FileOutcome], chunk: ExtractionResult | None, now: datetime, *, last: bool
    ) -> list[FileResult]:
        """Store all in a single transaction; return the results of finished files once the commit has succeeded."""
        with self._stats.timed("store"), self._database.begin_write() as connection:
            held = self._ledger.find_leased(connection, [o.claim for o in batch])
            earlier = self._find_earlier_results([o.claim for o in batch if o.claim.id not in held], connection)
            batch = [o for o in batch if o.claim.id in held]
            stored = self._ledger.find_by_hash(connection, [o.extraction.sha256 for o in batch if o.extraction.sha256])
            fresh = [(o, chunk or o.extraction) for o in batch if o.extraction.sha256 not in stored]
            distinct = _drop_same_bytes(fresh)
            self._committer.record(connection, distinct, now)
            stored |= {o.extraction.sha256 or "": o.first_article for o, _ in distinct}
            results = [o.make_result(stored) for o in batch] if last else []
            self._ledger.complete(connection, results, now)
        return earlier + results

    def _find_earlier_results(self, claims: Sequence[Claim], connection: Connection) -> list[FileResult]:
        """Return results committed before, where the connection broke after the commit and before the answer."""
        results = self._ledger.find_completed(connection, claims) if claims else []
        known = {result.claim.id for result in results}
        for claim in claims:
            if claim.id not in known:
                log.warning("file.taken_over", path=claim.file.name, hint="another process has it; nothing was stored")
        return results


def _drop_same_bytes(
    files: Sequence[tuple[FileOutcome, ExtractionResult]],
) -> list[tuple[FileOutcome, ExtractionResult]]:
    """Leave out copies of another file of the batch, byte for byte; such a file ends as a duplicate."""
    first: dict[str | None, tuple[FileOutcome, ExtractionResult]] = {}
    for outcome, extraction in files:
        first.setdefault(extraction.sha256, (outcome, extraction))
    return list(first.values())
