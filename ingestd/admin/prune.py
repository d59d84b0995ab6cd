"""
Remove the past of a corpus: signatures, texts, or whole articles.

The unit is the cluster, so that no cluster is torn apart and no copy loses the original: a cluster is old when every
member is from before the given day. The row and the log of a cluster stay, so that every id ever given still resolves;
the ledger stays, so that a file is recognised on return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, case, delete, exists, func, insert, select, update

from ingestd.core.progress import ShowProgress, hide_progress
from ingestd.store import corpus_state
from ingestd.store.database import Database
from ingestd.store.sql import split_keys
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    SignatureRow,
    SourceFile,
)

_CLUSTERS_AT_A_TIME = 200  # in one transaction: a daemon waits no longer than that
_FILES_AT_A_TIME = 50_000
_articles = ArticleRow.__table__
_members = ClusterMemberRow.__table__
_files = SourceFile.__table__


class PrunedPart(StrEnum):
    """The part to be removed; each value includes the values before."""

    SIGNATURES = "signatures"  # no article is compared with the old articles any more
    TEXTS = "texts"  # title, address, time, cluster stay
    ARTICLES = "articles"  # row and log of the cluster stay


@dataclass(frozen=True, slots=True)
class PruneResult:
    """Size of the removed part, or of the part to be removed."""

    clusters: int
    articles: int
    characters: int  # of the texts
    applied: bool  # false: nothing was changed


def prune(
    database: Database, before: date, what: PrunedPart, *, apply: bool, show_progress: ShowProgress = hide_progress
) -> PruneResult:
    """
    Remove the past of the corpus before a day (UTC); unless `apply`, only count.

    Clusters are removed in groups, each in one transaction: an interruption does no harm, and daemons may be at work.
    """
    n_clusters = n_articles = n_characters = 0
    with database.begin_read() as connection:
        old = _read_ids(connection, _select_old(before, what).order_by(_members.c.cluster_id))
    with show_progress("clusters", len(old)) as advance:
        for done, chunk in enumerate(split_keys(old, _CLUSTERS_AT_A_TIME), start=1):
            with database.begin_write() if apply else database.begin_read() as connection:
                # A cluster that got an article in the meantime is not old any more.
                clusters = _read_ids(connection, _select_old(before, what).where(_members.c.cluster_id.in_(chunk)))
                articles = _read_ids(
                    connection, select(_members.c.article_id).where(_members.c.cluster_id.in_(clusters))
                )
                n_clusters += len(clusters)
                n_articles += len(articles)
                n_characters += _count_characters(connection, articles)
                if apply:
                    _remove(connection, clusters, articles, what)
                    _log_pruning(connection, before, clusters, what)
            advance(min(len(old), done * _CLUSTERS_AT_A_TIME), None)
    if apply and what is PrunedPart.ARTICLES:
        _repair_ledger(database)
    return PruneResult(n_clusters, n_articles, n_characters, applied=apply)


def _select_old(before: date, what: PrunedPart) -> Select[int]:
    """Select the clusters that are old and have something left to remove."""
    other, others = _members.alias(), _articles.alias()
    young = exists().where(
        other.c.cluster_id == _members.c.cluster_id, others.c.id == other.c.article_id, others.c.day >= before
    )
    old = select(_members.c.cluster_id).join(_articles, _articles.c.id == _members.c.article_id)
    return old.where(_articles.c.day < before, ~young, *_NOT_YET_REMOVED[what]).distinct()


_NOT_YET_REMOVED: dict[PrunedPart, tuple[Any, ...]] = {
    PrunedPart.SIGNATURES: (_articles.c.pruned.is_(None),),
    PrunedPart.TEXTS: (_articles.c.pruned.is_distinct_from(PrunedPart.TEXTS.value),),
    PrunedPart.ARTICLES: (),
}


def _read_ids(connection: Connection, query: Select[int]) -> list[int]:
    return list(connection.execute(query).scalars())


def _count_characters(connection: Connection, ids: Sequence[int]) -> int:
    total = func.coalesce(func.sum(func.length(_articles.c.text)), 0)
    return sum(
        connection.execute(select(total).where(_articles.c.id.in_(chunk))).scalar_one() for chunk in split_keys(ids)
    )


def _remove(connection: Connection, clusters: Sequence[int], ids: Sequence[int], what: PrunedPart) -> None:
    for chunk in split_keys(ids):
        connection.execute(delete(SignatureRow).where(SignatureRow.article_id.in_(chunk)))
        if what is not PrunedPart.SIGNATURES:
            connection.execute(delete(ArticleRevision).where(ArticleRevision.article_id.in_(chunk)))
        if what is PrunedPart.ARTICLES:
            _remove_references(connection, chunk)
        else:
            values = {"pruned": what.value} | ({"text": ""} if what is PrunedPart.TEXTS else {})
            connection.execute(update(ArticleRow).where(_articles.c.id.in_(chunk)).values(values))
    if what is PrunedPart.ARTICLES:
        empty = {"status": "closed", "canonical_article_id": None, "n_articles": 0, "n_originals": 0, "n_outlets": 0}
        for chunk in split_keys(clusters):
            connection.execute(update(ClusterRow).where(ClusterRow.id.in_(chunk)).values(empty))
        for chunk in split_keys(ids):
            connection.execute(delete(ArticleRow).where(_articles.c.id.in_(chunk)))


def _remove_references(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the rows about articles, and clear every other reference to the articles."""
    connection.execute(delete(CopyRow).where(CopyRow.article_id.in_(ids)))
    connection.execute(delete(ClusterMemberRow).where(_members.c.article_id.in_(ids)))
    named = ClusterMemberRow.matched_article_id.in_(ids)
    connection.execute(update(ClusterMemberRow).where(named).values(matched_article_id=None))
    connection.execute(update(ClusterLogRow).where(ClusterLogRow.article_id.in_(ids)).values(article_id=None))


def _repair_ledger(database: Database) -> None:
    """Give each file that names a removed article the first remaining article, or none."""
    first = select(func.min(_articles.c.id)).where(_articles.c.source_file_id == _files.c.id).scalar_subquery()
    lost = _files.c.article_id.is_not(None) & ~exists().where(_articles.c.id == _files.c.article_id)
    said = case((_files.c.detail.is_(None), "pruned"), else_=_files.c.detail + "; pruned")
    with database.begin_read() as connection:
        last = connection.execute(select(func.max(_files.c.id))).scalar_one() or 0
    for start in range(0, last + 1, _FILES_AT_A_TIME):
        these = _files.c.id.between(start, start + _FILES_AT_A_TIME - 1)
        with database.begin_write() as connection:
            connection.execute(update(SourceFile).where(these, lost).values(article_id=first, detail=said))


def _log_pruning(connection: Connection, before: date, clusters: Sequence[int], what: PrunedPart) -> None:
    """Log the pruning in each cluster, and tell the daemons that parts of their windows are outdated."""
    now, state = datetime.now(UTC), corpus_state.read_version(connection)
    rows = [
        {"happened_at": now, "kind": "pruned", "cluster_id": id_, "reason": {"what": what.value}} for id_ in clusters
    ]
    if rows:
        connection.execute(insert(ClusterLogRow), rows)
    latest = max(before, state.pruned_before or before)
    corpus_state.begin_batch(connection, pruned_before=latest, pruned_batch=state.batch + 1)
