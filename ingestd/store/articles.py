"""
Articles, copies and clusters: what is known of an arriving article, what the window is filled with, and one batch of
changes written at a time.

Everything here happens inside the caller's transaction, with one statement a table and batch, not one an article.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, select, update

from ingestd.core.article import Article
from ingestd.core.copies import Relation
from ingestd.core.fingerprint import COPY_LABEL, EVENT_LABEL, EVENT_SCHEME, Fingerprint
from ingestd.core.salience import SalientTerms
from ingestd.core.similarity import Overlap
from ingestd.core.window import Entry
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    SignatureRow,
)

_KEYS_A_QUERY = 500  # below the limit of bound parameters of every database
_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__
_signatures = SignatureRow.__table__
_T = TypeVar("_T")


def text_sha256(article: Article) -> str:
    """Return the key by which equal texts are recognised."""
    return hashlib.sha256(article.body.encode()).hexdigest()


@dataclass(slots=True)
class Known:
    """An article that is in the database."""

    article_id: int
    outlet: str | None
    text_sha256: str


class Identities:
    """
    Which arriving articles are known already.

    Same canonical URL: the same article. No URL: the same id from the same outlet. Neither: equal text, unless the
    outlet says that it is another.
    """

    def __init__(self, connection: Connection, articles: Sequence[Article]) -> None:
        """Look all of them up at once."""
        self._by_url: dict[str, Known] = {}
        self._by_id: dict[tuple[str, str], Known] = {}
        self._by_text: dict[str, list[Known]] = {}
        columns = (
            _articles.c.id,
            _articles.c.outlet,
            _articles.c.text_sha256,
            _articles.c.url_canonical,
            _articles.c.external_id,
        )
        for column, keys in (
            (_articles.c.url_canonical, {a.url_canonical for a in articles if a.url_canonical}),
            (_articles.c.external_id, {a.external_id for a in articles if a.external_id and not a.url_canonical}),
            (_articles.c.text_sha256, {text_sha256(a) for a in articles if not a.url_canonical and not a.external_id}),
        ):
            for chunk in _chunks(sorted(keys)):
                for row in connection.execute(select(*columns).where(column.in_(chunk)).order_by(_articles.c.id)):
                    self._remember(row.id, row.outlet, row.text_sha256, row.url_canonical, row.external_id)

    def known(self, article: Article) -> Known | None:
        """Return the article that this one is, if it is known."""
        if article.url_canonical:
            return self._by_url.get(article.url_canonical)
        if article.external_id:
            return self._by_id.get((article.outlet or "", article.external_id))
        for known in self._by_text.get(text_sha256(article), ()):
            if article.outlet is None or known.outlet is None or article.outlet == known.outlet:
                return known
        return None

    def add(self, article_id: int, article: Article) -> None:
        """Remember an article that has just been given an id."""
        self._remember(article_id, article.outlet, text_sha256(article), article.url_canonical, article.external_id)

    def _remember(
        self, article_id: int, outlet: str | None, sha256: str, url: str | None, external_id: str | None
    ) -> None:
        known = Known(article_id, outlet, sha256)
        if url:
            self._by_url.setdefault(url, known)
        elif external_id:
            self._by_id.setdefault((outlet or "", external_id), known)
        self._by_text.setdefault(sha256, []).append(known)


def next_ids(connection: Connection) -> tuple[int, int]:
    """Return the next free ids of an article and of a cluster. One writer at a time makes this safe."""
    row = connection.execute(
        select(
            select(func.coalesce(func.max(_articles.c.id), 0)).scalar_subquery(),
            select(func.coalesce(func.max(_clusters.c.id), 0)).scalar_subquery(),
        )
    ).one()
    return row[0] + 1, row[1] + 1


def texts(connection: Connection, article_ids: Iterable[int]) -> dict[int, str]:
    """Return the texts that are compared, by article id."""
    found: dict[int, str] = {}
    for chunk in _chunks(sorted(article_ids)):
        rows = connection.execute(
            select(_articles.c.id, _articles.c.text, _articles.c.title).where(_articles.c.id.in_(chunk))
        )
        found.update({row.id: row.text or row.title or "" for row in rows})
    return found


def entries_of_days(connection: Connection, days: Sequence[date]) -> Iterator[Entry]:
    """Yield all stored articles of some days, for the window."""
    for first, last in _runs(days):
        yield from _entries(connection, _articles.c.day.between(first, last))


def entries_of(connection: Connection, article_ids: Sequence[int]) -> Iterator[Entry]:
    """Yield some stored articles, for the window."""
    for chunk in _chunks(article_ids):
        yield from _entries(connection, _articles.c.id.in_(chunk))


def _entries(connection: Connection, condition: Any) -> Iterator[Entry]:
    copy, event = _signatures.alias("copy"), _signatures.alias("event")
    query = (
        select(
            _articles.c.id,
            _articles.c.published_at,
            _articles.c.day,
            _articles.c.n_words,
            copy.c.payload.label("copy_payload"),
            event.c.payload.label("event_payload"),
            _copies.c.canonical_article_id,
            _members.c.cluster_id,
        )
        .join(copy, (copy.c.article_id == _articles.c.id) & (copy.c.kind == "copy") & (copy.c.scheme == COPY_LABEL))
        .join(
            event, (event.c.article_id == _articles.c.id) & (event.c.kind == "event") & (event.c.scheme == EVENT_LABEL)
        )
        .outerjoin(_copies, _copies.c.article_id == _articles.c.id)
        .outerjoin(_members, _members.c.article_id == _articles.c.id)
        .where(condition)
        .order_by(_articles.c.id)
        .execution_options(yield_per=1000)
    )
    for row in connection.execute(query):
        sketch, terms = _event_from_bytes(row.event_payload)
        yield Entry(
            article_id=row.id,
            published_at=row.published_at,
            day=row.day,
            n_words=row.n_words,
            copy_signature=np.frombuffer(row.copy_payload, dtype=np.uint32),
            event_sketch=sketch,
            terms=terms,
            canonical_id=row.canonical_article_id or row.id,
            cluster_id=row.cluster_id,
        )


# A signature is stored as its numbers, little-endian, 32 bits each: the copy signature as datasketch's MinHash takes
# it for `hashvalues`; the event sketch followed by the hashes and then the weights of the salient terms.


def _copy_to_bytes(fingerprint: Fingerprint) -> bytes:
    return fingerprint.copy_signature.astype("<u4").tobytes()


def _event_to_bytes(fingerprint: Fingerprint) -> bytes:
    terms = fingerprint.terms
    return b"".join(
        (
            fingerprint.event_sketch.astype("<u4").tobytes(),
            terms.hashes.astype("<u4").tobytes(),
            terms.weights.astype("<f4").tobytes(),
        )
    )


def _event_from_bytes(payload: bytes) -> tuple[np.ndarray, SalientTerms]:
    numbers = np.frombuffer(payload, dtype="<u4")
    sketch, rest = numbers[: EVENT_SCHEME.length], numbers[EVENT_SCHEME.length :]
    hashes, weights = np.split(rest, 2)
    return sketch, SalientTerms(hashes, weights.view("<f4"), ())


@dataclass(slots=True)
class Changes:
    """What a batch changes, gathered in memory and written at once."""

    now: datetime
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
    words: dict[int, str] = field(default_factory=dict)  # salient terms of the articles at hand, by hash

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
            "text_sha256": text_sha256(article),
            "source_file_id": file_id,
            "record_no": article.record_no,
        }
        if revision:
            self.revised.append({"article": article_id, **row})
        else:
            self.articles.append({"id": article_id, "revision": 1, "first_seen_at": self.now, **row})
        for kind, scheme, payload in (
            ("copy", COPY_LABEL, _copy_to_bytes(fingerprint)),
            ("event", EVENT_LABEL, _event_to_bytes(fingerprint)),
        ):
            self.signatures.append({"article_id": article_id, "kind": kind, "scheme": scheme, "payload": payload})
        self.words.update(zip(fingerprint.terms.hashes.tolist(), fingerprint.terms.words, strict=True))

    def copy(self, article_id: int, canonical_id: int, relation: Relation, shared: Overlap) -> None:
        """Make an article a copy."""
        self.copies[article_id] = {
            "article_id": article_id,
            "canonical_article_id": canonical_id,
            "matched_article_id": canonical_id,
            "relation": relation.value,
            "jaccard": shared.jaccard,
            "containment": shared.containment,
            "evidence": {
                "shared_shingles": shared.shared,
                "shingles": shared.size,
                "canonical_shingles": shared.other_size,
                "share_of_text": round(shared.shared / shared.size, 4),
                "share_of_canonical": round(shared.shared / shared.other_size, 4),
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


def write(connection: Connection, changes: Changes, centre: Callable[[int], tuple[int, Sequence[int]] | None]) -> None:
    """
    Write what a batch changes.

    Args:
        connection: of the transaction that the batch is.
        changes: what to write.
        centre: of a cluster, the article that speaks for it and the hashes of its heaviest terms; None: none is held.
    """
    _write_articles(connection, changes)
    if changes.clusters:
        connection.execute(
            insert(ClusterRow),
            [
                {
                    "id": id_,
                    "status": "open",
                    "keywords": [],
                    "n_articles": 0,
                    "n_originals": 0,
                    "n_outlets": 0,
                    "created_at": changes.now,
                    "updated_at": changes.now,
                }
                for id_ in changes.clusters
            ],
        )
    _replace(connection, CopyRow, changes.copies, {row["id"] for row in changes.articles})
    _write_members(connection, changes)
    if changes.log:
        connection.execute(insert(ClusterLogRow), changes.log)
    _sum_up(connection, changes, centre)


def _write_articles(connection: Connection, changes: Changes) -> None:
    if changes.articles:
        connection.execute(insert(ArticleRow), changes.articles)
    if changes.revised:
        ids = [row["article"] for row in changes.revised]
        a = _articles.c
        for chunk in _chunks(ids):
            old = select(a.id, a.revision, a.title, a.text, a.text_sha256, a.observed_at, a.source_file_id)
            connection.execute(
                insert(ArticleRevision).from_select(
                    ["article_id", "revision", "title", "text", "text_sha256", "observed_at", "source_file_id"],
                    old.where(a.id.in_(chunk)),
                )
            )
            connection.execute(delete(SignatureRow).where(SignatureRow.article_id.in_(chunk)))
        connection.execute(
            update(ArticleRow).where(a.id == bindparam("article")).values(revision=a.revision + 1), changes.revised
        )
    if changes.signatures:
        connection.execute(insert(SignatureRow), changes.signatures)


def _replace(
    connection: Connection, table: type[CopyRow] | type[ClusterMemberRow], rows: Mapping[int, Any], new: set[int]
) -> None:
    for chunk in _chunks([article_id for article_id in rows if article_id not in new]):
        connection.execute(delete(table).where(table.article_id.in_(chunk)))
    present = [row for row in rows.values() if row is not None]
    if present:
        connection.execute(insert(table), present)


def _write_members(connection: Connection, changes: Changes) -> None:
    _replace(connection, ClusterMemberRow, changes.joined, {row["id"] for row in changes.articles})
    if changes.moved:
        rows = [{"article": article, "to_cluster": cluster} for article, cluster in changes.moved.items()]
        to: dict[str, Any] = {"cluster_id": bindparam("to_cluster")}
        connection.execute(
            update(ClusterMemberRow).where(_members.c.article_id == bindparam("article")).values(to), rows
        )
        copies = select(_copies.c.article_id).where(_copies.c.canonical_article_id == bindparam("article"))
        connection.execute(update(ClusterMemberRow).where(_members.c.article_id.in_(copies)).values(to), rows)
    for cluster, into in changes.merged.items():
        while into in changes.merged:
            into = changes.merged[into]
        # Members that are no longer in the window come along too.
        connection.execute(update(ClusterMemberRow).where(_members.c.cluster_id == cluster).values(cluster_id=into))
        connection.execute(
            update(ClusterRow)
            .where((_clusters.c.id == cluster) | (_clusters.c.merged_into == cluster))
            .values(status="merged", merged_into=into, n_articles=0, n_originals=0, n_outlets=0, updated_at=changes.now)
        )


def _sum_up(
    connection: Connection, changes: Changes, centre: Callable[[int], tuple[int, Sequence[int]] | None]
) -> None:
    """Count the members of the clusters touched, and let the right article speak for each."""
    m, a = _members.c, _articles.c
    for chunk in _chunks(sorted(changes.touched - changes.merged.keys())):
        counted = connection.execute(
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
            .where(m.cluster_id.in_(chunk))
            .group_by(m.cluster_id)
        ).all()
        centres = {row.cluster_id: centre(row.cluster_id) or (row.spoke or row.any, ()) for row in counted}
        heads = _heads(connection, [article for article, _ in centres.values()])
        rows = [
            {
                "cluster": row.cluster_id,
                "n_articles": row.n,
                "n_originals": row.originals,
                "n_outlets": row.outlets,
                "first_published_at": row.first,
                "last_published_at": row.last,
                "updated_at": changes.now,
                "canonical_article_id": centres[row.cluster_id][0],
                "title": heads[centres[row.cluster_id][0]].title,
                "lang": heads[centres[row.cluster_id][0]].lang,
                "keywords": [changes.words[h] for h in centres[row.cluster_id][1] if h in changes.words][:8],
            }
            for row in counted
        ]
        if rows:
            connection.execute(update(ClusterRow).where(_clusters.c.id == bindparam("cluster")), rows)
        changed = [row for row in counted if row.spoke is not None and row.spoke != centres[row.cluster_id][0]]
        if changed:
            connection.execute(
                insert(ClusterLogRow),
                [
                    {
                        "happened_at": changes.now,
                        "kind": "canonical",
                        "cluster_id": row.cluster_id,
                        "article_id": centres[row.cluster_id][0],
                        "reason": {"before": row.spoke},
                    }
                    for row in changed
                ],
            )


def _heads(connection: Connection, article_ids: Sequence[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    query = select(_articles.c.id, _articles.c.title, _articles.c.lang).where(_articles.c.id.in_(article_ids))
    return {row.id: row for row in connection.execute(query)}


def _runs(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield the days, ascending, as stretches without a gap."""
    start = previous = None
    for day in days:
        if previous is not None and start is not None and day.toordinal() != previous.toordinal() + 1:
            yield start, previous
            start = day
        start = start or day
        previous = day
    if start is not None and previous is not None:
        yield start, previous


def _chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _KEYS_A_QUERY):
        yield items[start : start + _KEYS_A_QUERY]
