"""Writes the changes of a batch, one statement a table. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ingestd.core.changeset import (
    ChangeSet,
    ClusterMembership,
    ClusterSummary,
    CopyLink,
    LogEntry,
    NewArticle,
)
from ingestd.core.features import FEATURES, Feature
from ingestd.store.bulk_insert import BulkStatement
from ingestd.store.sql import split_keys
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    SignatureRow,
)

_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__
_INSERT = {
    table: BulkStatement(insert(table))
    for table in (ArticleRow, SignatureRow, CopyRow, ClusterRow, ClusterMemberRow, ClusterLogRow)
}
_UPDATE_CLUSTER = BulkStatement(update(ClusterRow).where(_clusters.c.id == bindparam("cluster")))


def write_members(connection: Connection, changes: ChangeSet, opened: Sequence[ClusterSummary]) -> None:
    """
    Write articles, copies and the members of clusters.

    Args:
        connection: of the transaction of the batch.
        changes: the changes of the batch.
        opened: a summary of every new cluster.
    """
    _write_articles(connection, changes)
    _INSERT[ClusterRow].execute(connection, [_make_cluster_row(changes, summary) for summary in opened])
    new = {article.article_id for article in changes.articles if not article.revised}
    copies = {article_id: None if link is None else _make_copy_row(link) for article_id, link in changes.copies.items()}
    _replace(connection, CopyRow, copies, new)
    joined = {article_id: _make_member_row(changes, article_id, one) for article_id, one in changes.joined.items()}
    _replace(connection, ClusterMemberRow, joined, new)
    _move_members(connection, changes)


def write_clusters(connection: Connection, changes: ChangeSet, summaries: Sequence[ClusterSummary]) -> None:
    """Write merged clusters, the summaries of changed clusters, and the log. Comes after `write_members`."""
    for cluster in changes.merged:
        led_there = (_clusters.c.id == cluster) | (_clusters.c.merged_into == cluster)
        values = {"n_articles": 0, "n_originals": 0, "n_outlets": 0, "updated_at": changes.now}
        into = changes.resolve_merge(cluster)
        connection.execute(update(ClusterRow).where(led_there).values(status="merged", merged_into=into, **values))
    with_keywords = [summary for summary in summaries if summary.keywords is not None]
    without = [summary for summary in summaries if summary.keywords is None]
    for same_columns in (with_keywords, without):
        if same_columns:
            rows = [{"cluster": s.cluster_id, **_list_counts(changes, s)} for s in same_columns]
            _UPDATE_CLUSTER.execute(connection, rows)
    _INSERT[ClusterLogRow].execute(connection, [_make_log_row(changes, entry) for entry in changes.log])


def _write_articles(connection: Connection, changes: ChangeSet) -> None:
    new = [article for article in changes.articles if not article.revised]
    revised = [article for article in changes.articles if article.revised]
    first = {"revision": 1, "first_seen_at": changes.now}
    _INSERT[ArticleRow].execute(
        connection, [{"id": a.article_id, **first, **_make_article_row(changes, a)} for a in new]
    )
    if revised:
        a = _articles.c
        for chunk in split_keys([article.article_id for article in revised]):
            old = select(a.id, a.revision, a.title, a.text, a.text_sha256, a.observed_at, a.source_file_id)
            connection.execute(
                insert(ArticleRevision).from_select(
                    ["article_id", "revision", "title", "text", "text_sha256", "observed_at", "source_file_id"],
                    old.where(a.id.in_(chunk)),
                )
            )
            connection.execute(delete(SignatureRow).where(SignatureRow.article_id.in_(chunk)))
        connection.execute(
            update(ArticleRow).where(a.id == bindparam("article")).values(revision=a.revision + 1, pruned=None),
            [{"article": article.article_id, **_make_article_row(changes, article)} for article in revised],
        )
    _INSERT[SignatureRow].execute(
        connection,
        [_make_signature_row(article, feature) for article in changes.articles for feature in FEATURES],
    )


def _move_members(connection: Connection, changes: ChangeSet) -> None:
    """Move canonical articles to other clusters; their copies follow."""
    if not changes.moved:
        return
    rows = [{"article": article, "to_cluster": cluster} for article, cluster in changes.moved.items()]
    to: dict[str, Any] = {"cluster_id": bindparam("to_cluster"), "batch": changes.batch}
    connection.execute(update(ClusterMemberRow).where(_members.c.article_id == bindparam("article")).values(to), rows)
    copies = select(_copies.c.article_id).where(_copies.c.canonical_article_id == bindparam("article"))
    connection.execute(update(ClusterMemberRow).where(_members.c.article_id.in_(copies)).values(to), rows)


def _replace(
    connection: Connection,
    table: type[CopyRow] | type[ClusterMemberRow],
    rows: Mapping[int, dict[str, Any] | None],
    new: set[int],
) -> None:
    """Replace the rows of articles, of which the new ones have none."""
    for chunk in split_keys([article_id for article_id in rows if article_id not in new]):
        connection.execute(delete(table).where(table.article_id.in_(chunk)))
    _INSERT[table].execute(connection, [row for row in rows.values() if row is not None])


# Rows


def _make_article_row(changes: ChangeSet, new: NewArticle) -> dict[str, Any]:
    article, fingerprint = new.article, new.fingerprint
    return {
        "external_id": article.external_id,
        "url": article.url,
        "url_canonical": article.url_canonical,
        "outlet": article.outlet,
        "title": article.title,
        "text": article.text,
        "authors": list(article.authors),
        "lang": article.lang,
        "lang_confidence": article.lang_confidence,
        "published_at": article.published_at,
        "published_source": article.published_source.value if article.published_source else None,
        "published_precision": article.published_precision.value if article.published_precision else None,
        "observed_at": changes.now,
        "day": new.day,
        "n_words": fingerprint.n_words,
        "text_sha256": fingerprint.text_sha256,
        "source_file_id": new.file_id,
        "record_no": article.record_no,
    }


def _make_signature_row(new: NewArticle, feature: Feature) -> dict[str, Any]:
    payload = feature.encode(new.fingerprint.features[feature.name])
    return {"article_id": new.article_id, "kind": feature.name, "scheme": feature.scheme, "payload": payload}


def _make_copy_row(link: CopyLink) -> dict[str, Any]:
    shared, differences = link.overlap, link.differences
    return {
        "article_id": link.article_id,
        "canonical_article_id": link.canonical_id,
        "matched_article_id": link.matched_id,
        "relation": link.relation.value,
        "jaccard": shared.jaccard,
        "containment": shared.containment,
        "evidence": {
            "shared_shingles": shared.shared,
            "shingles": shared.size,
            "matched_shingles": shared.other_size,
            "share_of_text": round(shared.shared / shared.size, 4),
            "share_of_matched": round(shared.shared / shared.other_size, 4),
            "longest_passages": differences.longest_passages,
            "only_in_text": differences.only_here,
            "only_in_matched": differences.only_there,
        },
    }


def _make_member_row(changes: ChangeSet, article_id: int, membership: ClusterMembership) -> dict[str, Any]:
    return {
        "article_id": article_id,
        "cluster_id": membership.cluster_id,
        "relation": membership.relation,
        "score": membership.score,
        "matched_article_id": membership.matched_id,
        "evidence": membership.evidence,
        "joined_at": changes.now,
        "batch": changes.batch,
    }


def _make_cluster_row(changes: ChangeSet, summary: ClusterSummary) -> dict[str, Any]:
    row = {"id": summary.cluster_id, "status": "open", "created_at": changes.now, **_list_counts(changes, summary)}
    row.setdefault("keywords", [])
    return row


def _list_counts(changes: ChangeSet, summary: ClusterSummary) -> dict[str, Any]:
    """Return the columns of a summary; without keywords where they stay as before."""
    row: dict[str, Any] = {
        "n_articles": summary.n_articles,
        "n_originals": summary.n_originals,
        "n_outlets": summary.n_outlets,
        "first_published_at": summary.first_published_at,
        "last_published_at": summary.last_published_at,
        "updated_at": changes.now,
        "canonical_article_id": summary.canonical_id,
        "title": summary.title,
        "lang": summary.lang,
    }
    if summary.keywords is not None:
        row["keywords"] = list(summary.keywords)
    return row


def _make_log_row(changes: ChangeSet, entry: LogEntry) -> dict[str, Any]:
    return {
        "happened_at": changes.now,
        "kind": entry.kind,
        "cluster_id": entry.cluster_id,
        "other_cluster_id": entry.other_cluster_id,
        "article_id": entry.article_id,
        "reason": entry.reason,
    }
