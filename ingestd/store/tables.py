"""
The tables. Queries of users rely on the names and columns: add freely, rename never.

All times are UTC. SQLite keeps no time zone, so times are stored there without one and read back with UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

_TIMES_REMEMBERED = 1024


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, with time zone on the Python side."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """Return the conversion of times for the database, with a cache: a batch writes the same times again."""
        convert = super().bind_processor(dialect)
        return convert and lru_cache(_TIMES_REMEMBERED)(convert)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a time without zone would be a guess and is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without time zone: {value}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Attach UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables, with types that read well in the shell of SQLite."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - as SQLAlchemy reads it


class SourceFile(Base):
    """The ledger: one row for each version of a file, from claim to archive."""

    __tablename__ = "source_files"
    __table_args__ = (
        # One claim at a time on one name; a finished row makes room for a later version of the file.
        Index(
            "uq_source_files_unfinished",
            "root",
            "path_bytes",
            unique=True,
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("ix_source_files_state", "state", "id"),
        Index("ix_source_files_sha256", "sha256"),
        Index("ix_source_files_path", "root", "path_bytes"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    root: Mapped[str]
    path: Mapped[str]  # below the root, printable
    path_bytes: Mapped[bytes] = mapped_column(LargeBinary)  # as in the file system
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    state: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)  # that were the file's own fault or ours
    retry_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)  # claims so far; a commit with an older one changes nothing
    n_articles: Mapped[int] = mapped_column(default=0)
    article_id: Mapped[int | None]  # the article, or the first of many
    archived_as: Mapped[str | None]
    first_seen_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class RejectedRecord(Base):
    """A record left out of a file; the other records of the file were stored."""

    __tablename__ = "rejected_records"

    source_file_id: Mapped[int] = mapped_column(ForeignKey("source_files.id"), primary_key=True)
    record_no: Mapped[int] = mapped_column(primary_key=True)  # from 1; the line number in JSONL
    reason: Mapped[str]
    detail: Mapped[str | None]


class ArticleRow(Base):
    """An article with the present text; earlier texts are in article_revisions."""

    __tablename__ = "articles"
    __table_args__ = (
        Index("uq_articles_url_canonical", "url_canonical", unique=True),
        Index(
            "uq_articles_external_id",
            func.coalesce(text("outlet"), text("''")),
            "external_id",
            unique=True,
            sqlite_where=text("url_canonical IS NULL AND external_id IS NOT NULL"),
            postgresql_where=text("url_canonical IS NULL AND external_id IS NOT NULL"),
        ),
        Index("ix_articles_external_id", "external_id"),
        Index("ix_articles_text_sha256", "text_sha256"),
        Index("ix_articles_day", "day", "id"),
        Index("ix_articles_outlet", "outlet", "id"),
        Index("ix_articles_published_at", "published_at"),
        Index(
            "ix_articles_pruned",
            "pruned",
            sqlite_where=text("pruned IS NOT NULL"),
            postgresql_where=text("pruned IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    external_id: Mapped[str | None]
    url: Mapped[str | None]
    url_canonical: Mapped[str | None]
    outlet: Mapped[str | None]
    title: Mapped[str | None]
    authors: Mapped[list[str]]
    lang: Mapped[str | None]
    lang_confidence: Mapped[float | None]
    published_at: Mapped[datetime | None]
    published_source: Mapped[str | None]
    published_precision: Mapped[str | None]
    first_seen_at: Mapped[datetime]
    observed_at: Mapped[datetime]  # when the present text was first seen
    day: Mapped[date]  # UTC: of publication, or of first sight where that is unknown
    n_words: Mapped[int]
    text_sha256: Mapped[str]
    revision: Mapped[int] = mapped_column(default=1)
    source_file_id: Mapped[int] = mapped_column(ForeignKey("source_files.id"), index=True)
    record_no: Mapped[int]
    text: Mapped[str]  # a late column: SQLite reaches the columns before without reading the text
    pruned: Mapped[str | None]  # signatures, texts: the removed part


class ArticleRevision(Base):
    """An earlier text of an article."""

    __tablename__ = "article_revisions"

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    text: Mapped[str]
    text_sha256: Mapped[str]
    observed_at: Mapped[datetime]
    source_file_id: Mapped[int] = mapped_column(ForeignKey("source_files.id"))


class CopyRow(Base):
    """A copy and the canonical article. An article without a row here is canonical."""

    __tablename__ = "copies"
    __table_args__ = (
        CheckConstraint("jaccard BETWEEN 0 AND 1", name="ck_copies_jaccard"),
        CheckConstraint("containment BETWEEN 0 AND 1", name="ck_copies_containment"),
        CheckConstraint("article_id <> canonical_article_id", name="ck_copies_other"),
    )

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    canonical_article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), index=True)
    matched_article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), index=True)
    relation: Mapped[str]  # exact, near, excerpt, expanded
    jaccard: Mapped[float]
    containment: Mapped[float]
    evidence: Mapped[dict[str, Any]]


class ClusterRow(Base):
    """An event. A merged cluster keeps the row and points to the remaining cluster."""

    __tablename__ = "clusters"
    __table_args__ = (
        Index("ix_clusters_status", "status", "last_published_at"),
        CheckConstraint("(status = 'merged') = (merged_into IS NOT NULL)", name="ck_clusters_merged"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    status: Mapped[str]  # open, closed, merged
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("clusters.id"), index=True)
    canonical_article_id: Mapped[int | None] = mapped_column(ForeignKey("articles.id"), index=True)
    title: Mapped[str | None]
    lang: Mapped[str | None]
    keywords: Mapped[list[str]]
    n_articles: Mapped[int]
    n_originals: Mapped[int]  # without copies
    n_outlets: Mapped[int]
    first_published_at: Mapped[datetime | None]
    last_published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ClusterMemberRow(Base):
    """The cluster of an article, and the evidence. The history is in cluster_log."""

    __tablename__ = "cluster_members"
    __table_args__ = (CheckConstraint("score BETWEEN 0 AND 1", name="ck_cluster_members_score"),)

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    cluster_id: Mapped[int] = mapped_column(ForeignKey("clusters.id"), index=True)
    relation: Mapped[str]  # seed, coverage, copy
    # Probability of the membership, 0..1; of a copy the Jaccard or containment; null: the first article of the cluster.
    score: Mapped[float | None]
    matched_article_id: Mapped[int | None] = mapped_column(ForeignKey("articles.id"), index=True)
    evidence: Mapped[dict[str, Any]]
    joined_at: Mapped[datetime]
    batch: Mapped[int] = mapped_column(BigInteger, server_default="0", index=True)  # of the last change


class ClusterLogRow(Base):
    """The changes of clusters, in order."""

    __tablename__ = "cluster_log"

    id: Mapped[int] = mapped_column(primary_key=True)
    happened_at: Mapped[datetime]
    kind: Mapped[str]  # created, joined, left, merged, split, canonical, closed, pruned
    cluster_id: Mapped[int] = mapped_column(ForeignKey("clusters.id"), index=True)
    other_cluster_id: Mapped[int | None]
    article_id: Mapped[int | None] = mapped_column(ForeignKey("articles.id"), index=True)
    reason: Mapped[dict[str, Any]]


class CorpusState(Base):
    """A single row with the number of changes of the corpus, from which a process learns of decisions by others."""

    __tablename__ = "corpus_state"
    __table_args__ = (CheckConstraint("id = 1", name="ck_corpus_state_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch: Mapped[int] = mapped_column(BigInteger)  # number of the last one that was decided
    generation: Mapped[int] = mapped_column(BigInteger)  # rises when all are decided anew
    pruned_before: Mapped[date | None]  # the latest day of which something was given up
    pruned_batch: Mapped[int] = mapped_column(BigInteger, server_default="0")  # in which that was last done


class SignatureRow(Base):
    """The fingerprint of an article, as bytes. Only equal schemes compare."""

    __tablename__ = "signatures"

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)  # copy, event
    scheme: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
