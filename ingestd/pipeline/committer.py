"""What a transaction stores: every article gets its identity, its place, and its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from ingestd.core.article import Article
from ingestd.core.events.medoid import centres
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.stats import IngestStats
from ingestd.core.window.window import Window
from ingestd.matching.matcher import Matcher, NewArticle
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.settings import Settings
from ingestd.store import articles as store
from ingestd.store.articles import Identities
from ingestd.store.changes import ChangeSet, settle_status, write
from ingestd.workers.extract import ExtractionResult

log = structlog.get_logger()


class BatchCommitter:
    """Records one batch after the other, and keeps what it compares them with in memory."""

    def __init__(self, settings: Settings, counts: IngestStats) -> None:
        """Begin with an empty window; the time of each stage is added to `counts`."""
        self._settings, self._counts = settings, counts
        self._truncated = 0
        self.forget()

    def forget(self) -> None:
        """Empty the window: what it held may not have been committed. It fills itself again from the database."""
        self._placer = Matcher(partial(window_of, self._settings))

    @property
    def window(self) -> Window:
        """The articles that new ones are compared with."""
        return self._placer.window

    def tidy(self) -> None:
        """Forget what is out of reach, and say what did not fit."""
        forgotten, truncated = self.window.shrink(), self.window.truncated
        if forgotten:
            log.info("window.shrunk", forgotten=forgotten, held=len(self.window))
        if truncated > 2 * self._truncated:
            log.warning("window.bucket_full", chains=truncated, hint="many are alike; the newest are compared")
            self._truncated = truncated

    def record(
        self, connection: Connection, files: Sequence[tuple[FileOutcome, ExtractionResult]], now: datetime
    ) -> None:
        """Give every article its identity, decide where it belongs, and write all that changes."""
        identities = Identities(connection, [(article, made.text_sha256) for _, article, made in _articles(files)])
        next_article, next_cluster = store.next_ids(connection)
        arrivals: list[tuple[FileOutcome, NewArticle]] = []
        for progress, article, fingerprint in _articles(files):
            known = identities.known(article, fingerprint.text_sha256)
            if known is not None and fingerprint.text_sha256 in known.texts:
                progress.repeats += 1
                progress.first_article = progress.first_article or known.article_id
                continue
            _say_what_was_refused(progress, article)
            if known is not None and any(a.article_id == known.article_id for _, a in arrivals):
                # Two texts of one article in one batch: the first has to be written before it can be revised.
                next_cluster = self._place_and_write(connection, arrivals, now, next_cluster)
                arrivals = []
            if known is None:
                article_id, next_article = next_article, next_article + 1
                identities.add(article_id, article, fingerprint.text_sha256)
                progress.new += 1
            else:
                article_id = known.article_id
                known.texts.add(fingerprint.text_sha256)
                progress.revisions += 1
            day = (article.published_at or now).date()
            arrivals.append((progress, NewArticle(article_id, article, fingerprint, day, revised=known is not None)))
        self._place_and_write(connection, arrivals, now, next_cluster)

    def _place_and_write(
        self,
        connection: Connection,
        arrivals: Sequence[tuple[FileOutcome, NewArticle]],
        now: datetime,
        next_cluster: int,
    ) -> int:
        """Place articles and write what changes; return the next free id of a cluster."""
        if not arrivals:
            return next_cluster
        changes = ChangeSet(now)
        for progress, arrival in arrivals:
            progress.first_article = progress.first_article or arrival.article_id
            changes.add_article(
                arrival.article_id,
                arrival.article,
                arrival.fingerprint,
                arrival.day,
                progress.claim.id,
                revision=arrival.revised,
            )
        with self._counts.timed("decide"):
            placed = self._placer.place(connection, [arrival for _, arrival in arrivals], changes, next_cluster)
        for (progress, _), place in zip(arrivals, placed, strict=True):
            progress.placed.append(place)
        with self._counts.timed("write"):
            write(connection, changes, partial(centres, self.window))
            settle_status(connection, changes, self._settings.window.quiet_days)
        return next_cluster + len(changes.clusters)


def _articles(
    files: Sequence[tuple[FileOutcome, ExtractionResult]],
) -> Iterator[tuple[FileOutcome, Article, Fingerprint]]:
    for progress, reading in files:
        for article, fingerprint in zip(reading.articles, reading.fingerprints, strict=True):
            yield progress, article, fingerprint


def _say_what_was_refused(progress: FileOutcome, article: Article) -> None:
    if article.refused_date:
        log.warning(
            "date.refused",
            path=progress.claim.file.name,
            record_no=article.record_no,
            given=article.refused_date,
            hint="unreadable, before 1800 or in the future; the article is stored without it",
        )


def window_of(settings: Settings) -> Window:
    """Return an empty window of the size that the settings give it."""
    return Window(settings.window.days, settings.window.max_articles, settings.window.quiet_days)
