"""What has come of a file so far: counted while it goes down the line, and said once it is settled."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from ingestd.core.source_file import FileState
from ingestd.errors import Reason, UnusableError, VanishedError
from ingestd.matching.matcher import Assignment
from ingestd.store.ledger import Claim, FileResult
from ingestd.workers.pool import MOST_LISTED, ExtractionResult, left_out

log = structlog.get_logger()


@dataclass(slots=True)
class IngestStats:
    """What has been done since the start."""

    files: Counter[str] = field(default_factory=Counter)  # by state
    articles: int = 0  # new ones
    repeats: int = 0
    revisions: int = 0
    rejected: int = 0  # records
    quarantined: list[tuple[str, str]] | None = None  # path and reason, for who wants the list
    seconds: dict[str, float] = field(default_factory=dict)  # by stage

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to its stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(slots=True)
class FileOutcome:
    """What has come of one file so far; a large one is stored in several transactions."""

    claim: Claim
    reading: ExtractionResult
    since: float  # time.monotonic() of the claim
    first_article: int | None = None
    new: int = 0
    repeats: int = 0
    revisions: int = 0
    unlisted: int = 0  # records that could not be used, beyond those that are listed
    placed: list[Assignment] = field(default_factory=list)

    def take(self, part: ExtractionResult) -> None:
        """Add what is to be remembered of a piece: all but its articles."""
        listed = self.reading.rejected
        room = max(0, MOST_LISTED - len(listed))
        self.unlisted += max(0, len(part.rejected) - room)
        skipped = Counter(self.reading.skipped)
        skipped.update(part.skipped)
        self.reading = ExtractionResult(
            part.file,
            part.sha256 or self.reading.sha256,
            rejected=(*listed, *part.rejected[:room]),
            skipped=skipped,
            failure=part.failure,
        )

    def kept(self) -> FileOutcome:
        """Return what to go back to when a transaction is rolled back."""
        return replace(self, placed=list(self.placed))

    def go_back(self, to: FileOutcome) -> None:
        """Forget what an attempt counted that was rolled back."""
        self.first_article, self.new, self.repeats, self.revisions = to.first_article, to.new, to.repeats, to.revisions
        self.placed = list(to.placed)

    def settlement(self, stored: Mapping[str, int | None]) -> FileResult:
        """Return what the ledger is told; `stored` has the first article of every content known, by SHA-256."""
        reading, failure = self.reading, self.reading.failure
        if isinstance(failure, VanishedError):
            return FileResult(claim=self.claim, state=FileState.VANISHED, detail=str(failure))
        if isinstance(failure, UnusableError):
            return FileResult(
                claim=self.claim,
                state=FileState.QUARANTINED,
                sha256=reading.sha256,
                reason=failure.reason,
                detail=failure.detail,
                n_articles=self.new + self.repeats + self.revisions,
                article_id=self.first_article,
                rejected=reading.rejected,
            )
        return FileResult(
            claim=self.claim,
            state=FileState.STORED if self.new or self.revisions else FileState.DUPLICATE,
            sha256=reading.sha256,
            n_articles=self.new + self.repeats + self.revisions,
            article_id=stored.get(reading.sha256 or "") or self.first_article,
            detail=self._left_out(),
            rejected=reading.rejected,
        )

    def _left_out(self) -> str | None:
        """Say what of the file is neither stored nor listed."""
        said = left_out(self.reading.skipped, "left out: ")
        if self.unlisted:
            said += f"{'; ' if said else ''}{self.unlisted} more records with errors than are listed"
        return said or None


def report(progress: FileOutcome, settlement: FileResult, counts: IngestStats) -> None:
    """Count a settled file, and say once and whole what became of it."""
    file = settlement.claim.file
    counts.files[settlement.state] += 1
    counts.articles += progress.new
    counts.repeats += progress.repeats
    counts.revisions += progress.revisions
    counts.rejected += len(settlement.rejected) + progress.unlisted
    elapsed_s = round(time.monotonic() - progress.since, 3)
    about = {
        "file_id": settlement.claim.id,
        "path": file.name,
        "sha256": settlement.sha256,
        "bytes": file.size,
        "elapsed_s": elapsed_s,
    }
    if settlement.state is FileState.VANISHED:
        log.info("file.vanished", **about)
    elif settlement.state is FileState.QUARANTINED:
        if counts.quarantined is not None:
            counts.quarantined.append((file.name, f"{settlement.reason}: {settlement.detail}"))
        say = log.error if settlement.reason is Reason.INTERNAL else log.warning
        say("file.quarantined", reason=str(settlement.reason), detail=settlement.detail, **about)
    else:
        log.info("file.ingested", **about, **_facts(progress, settlement))


def _facts(progress: FileOutcome, settlement: FileResult) -> dict[str, object]:
    facts: dict[str, object] = {
        "outcome": settlement.state.value,
        "n_articles": settlement.n_articles,
        "new": progress.new,
        "repeats": progress.repeats,
        "revisions": progress.revisions,
        "rejected": len(settlement.rejected) + progress.unlisted,
        "article_id": settlement.article_id,
    }
    if progress.reading.skipped:
        facts["skipped"] = dict(progress.reading.skipped)
    if len(progress.placed) == 1 and progress.reading.articles:
        place, article = progress.placed[0], progress.reading.articles[0]
        facts |= {
            "outlet": article.outlet,
            "lang": article.lang,
            "relation": place.relation,
            "canonical_article_id": place.canonical_id,
            "cluster_id": place.cluster_id,
            "score": None if place.score is None else round(place.score, 4),
        }
    return facts
