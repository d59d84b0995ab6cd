"""Where stored articles belong: assignments to groups of copies and clusters, and the members of clusters."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, case, func, select

from ingestd.core.stored import MemberCounts, StoredAssignment
from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRow, ClusterMemberRow, ClusterRow, CopyRow

_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__


def count_assignments_since(connection: Connection, batch: int) -> int:
    """Return how many articles were decided after a batch."""
    return connection.execute(select(func.count()).where(_members.c.batch > batch)).scalar_one()


def read_assignments_since(connection: Connection, batch: int) -> list[StoredAssignment]:
    """Return all articles that were decided after a batch, new articles and those that went elsewhere."""
    return _read_assignments(connection, _members.c.batch > batch)


def read_assignments(connection: Connection, article_ids: Sequence[int]) -> list[StoredAssignment]:
    """Return where articles belong, also those that the window cannot hold."""
    return [
        assignment
        for chunk in split_keys(article_ids)
        for assignment in _read_assignments(connection, _members.c.article_id.in_(chunk))
    ]


def find_inhabited_clusters(connection: Connection, clusters: Sequence[int]) -> set[int]:
    """Return those of some clusters that have members."""
    inhabited: set[int] = set()
    for chunk in split_keys(clusters):
        query = select(_members.c.cluster_id).where(_members.c.cluster_id.in_(chunk)).distinct()
        inhabited.update(connection.execute(query).scalars())
    return inhabited


def count_members(connection: Connection, clusters: Sequence[int]) -> list[MemberCounts]:
    """Return the counts of the members of clusters; nothing for a cluster without members."""
    m, a = _members.c, _articles.c
    query = (
        select(
            m.cluster_id,
            func.count(),
            func.sum(case((m.relation == "copy", 0), else_=1)),
            func.count(a.outlet.distinct()),
            func.min(a.published_at),
            func.max(a.published_at),
            func.min(a.id),
            func.max(_clusters.c.canonical_article_id),
        )
        .join(_articles, a.id == m.article_id)
        .join(_clusters, _clusters.c.id == m.cluster_id)
        .group_by(m.cluster_id)
    )
    return [
        MemberCounts(*row)
        for chunk in split_keys(clusters)
        for row in connection.execute(query.where(m.cluster_id.in_(chunk)))
    ]


def _read_assignments(connection: Connection, condition: ColumnElement[bool]) -> list[StoredAssignment]:
    query = (
        select(_members.c.article_id, _members.c.cluster_id, _copies.c.canonical_article_id, _articles.c.revision)
        .join(_articles, _articles.c.id == _members.c.article_id)
        .outerjoin(_copies, _copies.c.article_id == _members.c.article_id)
        .where(condition)
        .order_by(_members.c.article_id)
    )
    return [
        StoredAssignment(row.article_id, row.canonical_article_id or row.article_id, row.cluster_id, row.revision > 1)
        for row in connection.execute(query)
    ]
