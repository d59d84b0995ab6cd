"""Open and close clusters by the time since their last article."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRow, ClusterLogRow, ClusterRow


def update_cluster_status(connection: Connection, now: datetime, touched: Iterable[int], quiet_days: int) -> None:
    """
    Close clusters that were quiet for a number of days, and open `touched` ones again that are fed after all.

    Time is that of the articles: an archive that is taken in years later opens and closes its clusters as it did then.
    A cluster without any date closes when the cluster has not changed for so long.
    """
    c = ClusterRow.__table__.c
    newest = connection.execute(select(func.max(ArticleRow.__table__.c.published_at))).scalar_one()
    quiet_since = min(now, newest or now) - timedelta(days=quiet_days)
    unchanged_since = now - timedelta(days=quiet_days)
    quiet = (c.last_published_at < quiet_since, c.last_published_at.is_(None) & (c.updated_at < unchanged_since))
    # One after the other: asked for either, the database goes through all open clusters.
    closing = [
        id_ for why in quiet for id_ in connection.execute(select(c.id).where(c.status == "open", why)).scalars()
    ]
    for chunk in split_keys(closing):
        connection.execute(update(ClusterRow).where(c.id.in_(chunk)).values(status="closed"))
    if closing:
        reason = {"quiet_days": quiet_days}
        rows = [{"kind": "closed", "cluster_id": id_, "happened_at": now, "reason": reason} for id_ in closing]
        connection.execute(insert(ClusterLogRow), rows)
    for chunk in split_keys(sorted(touched)):
        fed = c.id.in_(chunk) & (c.status == "closed") & (c.last_published_at >= quiet_since)
        connection.execute(update(ClusterRow).where(fed).values(status="open"))
