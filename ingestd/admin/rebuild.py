"""
Derive copies and clusters anew from the stored articles, to compare them with the stored ones or to replace these.

All articles are decided again in the order of their dates, into a temporary database. The result then replaces the
stored decisions in one transaction: an interrupted rebuild changes nothing. A cluster with the same articles keeps
its id, and every id ever given still resolves.
"""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from ingestd.admin.replace_clusters import read_clusters_by_article, replace_clusters
from ingestd.core.article import Article, DatePrecision, DateSource
from ingestd.core.changeset import NewArticle
from ingestd.core.events.cluster_metrics import compare_clusterings
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.progress import ShowProgress, hide_progress
from ingestd.core.source_file import FileState
from ingestd.errors import CannotStartError
from ingestd.matching.matcher import Matcher
from ingestd.pipeline.committer import make_window, record_batch
from ingestd.settings import Settings
from ingestd.store import corpus_state
from ingestd.store.database import Database
from ingestd.store.tables import (
    ArticleRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    SourceFile,
)
from ingestd.workers.pool import Workers
from ingestd.workers.row_readers import read_rows_in_turn

_BATCH = 256
_FINGERPRINT_LIMIT_S = 600.0  # for one batch: minutes more than the slowest takes
_SHOWN = 20  # articles that would move
_articles = ArticleRow.__table__
_clusters = ClusterRow.__table__
_copies = CopyRow.__table__
_members = ClusterMemberRow.__table__

Read = tuple[int, Any, Article]  # id, day, and the article


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedArticle:
    """An article that the rebuild puts into another cluster."""

    article_id: int
    title: str | None
    cluster: int | None  # before; None: the article had no cluster
    new_cluster: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """The changes of a rebuild."""

    articles: int
    clusters_adjusted_rand: float  # agreement with the stored clusters
    copies_adjusted_rand: float  # agreement with the stored groups of copies
    clusters: tuple[int, int]  # before and after
    copies: tuple[int, int]  # before and after
    articles_in_another_cluster: int
    first_of_them: tuple[MovedArticle, ...]


def rebuild(
    settings: Settings, database: Database, *, check: bool, show_progress: ShowProgress = hide_progress
) -> RebuildReport:
    """
    Derive copies and clusters anew; unless `check`, store them.

    Returns:
        The agreement of clusters and copies with the stored ones (adjusted Rand index), and the moved articles.
    """
    with tempfile.TemporaryDirectory(prefix="ingestd-rebuild-") as folder, closing(
        Database(f"sqlite:///{Path(folder) / 'rebuild.db'}")
    ) as anew:  # fmt: skip
        anew.prepare()
        with database.begin_read() as old:
            before = corpus_state.read_version(old)
            _refuse_without_texts(old)
        _derive(settings, database, anew, show_progress)
        with anew.begin_read() as new, database.begin_read() as old:
            ids = _match_clusters(read_clusters_by_article(old), read_clusters_by_article(new), _find_next_cluster(old))
            report = _compare(old, new, ids)
        if not check:
            with anew.begin_read() as new, database.begin_write() as connection:
                state = corpus_state.begin_batch(connection, generation=before.generation + 1)
                if state.batch != before.batch + 1:
                    raise CannotStartError("articles came while all were decided anew: stop the daemons and repeat it")
                replace_clusters(connection, new, ids, state.batch, datetime.now(UTC))
    return report


def _refuse_without_texts(connection: Connection) -> None:
    pruned = connection.execute(select(func.count()).where(_articles.c.pruned == "texts")).scalar_one()
    if pruned:
        raise CannotStartError(
            f"the texts of {pruned:,} articles were pruned: without them nothing can be decided anew. "
            "`ingestd prune --what articles` takes these articles out of the corpus"
        )


def _derive(settings: Settings, database: Database, anew: Database, show_progress: ShowProgress) -> None:
    """Decide about all articles of a database anew, and store the decisions in another database."""
    matcher = Matcher(partial(make_window, settings))
    next_cluster, done = 1, 0
    now = datetime.now(UTC)
    with anew.begin_write() as connection:
        connection.execute(insert(SourceFile), _make_file_row(now))
    with (
        database.begin_read() as connection,
        show_progress("articles", _count_rows(connection, ArticleRow)) as advance,
    ):
        for articles, fingerprints in _fingerprint_batches(_read_articles(connection), settings.ingest.workers):
            batch = [NewArticle(i, a, made, day, 1) for (i, day, a), made in zip(articles, fingerprints, strict=True)]
            with anew.begin_write() as writing:
                decision = record_batch(
                    writing,
                    batch,
                    matcher,
                    next_cluster=next_cluster,
                    now=now,
                    quiet_days=settings.window.quiet_days,
                    read_rows=read_rows_in_turn,
                )
            next_cluster += len(decision.changes.opened)
            matcher.window.evict()
            done += len(batch)
            advance(done, None)


