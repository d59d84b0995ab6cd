"""
What a corpus gives up of its past: signatures, texts, or whole articles.

The unit is the cluster, so that none is torn apart and no copy loses its original: a cluster is old when all of it is
from before the given day. Its row and its log stay, so that every id ever given still resolves; the ledger stays, so
that a file which comes again is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, case, delete, exists, func, insert, select, update

from ingestd.progress_bar import bar
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

_CLUSTERS_AT_A_TIME = 200  # in one transaction: a daemon waits for no more
_FILES_AT_A_TIME = 50_000
_articles = ArticleRow.__table__
_members = ClusterMemberRow.__table__
_files = SourceFile.__table__


class What(StrEnum):
    """What is given up; each includes those before it."""

    SIGNATURES = "signatures"  # nothing is compared with the articles any more
    TEXTS = "texts"  # title, address, time, cluster stay
    ARTICLES = "articles"  # the cluster's row and log stay


@dataclass(slots=True)
class Pruned:
    """How much was given up, or would be."""

    clusters: int = 0
    articles: int = 0
    characters: int = 0  # of their texts

    def plain(self) -> dict[str, int]:
        """Return it as JSON has it."""
        return asdict(self)


def prune(database: Database, before: date, what: What, *, apply: bool, progress: bool) -> Pruned:
    """
    Give up what is older than a day (UTC); unless `apply`, only count it.

    Some clusters at a time, each time in a transaction of its own: it may be interrupted, and daemons may be at work.
    """
    found = Pruned()
    with database.begin_read() as connection:
        old = _ids(connection, _old(before, what).order_by(_members.c.cluster_id))
    with bar("clusters", len(old), shown=progress) as advance:
        for done, chunk in enumerate(split_keys(old, _CLUSTERS_AT_A_TIME), start=1):
            with database.begin_write() if apply else database.begin_read() as connection:
                # One that has been fed since is not old any more.
                still = _ids(connection, _old(before, what).where(_members.c.cluster_id.in_(chunk)))
                ids = _ids(connection, select(_members.c.article_id).where(_members.c.cluster_id.in_(still)))
                found.clusters += len(still)
                found.articles += len(ids)
                found.characters += _characters(connection, ids)
                if apply:
                    _give_up(connection, still, ids, what)
                    _tell(connection, before, still, what)
            advance(min(len(old), done * _CLUSTERS_AT_A_TIME), None)
    if apply and what is What.ARTICLES:
        _mend_ledger(database)
    return found


def _old(before: date, what: What) -> Select[int]:
    """Select the clusters that are old, and have something left to give up."""
    other, others = _members.alias(), _articles.alias()
    young = exists().where(
        other.c.cluster_id == _members.c.cluster_id, others.c.id == other.c.article_id, others.c.day >= before
    )
    old = select(_members.c.cluster_id).join(_articles, _articles.c.id == _members.c.article_id)
    return old.where(_articles.c.day < before, ~young, *_LEFT[what]).distinct()


_LEFT: dict[What, tuple[Any, ...]] = {
    What.SIGNATURES: (_articles.c.pruned.is_(None),),
    What.TEXTS: (_articles.c.pruned.is_distinct_from(What.TEXTS.value),),
    What.ARTICLES: (),
}


def _ids(connection: Connection, query: Select[int]) -> list[int]:
    return list(connection.execute(query).scalars())


def _characters(connection: Connection, ids: Sequence[int]) -> int:
    total = func.coalesce(func.sum(func.length(_articles.c.text)), 0)
    return sum(
        connection.execute(select(total).where(_articles.c.id.in_(chunk))).scalar_one() for chunk in split_keys(ids)
    )


def _give_up(connection: Connection, clusters: Sequence[int], ids: Sequence[int], what: What) -> None:
    for chunk in split_keys(ids):
        connection.execute(delete(SignatureRow).where(SignatureRow.article_id.in_(chunk)))
        if what is not What.SIGNATURES:
            connection.execute(delete(ArticleRevision).where(ArticleRevision.article_id.in_(chunk)))
        if what is What.ARTICLES:
            _let_go_of(connection, chunk)
        else:
            values = {"pruned": what.value} | ({"text": ""} if what is What.TEXTS else {})
            connection.execute(update(ArticleRow).where(_articles.c.id.in_(chunk)).values(values))
    if what is What.ARTICLES:
        empty = {"status": "closed", "canonical_article_id": None, "n_articles": 0, "n_originals": 0, "n_outlets": 0}
        for chunk in split_keys(clusters):
            connection.execute(update(ClusterRow).where(ClusterRow.id.in_(chunk)).values(empty))
        for chunk in split_keys(ids):
            connection.execute(delete(ArticleRow).where(_articles.c.id.in_(chunk)))


def _let_go_of(connection: Connection, ids: Sequence[int]) -> None:
    """Take away what refers to articles, and let the rest refer to nothing."""
    connection.execute(delete(CopyRow).where(CopyRow.article_id.in_(ids)))
    connection.execute(delete(ClusterMemberRow).where(_members.c.article_id.in_(ids)))
    named = ClusterMemberRow.matched_article_id.in_(ids)
    connection.execute(update(ClusterMemberRow).where(named).values(matched_article_id=None))
    connection.execute(update(ClusterLogRow).where(ClusterLogRow.article_id.in_(ids)).values(article_id=None))


def _mend_ledger(database: Database) -> None:
    """Let files whose (first) article is gone name the first that is left, or none."""
    first = select(func.min(_articles.c.id)).where(_articles.c.source_file_id == _files.c.id).scalar_subquery()
    lost = _files.c.article_id.is_not(None) & ~exists().where(_articles.c.id == _files.c.article_id)
    said = case((_files.c.detail.is_(None), "pruned"), else_=_files.c.detail + "; pruned")
    with database.begin_read() as connection:
        last = connection.execute(select(func.max(_files.c.id))).scalar_one() or 0
    for start in range(0, last + 1, _FILES_AT_A_TIME):
        these = _files.c.id.between(start, start + _FILES_AT_A_TIME - 1)
        with database.begin_write() as connection:
            connection.execute(update(SourceFile).where(these, lost).values(article_id=first, detail=said))


def _tell(connection: Connection, before: date, clusters: Sequence[int], what: What) -> None:
    """Write it into the log of each cluster, and where daemons see that what they hold of it is no more."""
    now, state = datetime.now(UTC), corpus_state.read_version(connection)
    rows = [
        {"happened_at": now, "kind": "pruned", "cluster_id": id_, "reason": {"what": what.value}} for id_ in clusters
    ]
    if rows:
        connection.execute(insert(ClusterLogRow), rows)
    latest = max(before, state.pruned_before or before)
    corpus_state.begin_batch(connection, pruned_before=latest, pruned_batch=state.batch + 1)
