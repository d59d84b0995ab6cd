"""What a batch changes: gathered in memory while it is decided, then written with one statement a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, select, update

from ingestd.core.article import Article
from ingestd.core.copies.diff import Differences
from ingestd.core.copies.star_groups import CopyMembership
from ingestd.core.copies.verify import Relation
from ingestd.core.events.medoid import Centre
from ingestd.core.fingerprint import COPY_LABEL, EVENT_LABEL, Fingerprint
from ingestd.core.text.term_lookup import TermLookup
from ingestd.core.text.term_weights import TermVector
from ingestd.store.articles import chunks, copy_to_bytes, event_to_bytes
from ingestd.store.bulk_insert import Bulk
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    SignatureRow,
)

KEYWORDS = 8  # of a cluster
_NO_TERMS = np.zeros(0, dtype=np.uint32)
_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__
_INSERT = {
    table: Bulk(insert(table))
    for table in (ArticleRow, SignatureRow, CopyRow, ClusterRow, ClusterMemberRow, ClusterLogRow)
}
_SUM_UP = Bulk(update(ClusterRow).where(_clusters.c.id == bindparam("cluster")))

# Of clusters, the article that speaks for each and the hashes of its most telling terms; nothing where none is held.
Centres = Callable[[Sequence[int]], Mapping[int, Centre]]


@dataclass(slots=True)
class ChangeSet:
    """What a batch changes, gathered in memory and written at once."""

    now: datetime
    batch: int = 0  # its number
    articles: list[dict[str, Any]] = field(default_factory=list)
    revised: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[dict[str, Any]] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)  # new ones
    copies: dict[int, dict[str, Any] | None] = field(default_factory=dict)  # None: nobody's copy any more
    joined: dict[int, dict[str, Any]] = field(default_factory=dict)  # whole rows of cluster_members
    moved: dict[int, int] = field(default_factory=dict)  # member -> cluster, the rest of the row stays
    merged: dict[int, int] = field(default_factory=dict)  # cluster -> the one that it went into
    log: list[dict[str, Any]] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)  # clusters to be summed up again
    terms: dict[int, TermVector] = field(default_factory=dict)  # of the articles at hand, with their words
    _glossary: TermLookup | None = None

    def add_article(  # noqa: PLR0913 - one row, once
        self, article_id: int, article: Article, fingerprint: Fingerprint, day: date, file_id: int, *, revision: bool
    ) -> None:
        """Store an article, or a new text of one that is known."""
        row = {
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
            "observed_at": self.now,
            "day": day,
            "n_words": fingerprint.n_words,
            "text_sha256": fingerprint.text_sha256,
            "source_file_id": file_id,
            "record_no": article.record_no,
        }
        if revision:
            self.revised.append({"article": article_id, **row})
        else:
            self.articles.append({"id": article_id, "revision": 1, "first_seen_at": self.now, **row})
        for kind, scheme, payload in (
            ("copy", COPY_LABEL, copy_to_bytes(fingerprint)),
            ("event", EVENT_LABEL, event_to_bytes(fingerprint)),
        ):
            self.signatures.append({"article_id": article_id, "kind": kind, "scheme": scheme, "payload": payload})
        self.terms[article_id] = fingerprint.terms
        self._glossary = None

    @property
    def glossary(self) -> TermLookup:
        """The words of the articles at hand."""
        if self._glossary is None:
            self._glossary = TermLookup(self.terms)
        return self._glossary

    def copy(self, article_id: int, place: CopyMembership, relation: Relation, differences: Differences) -> None:
        """Make an article a copy, with what says that it is one."""
        shared = place.overlap
        if shared is None:
            raise ValueError(f"article {article_id} speaks for itself")
        self.copies[article_id] = {
            "article_id": article_id,
            "canonical_article_id": place.canonical_id,
            "matched_article_id": place.matched_id,
            "relation": relation.value,
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

    def original(self, article_id: int) -> None:
        """Make an article nobody's copy, if it was one."""
        self.copies[article_id] = None

    def join(  # noqa: PLR0913 - one row, once
        self,
        article_id: int,
        cluster_id: int,
        relation: str,
        score: float | None,
        matched_id: int | None,
        evidence: Mapping[str, Any],
    ) -> None:
        """Put an article into a cluster, with what says that it belongs there."""
        self.moved.pop(article_id, None)
        self.joined[article_id] = {
            "article_id": article_id,
            "cluster_id": cluster_id,
            "relation": relation,
            "score": None if score is None else min(1.0, max(0.0, score)),
            "matched_article_id": matched_id,
            "evidence": dict(evidence),
            "joined_at": self.now,
            "batch": self.batch,
        }
        self.touched.add(cluster_id)

    def move(self, article_id: int, cluster_id: int) -> None:
        """Take an original along to another cluster; its copies follow."""
        if article_id in self.joined:
            self.joined[article_id]["cluster_id"] = cluster_id
        self.moved[article_id] = cluster_id
        self.touched.add(cluster_id)

    def merge(self, cluster_id: int, into: int) -> None:
        """Close a cluster that has gone into another."""
        self.merged[cluster_id] = into
        self.touched.discard(cluster_id)
        self.note("merged", into, other=cluster_id)

    def note(
        self, kind: str, cluster_id: int, *, article: int | None = None, other: int | None = None, **reason: Any
    ) -> None:
        """Write a line of the log."""
        self.log.append(
            {
                "happened_at": self.now,
                "kind": kind,
                "cluster_id": cluster_id,
                "other_cluster_id": other,
                "article_id": article,
                "reason": reason,
            }
        )


