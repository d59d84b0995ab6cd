"""Record articles in a transaction: identity, group of copies, cluster and rows of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from ingestd.core.article import Article
from ingestd.core.changeset import NewArticle
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.stats import IngestStats
from ingestd.core.window.window import Window
from ingestd.matching.batch_matcher import Decision
from ingestd.matching.cluster_summary import keep_inhabited, summarise_opened, summarise_touched
from ingestd.matching.matcher import Matcher
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.settings import Settings
from ingestd.store import corpus_state, writer
from ingestd.store.cluster_status import update_cluster_status
from ingestd.store.identity import Identities
from ingestd.workers.extract import ExtractionResult
from ingestd.workers.row_readers import ReadRows, RowReaders
from ingestd.workers.stored_corpus import StoredCorpus

log = structlog.get_logger()

Timed = Callable[[str], AbstractContextManager[None]]  # measures a stage of the work, by name


def record_batch(  # noqa: PLR0913 - one step, and all that the step depends on
    connection: Connection,
    batch: Sequence[NewArticle],
    matcher: Matcher,
    *,
    next_cluster: int,
    now: datetime,
    quiet_days: int,
    read_rows: ReadRows,
    timed: Timed = lambda _stage: nullcontext(),
) -> Decision:
    """
    Decide about articles that have an id, and write all changes, within a transaction.

    Args:
        connection: of the transaction.
        batch: the articles, in their order.
        matcher: decides; to be reset when the transaction fails.
        next_cluster: the id of the first new cluster.
        now: the time of the changes.
        quiet_days: after so many days without an article a cluster is closed.
        read_rows: reads many stored articles at once.
        timed: measures the stages `decide` and `write`.
    """
    corpus = StoredCorpus(connection, read_rows)
    with timed("decide"):
        version = corpus_state.begin_batch(connection)
        decision = matcher.decide(batch, corpus, version, next_cluster, now)
    changes = decision.changes
    with timed("write"):
        writer.write_members(connection, changes, summarise_opened(decision, matcher.window))
        keep_inhabited(changes, corpus)
        writer.write_clusters(connection, changes, summarise_touched(decision, corpus, matcher.window))
        update_cluster_status(connection, now, changes.touched, quiet_days)
    return decision


def make_window(settings: Settings) -> Window:
    """Return an empty window of the size that the settings name."""
    return Window(settings.window.days, settings.window.max_articles, settings.window.quiet_days)


class BatchCommitter:
    """Records one batch of files after the other, and keeps the window of the corpus in memory."""

    def __init__(self, settings: Settings, counts: IngestStats) -> None:
        """Begin with an empty window; the time of each stage is added to `counts`."""
        self._settings, self._counts = settings, counts
        self._matcher = Matcher(partial(make_window, settings))
        self._read_rows = RowReaders()
        self._truncated = 0

    @property
    def window(self) -> Window:
        """The articles that new ones are compared with."""
        return self._matcher.window

    def reset(self) -> None:
        """Empty the window, which may be ahead of the database: a transaction failed."""
        self._matcher.reset()
        self._truncated = 0

    def evict(self) -> None:
        """Forget articles out of reach, and log the limits that were hit."""
        evicted, truncated = self.window.evict(), self.window.candidates.truncated
        if evicted:
            log.info("window.shrunk", forgotten=evicted, held=len(self.window))
        if truncated > 2 * self._truncated:
            log.warning("window.bucket_full", chains=truncated, hint="many are alike; the newest are compared")
            self._truncated = truncated

    def record(
        self, connection: Connection, files: Sequence[tuple[FileOutcome, ExtractionResult]], now: datetime
    ) -> None:
        """Give every article of some files an identity, decide where it belongs, and write all changes."""
        identities = Identities(connection, [(article, made.text_sha256) for _, article, made in _list_articles(files)])
        next_article, next_cluster = corpus_state.find_next_ids(connection)
        batch: list[tuple[FileOutcome, NewArticle]] = []
        for outcome, article, fingerprint in _list_articles(files):
            known = identities.find(article, fingerprint.text_sha256) or identities.find_earlier_version(
                outcome.claim.superseded, article
            )
            if known is not None and fingerprint.text_sha256 in known.texts:
                outcome.repeats += 1
                outcome.first_article = outcome.first_article or known.article_id
                continue
            _log_refused_date(outcome, article)
            if known is not None and any(new.article_id == known.article_id for _, new in batch):
                # Two texts of one article in one batch: the first is written before the second revises it.
                next_cluster = self._record_batch(connection, batch, now, next_cluster)
                batch = []
            if known is None:
                article_id, next_article = next_article, next_article + 1
                identities.add(article_id, article, fingerprint.text_sha256)
                outcome.new += 1
            else:
                article_id = known.article_id
                known.texts.add(fingerprint.text_sha256)
                outcome.revisions += 1
            outcome.first_article = outcome.first_article or article_id
            day = (article.published_at or now).date()
            revised = known is not None
            batch.append((outcome, NewArticle(article_id, article, fingerprint, day, outcome.claim.id, revised)))
        self._record_batch(connection, batch, now, next_cluster)

    def _record_batch(
        self, connection: Connection, batch: Sequence[tuple[FileOutcome, NewArticle]], now: datetime, next_cluster: int
    ) -> int:
        """Record articles, and return the next free id of a cluster."""
        if not batch:
            return next_cluster
        decision = record_batch(
            connection,
            [new for _, new in batch],
            self._matcher,
            next_cluster=next_cluster,
            now=now,
            quiet_days=self._settings.window.quiet_days,
            read_rows=self._read_rows,
            timed=self._counts.timed,
        )
        for (outcome, _), assignment in zip(batch, decision.assignments, strict=True):
            outcome.placed.append(assignment)
        return next_cluster + len(decision.changes.opened)


def _list_articles(
    files: Sequence[tuple[FileOutcome, ExtractionResult]],
) -> Iterator[tuple[FileOutcome, Article, Fingerprint]]:
    for outcome, result in files:
        for article, fingerprint in zip(result.articles, result.fingerprints, strict=True):
            yield outcome, article, fingerprint


def _log_refused_date(outcome: FileOutcome, article: Article) -> None:
    if article.refused_date:
        log.warning(
            "date.refused",
            path=outcome.claim.file.name,
            record_no=article.record_no,
            given=article.refused_date,
            hint="unreadable, before 1800 or in the future; the article is stored without it",
        )
