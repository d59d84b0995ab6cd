"""
The changes of a batch as values: matching decides them, the store writes them.

Nothing here knows a table. The store turns each value into rows and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from ingestd.core.article import Article
from ingestd.core.copies.diff import Differences
from ingestd.core.copies.overlap import Overlap
from ingestd.core.copies.verify import Relation
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.stored import StoredText
from ingestd.core.window.columns import WindowRow


@dataclass(frozen=True, slots=True)
class NewArticle:
    """An article with an id of its own, about to be decided on and stored."""

    article_id: int
    article: Article
    fingerprint: Fingerprint
    day: date
    file_id: int  # of the ledger
    revised: bool = False  # the article is known, and this is a new text of the article

    @property
    def stored_text(self) -> StoredText:
        """The text as it will be stored."""
        return StoredText.from_article(self.article.title, self.article.text, self.article.outlet)

    @property
    def window_row(self) -> WindowRow:
        """The article as the window holds it."""
        return WindowRow(
            article_id=self.article_id,
            published_at=self.article.published_at,
            day=self.day,
            n_words=self.fingerprint.n_words,
            outlet=self.article.outlet,
            features=self.fingerprint.features,
            canonical_id=self.article_id,
            cluster_id=None,
        )


@dataclass(frozen=True, slots=True)
class CopyLink:
    """An article is a copy, with the evidence."""

    article_id: int
    canonical_id: int
    matched_id: int
    relation: Relation  # of the copy to the canonical article
    overlap: Overlap  # with the matched article
    differences: Differences  # from the matched article


@dataclass(frozen=True, slots=True)
class ClusterMembership:
    """An article is a member of a cluster, with the evidence."""

    cluster_id: int
    relation: str  # seed, coverage or copy
    score: float | None  # 0..1, None: the article opened the cluster
    matched_id: int | None  # the nearest member
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the log of clusters."""

    kind: str  # created, joined, left, merged, split, canonical or closed
    cluster_id: int
    article_id: int | None = None
    other_cluster_id: int | None = None
    reason: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """A cluster as a whole."""

    cluster_id: int
    n_articles: int = 0
    n_originals: int = 0
    n_outlets: int = 0
    first_published_at: datetime | None = None
    last_published_at: datetime | None = None
    canonical_id: int | None = None
    title: str | None = None
    lang: str | None = None
    keywords: tuple[str, ...] | None = None  # None: as before


@dataclass(slots=True)
class ChangeSet:
    """The changes of a batch, gathered while the batch is decided and written at once."""

    now: datetime
    batch: int  # the number of the batch
    articles: list[NewArticle] = field(default_factory=list)  # new ones, and new texts of known ones
    opened: list[int] = field(default_factory=list)  # new clusters
    copies: dict[int, CopyLink | None] = field(default_factory=dict)  # by article; None: a copy no more
    joined: dict[int, ClusterMembership] = field(default_factory=dict)  # by article
    moved: dict[int, int] = field(default_factory=dict)  # member -> cluster; copies follow, the evidence stays
    merged: dict[int, int] = field(default_factory=dict)  # cluster -> the cluster that it went into
    touched: set[int] = field(default_factory=set)  # clusters that need a new summary
    log: list[LogEntry] = field(default_factory=list)

    def clear_copy(self, article_id: int) -> None:
        """Note that an article is nobody's copy, if it was one."""
        self.copies[article_id] = None

    def join(self, article_id: int, membership: ClusterMembership) -> None:
        """Note that an article becomes a member of a cluster."""
        self.moved.pop(article_id, None)
        self.joined[article_id] = membership
        self.touched.add(membership.cluster_id)

    def move(self, article_id: int, cluster_id: int) -> None:
        """Note that a canonical article moves to another cluster."""
        if article_id in self.joined:
            self.joined[article_id] = replace(self.joined[article_id], cluster_id=cluster_id)
        self.moved[article_id] = cluster_id
        self.touched.add(cluster_id)

    def merge(self, cluster_id: int, into: int) -> None:
        """Note that a cluster without members in the window goes into another."""
        self.merged[cluster_id] = into
        self.touched.discard(cluster_id)
        self.add_log_entry("merged", into, other=cluster_id)

    def add_log_entry(
        self, kind: str, cluster_id: int, *, article: int | None = None, other: int | None = None, **reason: Any
    ) -> None:
        """Add a line to the log of clusters."""
        self.log.append(LogEntry(kind, cluster_id, article, other, reason))

    def resolve_merge(self, cluster_id: int) -> int:
        """Return the cluster that a merged cluster finally went into."""
        into = cluster_id
        while into in self.merged:
            into = self.merged[into]
        return into
