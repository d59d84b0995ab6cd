"""Clusters with members and history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, String, cast, or_, select, text

from ingestd.errors import NotFoundError
from ingestd.query.ids import parse_id, parse_text
from ingestd.query.results import ClusterDetail, ClusterLogEntry, ClusterMember, ListedCluster, from_row
from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRow, ClusterLogRow, ClusterMemberRow, ClusterRow, CopyRow, SourceFile

_articles = ArticleRow.__table__
_clusters = ClusterRow.__table__
_copies = CopyRow.__table__
_files = SourceFile.__table__
_log = ClusterLogRow.__table__
_members = ClusterMemberRow.__table__


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFilter:
    """The clusters of a listing, and the order. None: any."""

    min_articles: int = 2
    since: datetime | None = None  # with an article published at this time or later
    outlet: str | None = None  # with an article of this outlet
    lang: str | None = None
    limit: int = 20
    largest: bool = False  # the largest cluster first, instead of the newest


def list_clusters(connection: Connection, wanted: ClusterFilter) -> list[ListedCluster]:
    """Return live clusters with their members, newest or largest first."""
    c = _clusters.c
    query = select(_clusters).where(c.status != "merged", c.n_articles >= wanted.min_articles)
    if wanted.since is not None:
        query = query.where(c.last_published_at >= wanted.since)
    if wanted.lang is not None:
        query = query.where(c.lang == parse_text(wanted.lang))
    if wanted.outlet is not None:
        of_outlet = select(_members.c.cluster_id).join(_articles, _articles.c.id == _members.c.article_id)
        query = query.where(c.id.in_(of_outlet.where(_articles.c.outlet == parse_text(wanted.outlet))))
    newest = (c.last_published_at.desc().nulls_last(), c.id.desc())
    order = (c.n_articles.desc(), *newest) if wanted.largest else newest
    rows = connection.execute(query.order_by(*order).limit(wanted.limit)).all()
    members = _read_members(connection, [row.id for row in rows])
    return [from_row(ListedCluster, row, members=members[row.id]) for row in rows]


def read_cluster(connection: Connection, given: str) -> ClusterDetail:
    """
    Return a cluster with members and history; the id of a merged cluster leads to the live cluster.

    Raises:
        NotFoundError: no cluster has the id.
    """
    live = None
    if (number := parse_id(given)) is not None:
        query = text("SELECT live_id FROM cluster_resolve WHERE id = :id")
        live = connection.execute(query, {"id": number}).scalar_one_or_none()
    if live is None:
        raise NotFoundError(f"no cluster {given}; `ingestd clusters` lists them")
    row = connection.execute(select(_clusters).where(_clusters.c.id == live)).one()
    return from_row(
        ClusterDetail,
        row,
        asked_for=int(given),
        members=_read_members(connection, [live])[live],
        log=read_log(connection, or_(_log.c.cluster_id == live, _log.c.other_cluster_id == live)),
    )


def read_log(connection: Connection, condition: ColumnElement[bool]) -> list[ClusterLogEntry]:
    """Return the entries of the cluster log that fulfil a condition, oldest first."""
    rows = connection.execute(select(_log).where(condition).order_by(_log.c.id))
    return [from_row(ClusterLogEntry, row) for row in rows]


def map_articles_to_clusters(connection: Connection, given: Sequence[str]) -> dict[str, int]:
    """Return the cluster of each stored article, by external id, URL or number; the first match counts."""
    a, clusters = _articles.c, dict[str, int]()
    for column in (a.external_id, a.url, a.url_canonical, cast(a.id, String)):
        for keys in split_keys([key for key in given if key not in clusters]):
            query = select(column.label("given"), _members.c.cluster_id)
            query = query.join(_members, _members.c.article_id == a.id).where(column.in_(keys)).order_by(a.id.desc())
            clusters |= {row.given: row.cluster_id for row in connection.execute(query)}
    return clusters


def _read_members(connection: Connection, cluster_ids: Sequence[int]) -> dict[int, list[ClusterMember]]:
    a, m = _articles.c, _members.c
    query = (
        select(
            m.cluster_id,
            m.article_id,
            m.relation,
            m.score,
            m.matched_article_id,
            a.outlet,
            a.title,
            a.url,
            a.published_at,
            a.n_words,
            a.external_id,
            _copies.c.relation.label("copy_relation"),
            _copies.c.canonical_article_id.label("copy_of"),
            _files.c.path.label("file"),
            (m.article_id == _clusters.c.canonical_article_id).label("is_canonical"),
        )
        .join(_articles, a.id == m.article_id)
        .join(_clusters, _clusters.c.id == m.cluster_id)
        .join(_files, _files.c.id == a.source_file_id)
        .outerjoin(_copies, _copies.c.article_id == m.article_id)
        .order_by(a.published_at.is_(None), a.published_at, a.id)
    )
    members: dict[int, list[ClusterMember]] = {cluster_id: [] for cluster_id in cluster_ids}
    for ids in split_keys(cluster_ids):
        for row in connection.execute(query.where(m.cluster_id.in_(ids))):
            members[row.cluster_id].append(from_row(ClusterMember, row, is_canonical=bool(row.is_canonical)))
    return members