def write(connection: Connection, changes: ChangeSet, centres: Centres) -> None:
    """
    Write what a batch changes.

    Args:
        connection: of the transaction that the batch is.
        changes: what to write.
        centres: of clusters, the article that speaks for each and the hashes of its most telling terms.
    """
    _write_articles(connection, changes)
    if changes.clusters:
        _INSERT[ClusterRow].execute(connection, _opened(changes, centres))
    _replace(connection, CopyRow, changes.copies, {row["id"] for row in changes.articles})
    _write_members(connection, changes)
    _sum_up(connection, changes, centres)
    _INSERT[ClusterLogRow].execute(connection, changes.log)


def settle_status(connection: Connection, changes: ChangeSet, quiet_days: int) -> None:
    """
    Close clusters that were quiet for so many days, and open those again that are fed after all.

    Time is that of the articles: an archive that is taken in years later opens and closes its clusters as it did then.
    A cluster without any date closes when it has not changed for so long.
    """
    c = _clusters.c
    newest = connection.execute(select(func.max(_articles.c.published_at))).scalar_one()
    quiet_since = min(changes.now, newest or changes.now) - timedelta(days=quiet_days)
    unchanged_since = changes.now - timedelta(days=quiet_days)
    quiet = (c.last_published_at < quiet_since, c.last_published_at.is_(None) & (c.updated_at < unchanged_since))
    # One after the other: asked for either, the database goes through all that are open.
    closing = [
        id_ for why in quiet for id_ in connection.execute(select(c.id).where(c.status == "open", why)).scalars()
    ]
    for chunk in chunks(closing):
        connection.execute(update(ClusterRow).where(c.id.in_(chunk)).values(status="closed"))
    if closing:
        reason = {"quiet_days": quiet_days}
        rows = [{"kind": "closed", "cluster_id": id_, "happened_at": changes.now, "reason": reason} for id_ in closing]
        connection.execute(insert(ClusterLogRow), rows)
    for chunk in chunks(sorted(changes.touched)):
        fed = c.id.in_(chunk) & (c.status == "closed") & (c.last_published_at >= quiet_since)
        connection.execute(update(ClusterRow).where(fed).values(status="open"))


