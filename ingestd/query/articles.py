"""One article with everything known about the article, by id, URL, external id or file name."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, select

from ingestd.core.article import MAX_NAME_BYTES, MAX_URL_BYTES, shorten_key
from ingestd.core.text.urls import canonicalise_url
from ingestd.errors import NotFoundError
from ingestd.query.clusters import read_log
from ingestd.query.files import find_files
from ingestd.query.ids import parse_id, parse_text
from ingestd.query.results import ArticleDetail, Copy, Membership, Revision, SourceReference, from_row
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    CopyRow,
    SourceFile,
)

_MOST_NAMED = 10  # ids in the message about an ambiguous name

_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_files = SourceFile.__table__
_log = ClusterLogRow.__table__
_members = ClusterMemberRow.__table__
_revisions = ArticleRevision.__table__


def read_article(connection: Connection, given: str) -> ArticleDetail:
    """
    Return an article with copies, cluster, file, earlier texts and history.

    Raises:
        NotFoundError: no article matches, or several articles match.
    """
    article_id = find_article_id(connection, given)
    row = connection.execute(select(_articles).where(_articles.c.id == article_id)).one()
    copy = connection.execute(select(_copies).where(_copies.c.article_id == article_id)).one_or_none()
    member = connection.execute(select(_members).where(_members.c.article_id == article_id)).one_or_none()
    file = connection.execute(select(_files).where(_files.c.id == row.source_file_id)).one()
    copies = connection.execute(
        select(_copies.c.article_id).where(_copies.c.canonical_article_id == article_id).order_by(_copies.c.article_id)
    )
    revisions = connection.execute(
        select(_revisions).where(_revisions.c.article_id == article_id).order_by(_revisions.c.revision)
    )
    return from_row(
        ArticleDetail,
        row,
        copy=from_row(Copy, copy) if copy else None,
        copies=list(copies.scalars()),
        membership=from_row(Membership, member) if member else None,
        file=from_row(SourceReference, file),
        revisions=[from_row(Revision, revision) for revision in revisions],
        log=read_log(connection, _log.c.article_id == article_id),
    )


def find_article_id(connection: Connection, given: str) -> int:
    """
    Return the id of an article by id, URL, external id or file name.

    Raises:
        NotFoundError: no article matches, or several articles match.
    """
    a, typed, given = _articles.c, given, parse_text(given)
    queries: list[Select[int]] = []
    if (number := parse_id(given)) is not None:
        queries.append(select(a.id).where(a.id == number))
    url = shorten_key(canonicalise_url(given), MAX_URL_BYTES)
    queries.append(select(a.id).where(a.url_canonical.in_({given, url or given})))
    queries.append(select(a.id).where(a.external_id.in_({given, shorten_key(given, MAX_NAME_BYTES)})))
    for query in queries:
        ids = connection.execute(query.order_by(a.id).limit(_MOST_NAMED + 1)).scalars().all()
        if ids:
            return _choose_only(given, ids)
    file_ids = [row.id for row in find_files(connection, typed)]
    # An address other than the canonical URL of the page is looked for last: no index has the column.
    for condition in (a.source_file_id.in_(file_ids), a.url == given):
        ids = connection.execute(select(a.id).where(condition).order_by(a.id).limit(_MOST_NAMED + 1)).scalars().all()
        if ids:
            return _choose_only(given, ids)
    raise NotFoundError(f"no article {given}: not an id, URL, external id or file name that is known")


def _choose_only(given: str, ids: Sequence[int]) -> int:
    if len(ids) > 1:
        more = ", ..." if len(ids) > _MOST_NAMED else ""
        raise NotFoundError(
            f"{given} means several articles: {', '.join(map(str, ids[:_MOST_NAMED]))}{more}; use one of these ids"
        )
    return ids[0]