def _read_articles(connection: Connection) -> Iterator[Read]:
    """Yield all articles in the order of their dates, undated articles last."""
    order = (_articles.c.published_at.is_(None), _articles.c.published_at, _articles.c.id)
    for row in connection.execute(select(_articles).order_by(*order).execution_options(yield_per=_BATCH)):
        yield row.id, row.day, Article(
            title=row.title, text=row.text, outlet=row.outlet, url=row.url, url_canonical=row.url_canonical,
            external_id=row.external_id, authors=tuple(row.authors), lang=row.lang,
            lang_confidence=row.lang_confidence, published_at=row.published_at,
            published_source=DateSource(row.published_source) if row.published_source else None,
            published_precision=DatePrecision(row.published_precision) if row.published_precision else None,
            record_no=row.record_no,
        )  # fmt: skip


def _fingerprint_batches(articles: Iterator[Read], processes: int) -> Iterator[tuple[list[Read], list[Fingerprint]]]:
    """Yield batches with their fingerprints; the workers compute fingerprints ahead."""
    workers = Workers(processes)
    ahead: deque[tuple[list[Read], Future[list[Fingerprint]]]] = deque()
    try:
        while True:
            while len(ahead) <= 2 * processes and (batch := list(islice(articles, _BATCH))):
                ahead.append((batch, workers.fingerprint([article for _, _, article in batch])))
            if not ahead:
                return
            batch, prints = ahead.popleft()
            yield batch, prints.result(timeout=_FINGERPRINT_LIMIT_S)
    finally:
        workers.close()


def _match_clusters(stored: Mapping[int, int], anew: Mapping[int, int], next_id: int) -> dict[int, int]:
    """Return the id of each new cluster: the old id of most of its articles; larger clusters choose first."""
    members: dict[int, list[int]] = {}
    for article, cluster in anew.items():
        members.setdefault(cluster, []).append(article)
    ids: dict[int, int] = {}
    taken: set[int] = set()
    for cluster in sorted(members, key=lambda c: (-len(members[c]), min(members[c]))):
        votes = Counter(stored[a] for a in members[cluster] if a in stored and stored[a] not in taken)
        if votes:
            ids[cluster] = min(votes, key=lambda c: (-votes[c], c))
        else:
            ids[cluster], next_id = next_id, next_id + 1
        taken.add(ids[cluster])
    return ids


def _compare(old: Connection, new: Connection, ids: Mapping[int, int]) -> RebuildReport:
    """Compare the stored decisions with the new ones."""
    stored, anew = read_clusters_by_article(old), read_clusters_by_article(new)
    groups, new_groups = _read_groups(old), _read_groups(new)
    moved = sorted(a for a, cluster in anew.items() if ids[cluster] != stored.get(a))
    named = {row.id: row.title for row in old.execute(select(_articles.c.id, _articles.c.title).where(
        _articles.c.id.in_(moved[:_SHOWN])))}  # fmt: skip
    return RebuildReport(
        articles=len(anew),
        clusters_adjusted_rand=_compute_rand_index(stored, anew),
        copies_adjusted_rand=_compute_rand_index(groups, new_groups),
        clusters=(len(set(stored.values())), len(ids)),
        copies=(_count_rows(old, CopyRow), _count_rows(new, CopyRow)),
        articles_in_another_cluster=len(moved),
        first_of_them=tuple(
            MovedArticle(article_id=a, title=named[a], cluster=stored.get(a), new_cluster=ids[anew[a]])
            for a in moved[:_SHOWN]
        ),
    )


def _compute_rand_index(stored: Mapping[int, int], anew: Mapping[int, int]) -> float:
    both = {str(a): c for a, c in stored.items() if a in anew}
    if not both:
        return 1.0
    return round(compare_clusterings(both, {str(a): c for a, c in anew.items()}).adjusted_rand, 4)


def _read_groups(connection: Connection) -> dict[int, int]:
    query = select(_articles.c.id, func.coalesce(_copies.c.canonical_article_id, _articles.c.id).label("canonical"))
    rows = connection.execute(query.outerjoin(_copies, _copies.c.article_id == _articles.c.id))
    return {row.id: row.canonical for row in rows}


def _count_rows(connection: Connection, table: type[CopyRow] | type[ArticleRow]) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _find_next_cluster(connection: Connection) -> int:
    return (connection.execute(select(func.max(_clusters.c.id))).scalar_one() or 0) + 1


def _make_file_row(now: datetime) -> dict[str, Any]:
    """Return the ledger row of the temporary database: all articles name this row as their file."""
    return {
        "id": 1, "root": "", "path": "", "path_bytes": b"", "size_bytes": 0, "mtime_ns": 0, "ctime_ns": 0, "inode": 0,
        "state": FileState.STORED.value, "first_seen_at": now, "finished_at": now,
    }  # fmt: skip