def _opened(changes: ChangeSet, centres: Centres) -> list[dict[str, Any]]:
    """Return the rows of new clusters. One with a single new member is complete: nothing needs to be counted."""
    members = _joined_by_cluster(changes)
    articles = {row["id"]: row for row in changes.articles}
    telling = {cluster: terms for cluster, (_, terms) in centres(_complete(changes, members, articles)).items()}
    keywords = _keywords(changes, members, telling)
    rows = []
    for cluster in changes.clusters:
        joined = members.get(cluster, [])
        row: dict[str, Any] = {
            "id": cluster,
            "status": "open",
            "keywords": [],
            "n_articles": 0,
            "n_originals": 0,
            "n_outlets": 0,
            "canonical_article_id": None,
            "title": None,
            "lang": None,
            "first_published_at": None,
            "last_published_at": None,
            "created_at": changes.now,
            "updated_at": changes.now,
        }
        if cluster in telling:
            only = articles[joined[0]]
            row |= {
                "keywords": keywords[cluster],
                "n_articles": 1,
                "n_originals": 1,
                "n_outlets": int(only["outlet"] is not None),
                "canonical_article_id": joined[0],
                "title": only["title"],
                "lang": only["lang"],
                "first_published_at": only["published_at"],
                "last_published_at": only["published_at"],
            }
            changes.touched.discard(cluster)
        rows.append(row)
    return rows


def _complete(
    changes: ChangeSet, members: Mapping[int, Sequence[int]], articles: Mapping[int, Mapping[str, Any]]
) -> list[int]:
    """Return the new clusters that hold one new article, and will hold no other."""
    taken = {*changes.moved.values(), *changes.merged}
    single = [cluster for cluster in changes.clusters if len(members.get(cluster, ())) == 1 and cluster not in taken]
    return [cluster for cluster in single if members[cluster][0] in articles]


def _write_articles(connection: Connection, changes: ChangeSet) -> None:
    _INSERT[ArticleRow].execute(connection, changes.articles)
    if changes.revised:
        ids = [row["article"] for row in changes.revised]
        a = _articles.c
        for chunk in chunks(ids):
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
            changes.revised,
        )
    _INSERT[SignatureRow].execute(connection, changes.signatures)


def _replace(
    connection: Connection, table: type[CopyRow] | type[ClusterMemberRow], rows: Mapping[int, Any], new: set[int]
) -> None:
    for chunk in chunks([article_id for article_id in rows if article_id not in new]):
        connection.execute(delete(table).where(table.article_id.in_(chunk)))
    _INSERT[table].execute(connection, [row for row in rows.values() if row is not None])


def _write_members(connection: Connection, changes: ChangeSet) -> None:
    _replace(connection, ClusterMemberRow, changes.joined, {row["id"] for row in changes.articles})
    if changes.moved:
        rows = [{"article": article, "to_cluster": cluster} for article, cluster in changes.moved.items()]
        to: dict[str, Any] = {"cluster_id": bindparam("to_cluster"), "batch": changes.batch}
        connection.execute(
            update(ClusterMemberRow).where(_members.c.article_id == bindparam("article")).values(to), rows
        )
        copies = select(_copies.c.article_id).where(_copies.c.canonical_article_id == bindparam("article"))
        connection.execute(update(ClusterMemberRow).where(_members.c.article_id.in_(copies)).values(to), rows)
    _keep_inhabited(connection, changes)
    for cluster in changes.merged:
        into = cluster
        while into in changes.merged:
            into = changes.merged[into]
        connection.execute(
            update(ClusterRow)
            .where((_clusters.c.id == cluster) | (_clusters.c.merged_into == cluster))
            .values(status="merged", merged_into=into, n_articles=0, n_originals=0, n_outlets=0, updated_at=changes.now)
        )


def _keep_inhabited(connection: Connection, changes: ChangeSet) -> None:
    """Do not merge a cluster away that has members outside the window: those who left have left it, no more."""
    for chunk in chunks(sorted(changes.merged)):
        inhabited = select(_members.c.cluster_id).where(_members.c.cluster_id.in_(chunk)).distinct()
        for cluster in connection.execute(inhabited).scalars().all():
            into = changes.merged.pop(cluster)
            changes.touched.add(cluster)
            for row in changes.log:
                if row["kind"] == "merged" and row["other_cluster_id"] == cluster:
                    row |= {"kind": "left", "cluster_id": cluster, "other_cluster_id": into}


