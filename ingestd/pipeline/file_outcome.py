"""The outcome of a file so far: counted on the way through the pipeline, and logged once when the file is finished."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from ingestd.core.source_file import MAX_PATH_BYTES, FileState, Reason, SeenFile
from ingestd.core.stats import IngestStats
from ingestd.errors import UnusableError, VanishedError
from ingestd.matching.assignment import Assignment
from ingestd.store.claims import Claim, FileResult
from ingestd.workers.extract import ExtractionResult, describe_skipped

log = structlog.get_logger()

MAX_LISTED = 10_000  # records of one file that could not be used and are listed; further ones are only counted


@dataclass(slots=True)
class FileOutcome:
    """The outcome of a file so far; a large file is stored in several transactions."""

    claim: Claim
    extraction: ExtractionResult
    claimed_at: float  # time.monotonic()
    first_article: int | None = None
    new: int = 0
    repeats: int = 0
    revisions: int = 0
    unlisted: int = 0  # records that could not be used, beyond the listed ones
    placed: list[Assignment] = field(default_factory=list)

    def add_chunk(self, chunk: ExtractionResult) -> None:
        """Add the counts and problems of a chunk, without the articles."""
        listed = self.extraction.rejected
        room = max(0, MAX_LISTED - len(listed))
        self.unlisted += max(0, len(chunk.rejected) - room)
        skipped = Counter(self.extraction.skipped)
        skipped.update(chunk.skipped)
        self.extraction = ExtractionResult(
            chunk.file,
            chunk.sha256 or self.extraction.sha256,
            rejected=(*listed, *chunk.rejected[:room]),
            skipped=skipped,
            failure=chunk.failure,
        )

    def snapshot(self) -> FileOutcome:
        """Return a copy for `restore`, in case the transaction is rolled back."""
        return replace(self, placed=list(self.placed))

    def restore(self, earlier: FileOutcome) -> None:
        """Take back the counts of an attempt after a rollback."""
        self.first_article = earlier.first_article
        self.new, self.repeats, self.revisions = earlier.new, earlier.repeats, earlier.revisions
        self.placed = list(earlier.placed)

    def make_result(self, stored: Mapping[str, int | None]) -> FileResult:
        """Return the entry for the ledger; `stored` maps the SHA-256 of known contents to the first article of each."""
        extraction, failure = self.extraction, self.extraction.failure
        if isinstance(failure, VanishedError):
            return FileResult(claim=self.claim, state=FileState.VANISHED, detail=str(failure))
        if isinstance(failure, UnusableError):
            return FileResult(
                claim=self.claim,
                state=FileState.QUARANTINED,
                sha256=extraction.sha256,
                reason=failure.reason,
                detail=failure.detail,
                n_articles=self.new + self.repeats + self.revisions,
                article_id=self.first_article,
                rejected=extraction.rejected,
            )
        return FileResult(
            claim=self.claim,
            state=FileState.STORED if self.new or self.revisions else FileState.DUPLICATE,
            sha256=extraction.sha256,
            n_articles=self.new + self.repeats + self.revisions,
            article_id=stored.get(extraction.sha256 or "") or self.first_article,
            detail=self._describe_omissions(),
            rejected=extraction.rejected,
        )

    def _describe_omissions(self) -> str | None:
        """Return a text about parts of the file neither stored nor listed."""
        omissions = describe_skipped(self.extraction.skipped, "left out: ")
        if self.unlisted:
            omissions += f"{'; ' if omissions else ''}{self.unlisted} more records with errors than are listed"
        return omissions or None


def report_file(outcome: FileOutcome, result: FileResult, stats: IngestStats) -> None:
    """Count a finished file, and write a single log line with everything about the file."""
    file = result.claim.file
    stats.files[result.state] += 1
    stats.articles += outcome.new
    stats.repeats += outcome.repeats
    stats.revisions += outcome.revisions
    stats.rejected += len(result.rejected) + outcome.unlisted
    stats.lag_s = round(time.monotonic() - outcome.claimed_at, 3)
    facts = {
        "file_id": result.claim.id,
        "path": file.name,
        "sha256": result.sha256,
        "bytes": file.size,
        "elapsed_s": stats.lag_s,
    }
    if result.state is FileState.VANISHED:
        log.info("file.vanished", **facts)
    elif result.state is FileState.QUARANTINED:
        if stats.quarantined is not None:
            stats.quarantined.append((file.name, f"{result.reason}: {result.detail}"))
        write_line = log.error if result.reason is Reason.INTERNAL else log.warning
        write_line("file.quarantined", reason=str(result.reason), detail=result.detail, **facts)
    else:
        log.info("file.ingested", **facts, **_list_facts(outcome, result))


def report_refused(file: SeenFile, stats: IngestStats) -> None:
    """Count and log a file that the ledger cannot take, because the path is too long; the file stays where it is."""
    detail = f"root and path have {file.path_bytes} bytes, at most {MAX_PATH_BYTES} are allowed"
    stats.files["refused"] += 1
    if stats.quarantined is not None:
        stats.quarantined.append((file.name, f"path_too_long: {detail}"))
    log.warning("file.refused", path=file.name, reason="path_too_long", detail=detail, hint="move it to a shorter path")


def _list_facts(outcome: FileOutcome, result: FileResult) -> dict[str, object]:
    facts: dict[str, object] = {
        "outcome": result.state.value,
        "n_articles": result.n_articles,
        "new": outcome.new,
        "repeats": outcome.repeats,
        "revisions": outcome.revisions,
        "rejected": len(result.rejected) + outcome.unlisted,
        "article_id": result.article_id,
    }
    if outcome.extraction.skipped:
        facts["skipped"] = dict(outcome.extraction.skipped)
    if len(outcome.placed) == 1 and outcome.extraction.articles:
        assignment, article = outcome.placed[0], outcome.extraction.articles[0]
        facts |= {
            "outlet": article.outlet,
            "lang": article.lang,
            "relation": assignment.relation,
            "canonical_article_id": assignment.canonical_id,
            "cluster_id": assignment.cluster_id,
            "score": None if assignment.score is None else round(assignment.score, 4),
        }
    return facts
