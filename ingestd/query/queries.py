"""Answers for people: what the commands show. Reads only; every answer is a plain value fit for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, String, cast, func, or_, select, text

from ingestd.core.source_file import FileState
from ingestd.core.text.urls import canonicalise_url
from ingestd.errors import NotFoundError
from ingestd.store.sql import split_keys
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    RejectedRecord,
    SourceFile,
)

_articles = ArticleRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__
_copies = CopyRow.__table__
_files = SourceFile.__table__
_log = ClusterLogRow.__table__
_MOST_DIGITS = 18  # of an id: one of 19 may be beyond 63 bits

Answer = dict[str, Any]

BYTES_IN_WINDOW = 4400  # of memory that an article takes there (measured with 10,000)


def status(connection: Connection, window_days: int) -> Answer:
    """Return how much there is of everything, how much of it a new article is compared with, and the lag."""
    states = connection.execute(select(_files.c.state, func.count().label("n")).group_by(_files.c.state))
    oldest = connection.execute(
        select(func.min(_files.c.first_seen_at)).where(_files.c.finished_at.is_(None))
    ).scalar_one()
    live = (_clusters.c.status != "merged") & (_clusters.c.n_articles > 0)  # none are left in those that were pruned
    newest = connection.execute(select(func.max(_articles.c.day))).scalar_one()
    since = newest - timedelta(days=window_days) if newest else None
    in_reach = (
        _count(connection, select(func.count()).select_from(_articles).where(_articles.c.day >= since)) if since else 0
    )
    return {
        "files": {row.state: row.n for row in states},
        "articles": _count(connection, select(func.count()).select_from(_articles)),
        "copies": _count(connection, select(func.count()).select_from(_copies)),
        "clusters": _count(connection, select(func.count()).select_from(_clusters).where(live)),
        "stories": _count(
            connection, select(func.count()).select_from(_clusters).where(live, _clusters.c.n_articles > 1)
        ),
        "articles_in_reach": in_reach,
        "index_bytes": in_reach * BYTES_IN_WINDOW,
        "last_stored_at": connection.execute(select(func.max(_files.c.finished_at))).scalar_one(),
        "oldest_unfinished_s": None if oldest is None else round((datetime.now(UTC) - oldest).total_seconds(), 1),
    }


def clusters(  # noqa: PLR0913 - each is an option of the command
    connection: Connection,
    *,
    min_articles: int,
    since: datetime | None,
    outlet: str | None,
    lang: str | None,
    limit: int,
    largest: bool,
) -> list[Answer]:
    """Return live clusters with their members, newest or largest first."""
    c = _clusters.c
    query = select(_clusters).where(c.status != "merged", c.n_articles >= min_articles)
    if since is not None:
        query = query.where(c.last_published_at >= since)
    if lang is not None:
        query = query.where(c.lang == lang)
    if outlet is not None:
        of_outlet = select(_members.c.cluster_id).join(_articles, _articles.c.id == _members.c.article_id)
        query = query.where(c.id.in_(of_outlet.where(_articles.c.outlet == outlet)))
    newest = (c.last_published_at.desc().nulls_last(), c.id.desc())
    order = (c.n_articles.desc(), *newest) if largest else newest
    found = [_plain(row) for row in connection.execute(query.order_by(*order).limit(limit))]
    members = _members_of(connection, [cluster["id"] for cluster in found])
    return [{**cluster, "members": members[cluster["id"]]} for cluster in found]


def _id(given: str) -> int | None:
    """Return the id that a person may mean; None where it cannot be one."""
    return int(given) if given.isdecimal() and len(given) <= _MOST_DIGITS else None


def cluster(connection: Connection, given: str) -> Answer:
    """Return everything about a cluster; an id that was merged away leads to where it went."""
    live = None
    if (number := _id(given)) is not None:
        query = text("SELECT live_id FROM cluster_resolve WHERE id = :id")
        live = connection.execute(query, {"id": number}).scalar_one_or_none()
    if live is None:
        raise NotFoundError(f"no cluster {given}; `ingestd clusters` lists them")
    row = connection.execute(select(_clusters).where(_clusters.c.id == live)).one()
    return {
        **_plain(row),
        "asked_for": int(given),
        "members": _members_of(connection, [live])[live],
        "log": _log_of(connection, or_(_log.c.cluster_id == live, _log.c.other_cluster_id == live)),
    }


def article(connection: Connection, given: str) -> Answer:
    """Return everything about an article, by id, URL, external id or file name."""
    article_id = article_id_of(connection, given)
    row = connection.execute(select(_articles).where(_articles.c.id == article_id)).one()
    copy = connection.execute(select(_copies).where(_copies.c.article_id == article_id)).one_or_none()
    member = connection.execute(select(_members).where(_members.c.article_id == article_id)).one_or_none()
    file = connection.execute(select(_files).where(_files.c.id == row.source_file_id)).one()
    copies = connection.execute(
        select(_copies.c.article_id).where(_copies.c.canonical_article_id == article_id).order_by(_copies.c.article_id)
    )
    revisions = ArticleRevision.__table__
    earlier = connection.execute(
        select(revisions).where(revisions.c.article_id == article_id).order_by(revisions.c.revision)
    )
    return {
        **_plain(row),
        "copy": _plain(copy) if copy else None,
        "copies": list(copies.scalars()),
        "membership": _plain(member) if member else None,
        "file": {
            key: value for key, value in _plain(file).items() if key in ("id", "root", "path", "archived_as", "sha256")
        },
        "revisions": [_plain(revision) for revision in earlier],
        "log": _log_of(connection, _log.c.article_id == article_id),
    }


def file(connection: Connection, given: str) -> list[Answer]:
    """Return every version of a file that was seen, with the records of it that were left out."""
    rows = _files_named(connection, given)
    if not rows:
        raise NotFoundError(f"no file {given} in the ledger; `ingestd files` lists them")
    rejected = RejectedRecord.__table__
    answers = []
    for row in rows:
        left_out = select(rejected).where(rejected.c.source_file_id == row.id).order_by(rejected.c.record_no)
        stored = select(_articles.c.id).where(_articles.c.source_file_id == row.id).order_by(_articles.c.id).limit(1000)
        answers.append(
            {
                **_plain(row),
                "articles": list(connection.execute(stored).scalars()),
                "rejected_records": [_plain(r) for r in connection.execute(left_out)],
            }
        )
    return answers


def files(connection: Connection, state: FileState | None, reason: str | None, limit: int) -> list[Answer]:
    """Return rows of the ledger, newest first."""
    query = select(_files).order_by(_files.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_files.c.state == state.value)
    if reason is not None:
        query = query.where(_files.c.reason == reason)
    return [_plain(row) for row in connection.execute(query)]


def article_id_of(connection: Connection, given: str) -> int:
    """
    Return the id of the article that a person means.

    Raises:
        NotFoundError: nothing answers to it, or several articles do.
    """
    a = _articles.c
    queries: list[Select[int]] = []
    if (number := _id(given)) is not None:
        queries.append(select(a.id).where(a.id == number))
    queries.append(select(a.id).where(a.url_canonical.in_({given, canonicalise_url(given) or given})))
    queries.append(select(a.id).where(a.external_id == given))
    for query in queries:
        found = connection.execute(query.order_by(a.id).limit(11)).scalars().all()
        if found:
            return _the_only(given, found)
    ids = [row.id for row in _files_named(connection, given)]
    # An address that its page did not call its own is looked for last: no index has it.
    for condition in (a.source_file_id.in_(ids), a.url == given):
        found = connection.execute(select(a.id).where(condition).order_by(a.id).limit(11)).scalars().all()
        if found:
            break
    else:
        raise NotFoundError(f"no article {given}: not an id, URL, external id or file name that is known")
    return _the_only(given, found)


def clusters_of(connection: Connection, given: Sequence[str]) -> dict[str, int]:
    """Return the cluster of each article that is stored, by external id, URL or number, whichever is known first."""
    a, found = _articles.c, dict[str, int]()
    for column in (a.external_id, a.url, a.url_canonical, cast(a.id, String)):
        for chunk in split_keys([key for key in given if key not in found]):
            query = select(column.label("given"), _members.c.cluster_id)
            query = query.join(_members, _members.c.article_id == a.id).where(column.in_(chunk)).order_by(a.id.desc())
            found |= {row.given: row.cluster_id for row in connection.execute(query)}
    return found


def _the_only(given: str, found: Sequence[int]) -> int:
    if len(found) > 1:
        more = ", ..." if len(found) > 10 else ""
        raise NotFoundError(
            f"{given} means several articles: {', '.join(map(str, found[:10]))}{more}; use one of these ids"
        )
    return found[0]


def _files_named(connection: Connection, given: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return versions of a file by its path below the root, its full path, or its bare name."""
    f = _files.c
    exact = connection.execute(
        select(_files).where(or_(f.path == given, f.root + "/" + f.path == given)).order_by(f.id)
    ).all()
    if exact or "/" in given:
        return exact
    bare = given.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return connection.execute(select(_files).where(f.path.like(f"%/{bare}", escape="\\")).order_by(f.id)).all()


def _members_of(connection: Connection, cluster_ids: Sequence[int]) -> dict[int, list[Answer]]:
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
        .where(m.cluster_id.in_(cluster_ids))
        .order_by(a.published_at.is_(None), a.published_at, a.id)
    )
    members: dict[int, list[Answer]] = {cluster_id: [] for cluster_id in cluster_ids}
    for row in connection.execute(query):
        members[row.cluster_id].append({**_plain(row), "is_canonical": bool(row.is_canonical)})
    return members


def _log_of(connection: Connection, condition: Any) -> list[Answer]:
    return [_plain(row) for row in connection.execute(select(_log).where(condition).order_by(_log.c.id))]


def _count(connection: Connection, query: Select[int]) -> int:
    return connection.execute(query).scalar_one()


def _plain(row: Row[*tuple[Any, ...]]) -> Answer:
    """Return a row as a dictionary, without what is only bytes."""
    return {key: value for key, value in row._mapping.items() if not isinstance(value, bytes)}
