"""The size of the corpus, and the lag of the work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Select, func, select

from ingestd.query.results import CorpusStatus
from ingestd.store.tables import ArticleRow, ClusterRow, CopyRow, SourceFile

BYTES_IN_WINDOW = 4400  # memory of an article in the window (measured with 10,000)

_articles = ArticleRow.__table__
_clusters = ClusterRow.__table__
_copies = CopyRow.__table__
_files = SourceFile.__table__


def read_status(connection: Connection, window_days: int) -> CorpusStatus:
    """
    Count files, articles, copies and clusters, and measure the lag.

    Args:
        connection: to read from.
        window_days: articles this many days before the newest article are in reach of a new article.
    """
    states = connection.execute(select(_files.c.state, func.count().label("n")).group_by(_files.c.state))
    oldest = connection.execute(
        select(func.min(_files.c.first_seen_at)).where(_files.c.finished_at.is_(None))
    ).scalar_one()
    live = (_clusters.c.status != "merged") & (_clusters.c.n_articles > 0)  # a pruned cluster has no articles
    articles_in_reach = _count_in_reach(connection, window_days)
    return CorpusStatus(
        files={row.state: row.n for row in states},
        articles=_count(connection, select(func.count()).select_from(_articles)),
        copies=_count(connection, select(func.count()).select_from(_copies)),
        clusters=_count(connection, select(func.count()).select_from(_clusters).where(live)),
        stories=_count(connection, select(func.count()).select_from(_clusters).where(live, _clusters.c.n_articles > 1)),
        articles_in_reach=articles_in_reach,
        index_bytes=articles_in_reach * BYTES_IN_WINDOW,
        last_stored_at=connection.execute(select(func.max(_files.c.finished_at))).scalar_one(),
        oldest_unfinished_s=None if oldest is None else round((datetime.now(UTC) - oldest).total_seconds(), 1),
    )


def _count_in_reach(connection: Connection, window_days: int) -> int:
    newest = connection.execute(select(func.max(_articles.c.day))).scalar_one()
    if newest is None:
        return 0
    first_day = newest - timedelta(days=window_days)
    return _count(connection, select(func.count()).select_from(_articles).where(_articles.c.day >= first_day))


def _count(connection: Connection, query: Select[int]) -> int:
    return connection.execute(query).scalar_one()