def _sum_up(connection: Connection, changes: ChangeSet, centres: Centres) -> None:
    """Count the members of the clusters touched, and let the right article speak for each."""
    joined = _joined_by_cluster(changes)
    for chunk in chunks(sorted(changes.touched - changes.merged.keys())):
        counted = _counted(connection, chunk)
        known = centres([row.cluster_id for row in counted])
        found = {row.cluster_id: known.get(row.cluster_id, (row.spoke or row.any, _NO_TERMS)) for row in counted}
        heads = _heads(connection, [article for article, _ in found.values()])
        keywords = _keywords(changes, joined, {cluster: telling for cluster, (_, telling) in found.items()})
        # Where members only left, no article at hand knows the words: the old ones stay.
        keywords |= _old_keywords(connection, [cluster for cluster, words in keywords.items() if not words])
        rows = []
        for row in counted:
            speaker, _ = found[row.cluster_id]
            rows.append(
                {
                    "cluster": row.cluster_id,
                    "n_articles": row.n,
                    "n_originals": row.originals,
                    "n_outlets": row.outlets,
                    "first_published_at": row.first,
                    "last_published_at": row.last,
                    "updated_at": changes.now,
                    "canonical_article_id": speaker,
                    "title": heads[speaker].title,
                    "lang": heads[speaker].lang,
                    "keywords": keywords[row.cluster_id],
                }
            )
            if row.spoke not in (None, speaker):
                changes.note("canonical", row.cluster_id, article=speaker, before=row.spoke)
        _SUM_UP.execute(connection, rows)


def _counted(connection: Connection, clusters: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    m, a = _members.c, _articles.c
    return connection.execute(
        select(
            m.cluster_id,
            func.count().label("n"),
            func.sum(case((m.relation == "copy", 0), else_=1)).label("originals"),
            func.count(a.outlet.distinct()).label("outlets"),
            func.min(a.published_at).label("first"),
            func.max(a.published_at).label("last"),
            func.min(a.id).label("any"),
            func.max(_clusters.c.canonical_article_id).label("spoke"),
        )
        .join(_articles, a.id == m.article_id)
        .join(_clusters, _clusters.c.id == m.cluster_id)
        .where(m.cluster_id.in_(clusters))
        .group_by(m.cluster_id)
    ).all()


def _old_keywords(connection: Connection, clusters: Sequence[int]) -> dict[int, list[str]]:
    if not clusters:
        return {}
    query = select(_clusters.c.id, _clusters.c.keywords).where(_clusters.c.id.in_(clusters))
    return {row.id: row.keywords for row in connection.execute(query)}


def _joined_by_cluster(changes: ChangeSet) -> dict[int, list[int]]:
    """Return the articles that join each cluster in this batch."""
    joined: dict[int, list[int]] = {}
    for article_id, row in changes.joined.items():
        joined.setdefault(row["cluster_id"], []).append(article_id)
    return joined


def _keywords(
    changes: ChangeSet, joined: Mapping[int, Sequence[int]], telling: Mapping[int, NDArray[np.uint32]]
) -> dict[int, list[str]]:
    """Return the most telling words of clusters, as far as those who joined in this batch have them."""
    asked = [(cluster, article) for cluster in telling for article in joined.get(cluster, ())]
    terms = [telling[cluster] for cluster, _ in asked]
    articles = [article for (_, article), its in zip(asked, terms, strict=True) for _ in range(its.size)]
    found = iter(changes.glossary.find_terms(articles, np.concatenate([_NO_TERMS, *terms])))
    places: dict[int, dict[int, int]] = {cluster: {} for cluster in telling}  # of the terms that are known, by term
    for (cluster, _), its in zip(asked, terms, strict=True):
        looked_up = zip(its.tolist(), islice(found, its.size), strict=True)
        places[cluster].update((term, place) for term, place in looked_up if place >= 0)
    keywords = {}
    for cluster, known in places.items():
        first = islice((known[term] for term in telling[cluster].tolist() if term in known), KEYWORDS)
        keywords[cluster] = list(map(changes.glossary.read_word, first))
    return keywords


def _heads(connection: Connection, article_ids: Sequence[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    query = select(_articles.c.id, _articles.c.title, _articles.c.lang).where(_articles.c.id.in_(article_ids))
    return {row.id: row for row in connection.execute(query)}
