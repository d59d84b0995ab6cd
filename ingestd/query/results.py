"""
The results of queries, as values for the command line and for programs. Reads nothing.

The fields stand in the order of the JSON keys, and the names are the names of the columns: both are a contract.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import Row

_Result = TypeVar("_Result")


def to_json(result: object) -> bytes:
    """Encode a result, or a collection of results, as indented JSON with times in ISO 8601."""
    try:
        return orjson.dumps(result, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # the name of a folder is no UTF-8: JSON can say so with escapes, orjson cannot
        return f"{json.dumps(result, default=_to_plain, indent=2)}\n".encode()


def from_row(kind: type[_Result], row: Row[*tuple[Any, ...]], **further: Any) -> _Result:
    """
    Create a result from a row of a table.

    Args:
        kind: a dataclass; every field is a column of the row or is given in `further`.
        row: from the database; columns without a field are left out.
        further: values of the fields that are no columns.
    """
    columns = row._mapping
    names = [field.name for field in fields(kind) if field.name not in further]  # type: ignore[arg-type] # always a dataclass
    return kind(**{name: columns[name] for name in names}, **further)


def _to_plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, date) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusStatus:
    """Size of the corpus and of the index, and the lag of the work."""

    files: Mapping[str, int]  # by state
    articles: int
    copies: int
    clusters: int  # live, with at least one article
    stories: int  # of at least two articles
    articles_in_reach: int  # compared with a new article
    index_bytes: int  # memory of the articles in reach, estimated
    last_stored_at: datetime | None
    oldest_unfinished_s: float | None  # age in seconds; None: no file is waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMember:
    """An article in a cluster."""

    cluster_id: int
    article_id: int
    relation: str  # seed, coverage, copy
    score: float | None  # probability, 0..1; None: the first article of the cluster
    matched_article_id: int | None
    outlet: str | None
    title: str | None
    url: str | None
    published_at: datetime | None
    n_words: int
    external_id: str | None
    copy_relation: str | None  # exact, near, excerpt, expanded; None: no copy
    copy_of: int | None  # id of the canonical article
    file: str  # path below the root
    is_canonical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLogEntry:
    """A change of a cluster."""

    id: int
    happened_at: datetime
    kind: str  # created, joined, left, merged, split, canonical, closed, pruned
    cluster_id: int
    other_cluster_id: int | None
    article_id: int | None
    reason: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterColumns:
    """The columns of a cluster."""

    id: int
    status: str  # open, closed, merged
    merged_into: int | None
    canonical_article_id: int | None
    title: str | None
    lang: str | None
    keywords: Sequence[str]
    n_articles: int
    n_originals: int  # without copies
    n_outlets: int
    first_published_at: datetime | None
    last_published_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCluster(ClusterColumns):
    """A cluster in a listing."""

    members: Sequence[ClusterMember]  # by date


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDetail(ClusterColumns):
    """A cluster with members and history."""

    asked_for: int  # differs from the id after a merge
    members: Sequence[ClusterMember]
    log: Sequence[ClusterLogEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The canonical article of a copy, and the evidence."""

    article_id: int
    canonical_article_id: int
    matched_article_id: int
    relation: str  # exact, near, excerpt, expanded
    jaccard: float
    containment: float
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The cluster of an article, and the evidence."""

    article_id: int
    cluster_id: int
    relation: str
    score: float | None
    matched_article_id: int | None
    evidence: Mapping[str, Any]
    joined_at: datetime
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """An earlier text of an article."""

    article_id: int
    revision: int
    title: str | None
    text: str
    text_sha256: str
    observed_at: datetime
    source_file_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReference:
    """The file of an article."""

    id: int
    root: str
    path: str
    sha256: str | None
    archived_as: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleDetail:
    """An article with text, copies, cluster, file, earlier texts and history."""

    id: int
    external_id: str | None
    url: str | None
    url_canonical: str | None
    outlet: str | None
    title: str | None
    authors: Sequence[str]
    lang: str | None
    lang_confidence: float | None
    published_at: datetime | None
    published_source: str | None
    published_precision: str | None
    first_seen_at: datetime
    observed_at: datetime
    day: date
    n_words: int
    text_sha256: str
    revision: int
    source_file_id: int
    record_no: int
    text: str
    pruned: str | None
    copy: Copy | None  # None: the article is canonical
    copies: Sequence[int]  # ids of the copies of the article
    membership: Membership | None
    file: SourceReference
    revisions: Sequence[Revision]
    log: Sequence[ClusterLogEntry]

    @property
    def cluster_id(self) -> int | None:
        """Id of the cluster; None: the article is in no cluster."""
        return self.membership.cluster_id if self.membership else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One version of a file."""

    id: int
    root: str
    path: str  # below the root
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str | None
    state: str
    reason: str | None
    detail: str | None
    attempts: int
    retry_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    n_articles: int
    article_id: int | None
    archived_as: str | None
    first_seen_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedEntry:
    """A record that was not stored, and the reason."""

    source_file_id: int
    record_no: int
    reason: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDetail(LedgerEntry):
    """One version of a file, with the articles and the rejected records."""

    articles: Sequence[int]  # ids, 1000 at most
    rejected_records: Sequence[RejectedEntry]
