"""Puts copies and clusters derived anew in the place of the stored ones. Every id ever given still resolves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRow, ClusterLogRow, ClusterMemberRow, ClusterRow, CopyRow, SignatureRow

_articles = ArticleRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__


def read_clusters_by_article(connection: Connection) -> dict[int, int]:
    """Return the cluster of each article."""
    rows = connection.execute(select(_members.c.article_id, _members.c.cluster_id))
    return {row.article_id: row.cluster_id for row in rows}


def replace_clusters(
    connection: Connection, new: Connection, ids: Mapping[int, int], batch: int, now: datetime
) -> None:
    """
    Replace copies, signatures and clusters of a database by those of another, in one transaction.

    Args:
        connection: of the transaction that writes.
        new: of the database with the new decisions.
        ids: from a cluster there to the id of the cluster here; an id of before keeps its row.
        batch: the number of the batch that the replacement is.
        now: the time of the changes.
    """
    stored = {
        row.article_id: (row.cluster_id, row.joined_at)
        for row in connection.execute(select(_members.c.article_id, _members.c.cluster_id, _members.c.joined_at))
    }
    for table in (CopyRow, SignatureRow, ClusterMemberRow):
        connection.execute(delete(table))
    connection.execute(update(ArticleRow).where(_articles.c.pruned == "signatures").values(pruned=None))
    moves = _write_clusters(connection, new, ids, stored, now)
    _copy_table(connection, new, CopyRow)
    _copy_table(connection, new, SignatureRow)
    for rows in _read_batches(new, ClusterMemberRow):
        for row in rows:
            row["cluster_id"] = ids[row["cluster_id"]]
            cluster, joined_at = stored.get(row["article_id"], (None, now))
            row["joined_at"] = joined_at if cluster == row["cluster_id"] else now
            row["batch"] = batch
        connection.execute(insert(ClusterMemberRow), rows)
    _log_moves(connection, moves, now)


def _write_clusters(
    connection: Connection,
    new: Connection,
    ids: Mapping[int, int],
    stored: Mapping[int, tuple[int, datetime]],
    now: datetime,
) -> dict[int, Counter[int]]:
    """Write the rows of all clusters; return, for each old cluster, the new clusters of its articles, counted."""
    known = set(connection.execute(select(_clusters.c.id)).scalars())
    for rows in _read_batches(new, ClusterRow):
        kept = [row | {"id": ids[row["id"]]} for row in rows if row["id"] in ids]
        fresh = [row for row in kept if row["id"] not in known]
        if fresh:
            connection.execute(insert(ClusterRow), fresh)
        for row in kept:
            if row["id"] in known:
                values = {key: value for key, value in row.items() if key not in ("id", "created_at")}
                connection.execute(update(ClusterRow).where(_clusters.c.id == row["id"]).values(values))
    moves: dict[int, Counter[int]] = {}
    for article, cluster in read_clusters_by_article(new).items():
        if article in stored:
            moves.setdefault(stored[article][0], Counter())[ids[cluster]] += 1
    live = set(ids.values())
    for old in sorted(moves.keys() - live):
        into = max(moves[old], key=lambda cluster: (moves[old][cluster], -cluster))
        values = {"status": "merged", "merged_into": into, "n_articles": 0, "n_originals": 0, "n_outlets": 0}
        led_there = (_clusters.c.id == old) | (_clusters.c.merged_into == old)
        connection.execute(update(ClusterRow).where(led_there).values(updated_at=now, **values))
    return moves


def _log_moves(connection: Connection, moves: Mapping[int, Counter[int]], now: datetime) -> None:
    """Log the moves of articles out of each changed cluster."""
    lines = []
    for cluster, counts in sorted(moves.items()):
        merged = cluster not in counts and max(counts, key=lambda c: (counts[c], -c))
        for other, n in sorted(counts.items()):
            if other != cluster:
                line = {"kind": "merged", "cluster_id": other, "other_cluster_id": cluster}
                if other != merged:
                    line = {"kind": "left", "cluster_id": cluster, "other_cluster_id": other}
                lines.append(line | {"happened_at": now, "reason": {"rebuilt": True, "articles": n}})
    for chunk in split_keys(lines):
        connection.execute(insert(ClusterLogRow), chunk)


def _copy_table(connection: Connection, new: Connection, table: type[CopyRow] | type[SignatureRow]) -> None:
    for rows in _read_batches(new, table):
        connection.execute(insert(table), rows)


def _read_batches(connection: Connection, table: Any) -> Iterator[list[dict[str, Any]]]:
    found = connection.execute(select(table.__table__).execution_options(yield_per=1000))
    for part in found.partitions():
        yield [_convert_row(row) for row in part]


def _convert_row(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)
