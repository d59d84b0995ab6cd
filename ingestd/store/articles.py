"""What is known of arriving articles, and what the window is filled with: read in bulk, never one article at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, func, select, union_all, update

from ingestd.core.article import Article
from ingestd.core.fingerprint import COPY_LABEL, COPY_SCHEME, EVENT_LABEL, EVENT_SCHEME, Fingerprint
from ingestd.core.lsh.minhash import SignatureScheme
from ingestd.core.window.columns import (
    RaggedArray,
    WindowColumns,
    copy_keys,
    days_since_1970,
    event_keys,
    outlet_hashes,
)
from ingestd.store.tables import (
    ArticleRevision,
    ArticleRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    CorpusState,
    SignatureRow,
)

_KEYS_A_QUERY = 500  # below the limit of bound parameters of every database
_OUTLETS_A_QUERY = 40
_ENTRIES_AT_A_TIME = 500  # 2 MB
_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_clusters = ClusterRow.__table__
_members = ClusterMemberRow.__table__
_signatures = SignatureRow.__table__
_T = TypeVar("_T")


@dataclass(slots=True)
class Known:
    """An article that is in the database."""

    article_id: int
    outlet: str | None
    texts: set[str]  # SHA-256 of every text that it has or had


class Identities:
    """
    Which arriving articles are known already.

    Same canonical URL: the same article. No URL: the same id from the same outlet. Neither: equal text, unless the
    outlet says that it is another. A text that the article had before is no news either: scrapers come upon old pages,
    and a file that was interrupted half-way is read again from its beginning.
    """

    def __init__(self, connection: Connection, articles: Sequence[tuple[Article, str]]) -> None:
        """Look all of them up at once; each comes with the SHA-256 of its text."""
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
            (_articles.c.url_canonical, {a.url_canonical for a, _ in articles if a.url_canonical}),
            (_articles.c.external_id, {a.external_id for a, _ in articles if a.external_id and not a.url_canonical}),
            (_articles.c.text_sha256, {sha256 for a, sha256 in articles if not a.url_canonical and not a.external_id}),
        ):
            for chunk in chunks(sorted(keys)):
                for row in connection.execute(select(*columns).where(column.in_(chunk)).order_by(_articles.c.id)):
                    self._remember(row.id, row.outlet, row.text_sha256, row.url_canonical, row.external_id)
        self._remember_revisions(connection)

    def known(self, article: Article, sha256: str) -> Known | None:
        """Return the article that this one is, if it is known."""
        if article.url_canonical:
            return self._by_url.get(article.url_canonical)
        if article.external_id:
            return self._by_id.get((article.outlet or "", article.external_id))
        for known in self._by_text.get(sha256, ()):
            if article.outlet is None or known.outlet is None or article.outlet == known.outlet:
                return known
        return None

    def add(self, article_id: int, article: Article, sha256: str) -> None:
        """Remember an article that has just been given an id."""
        self._remember(article_id, article.outlet, sha256, article.url_canonical, article.external_id)

    def _remember_revisions(self, connection: Connection) -> None:
        known = {k.article_id: k for k in (*self._by_url.values(), *self._by_id.values())}
        revisions = ArticleRevision.__table__.c
        for chunk in chunks(sorted(known)):
            query = select(revisions.article_id, revisions.text_sha256).where(revisions.article_id.in_(chunk))
            for row in connection.execute(query):
                known[row.article_id].texts.add(row.text_sha256)

    def _remember(
        self, article_id: int, outlet: str | None, sha256: str, url: str | None, external_id: str | None
    ) -> None:
        known = Known(article_id, outlet, {sha256})
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


@dataclass(frozen=True, slots=True)
class CorpusVersion:
    """Which batch a transaction is, and what has happened to the corpus as a whole."""

    batch: int
    generation: int  # rises when all articles are decided anew
    pruned_before: date | None
    pruned_batch: int


def next_batch(connection: Connection, **also: Any) -> CorpusVersion:
    """Number a batch; return the state of the corpus with `also`, columns of corpus_state, set."""
    state = CorpusState.__table__.c
    values = {"batch": state.batch + 1, **also}
    row = connection.execute(update(CorpusState).values(values).returning(*_state_columns())).one()
    return CorpusVersion(*row)


def state(connection: Connection) -> CorpusVersion:
    """Return the state of the corpus as the last batch left it."""
    return CorpusVersion(*connection.execute(select(*_state_columns())).one())


def _state_columns() -> tuple[Any, ...]:
    c = CorpusState.__table__.c
    return c.batch, c.generation, c.pruned_before, c.pruned_batch


@dataclass(frozen=True, slots=True)
class StoredAssignment:
    """Where an article belongs, as it stands in the database."""

    article_id: int
    canonical_id: int
    cluster_id: int
    revised: bool  # it has had another text


def count_since(connection: Connection, batch: int) -> int:
    """Return how many articles were decided after a batch."""
    return connection.execute(select(func.count()).where(_members.c.batch > batch)).scalar_one()


def decided_since(connection: Connection, batch: int) -> list[StoredAssignment]:
    """Return all articles that were decided after a batch, new ones and those that went elsewhere."""
    return _decided(connection, _members.c.batch > batch)


def decided_of(connection: Connection, article_ids: Sequence[int]) -> list[StoredAssignment]:
    """Return where some articles belong, also those that the window cannot hold."""
    return [one for chunk in chunks(article_ids) for one in _decided(connection, _members.c.article_id.in_(chunk))]


def _decided(connection: Connection, condition: Any) -> list[StoredAssignment]:
    query = (
        select(_members.c.article_id, _members.c.cluster_id, _copies.c.canonical_article_id, _articles.c.revision)
        .join(_articles, _articles.c.id == _members.c.article_id)
        .outerjoin(_copies, _copies.c.article_id == _members.c.article_id)
        .where(condition)
        .order_by(_members.c.article_id)
    )
    return [
        StoredAssignment(row.article_id, row.canonical_article_id or row.article_id, row.cluster_id, row.revision > 1)
        for row in connection.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text, and where it stood."""

    text: str
    headline: str  # the first line where there is none
    outlet: str | None

    @classmethod
    def of(cls, title: str | None, text: str, outlet: str | None) -> StoredText:
        """Return the text that is compared of an article: the headline where it holds nothing else."""
        body = text or title or ""
        return cls(body, title or body.partition("\n")[0], outlet)


def texts(connection: Connection, article_ids: Iterable[int]) -> dict[int, StoredText]:
    """Return the texts that are compared, by article id."""
    found: dict[int, StoredText] = {}
    for chunk in chunks(sorted(article_ids)):
        rows = connection.execute(_stored_texts().where(_articles.c.id.in_(chunk)))
        found.update({row.id: StoredText.of(row.title, row.text, row.outlet) for row in rows})
    return found


def last_of_outlets(connection: Connection, outlets: Iterable[str], n: int) -> dict[str, list[StoredText]]:
    """Return the n texts of each outlet that were stored last, oldest first."""
    found: dict[str, list[StoredText]] = {outlet: [] for outlet in outlets}
    for chunk in chunks(sorted(found), _OUTLETS_A_QUERY):
        newest = (
            _stored_texts().where(_articles.c.outlet == outlet).order_by(_articles.c.id.desc()).limit(n).subquery()
            for outlet in chunk
        )
        for row in sorted(connection.execute(union_all(*(select(one) for one in newest))), key=lambda row: row.id):
            found[row.outlet].append(StoredText.of(row.title, row.text, row.outlet))
    return found


def _stored_texts() -> Select[tuple[int, str | None, str, str | None]]:
    return select(_articles.c.id, _articles.c.title, _articles.c.text, _articles.c.outlet)


@dataclass(frozen=True, slots=True)
class IdPartition:
    """One of several parts of some articles: of stretches of so many ids, those whose number leaves this rest."""

    rest: int
    of: int
    stretch: int

    def condition(self) -> ColumnElement[bool]:
        """Return what its articles fulfil, for a query."""
        return _articles.c.id // self.stretch % self.of == self.rest


def entries_of_days(
    connection: Connection, days: Sequence[date], before: int, share: IdPartition | None = None
) -> Iterator[WindowColumns]:
    """Yield the stored articles of some days with ids below `before`, some at a time, for the window."""
    for condition in _of_days(days, before):
        # The order of the index: to sort a million by their ids would take half as long as to read them.
        yield from _entries(connection, _shared(condition, share), _articles.c.day)


def count_of_days(connection: Connection, days: Sequence[date], before: int) -> int:
    """Return how many articles with ids below `before` are stored of some days."""
    counts = (connection.execute(select(func.count()).where(c)).scalar_one() for c in _of_days(days, before))
    return sum(counts)


def entries_from(connection: Connection, first: int, share: IdPartition | None = None) -> Iterator[WindowColumns]:
    """Yield the articles with this id and all that were stored after it, some at a time, for the window."""
    yield from _entries(connection, _shared(_articles.c.id >= first, share))


def count_from(connection: Connection, first: int) -> int:
    """Return how many articles have this id or a later one."""
    return connection.execute(select(func.count()).where(_articles.c.id >= first)).scalar_one()


def _shared(condition: ColumnElement[bool], share: IdPartition | None) -> ColumnElement[bool]:
    return condition if share is None else condition & share.condition()


def _of_days(days: Sequence[date], before: int) -> Iterator[ColumnElement[bool]]:
    return (_articles.c.day.between(first, last) & (_articles.c.id < before) for first, last in _runs(days))


def entries_of(connection: Connection, article_ids: Sequence[int]) -> Iterator[WindowColumns]:
    """Yield some stored articles for the window."""
    for chunk in chunks(article_ids):
        yield from _entries(connection, _articles.c.id.in_(chunk))


def _entries(connection: Connection, condition: Any, *order: Any) -> Iterator[WindowColumns]:
    copy, event = _signatures.alias("copy"), _signatures.alias("event")
    query = (
        select(
            _articles.c.id,
            _articles.c.published_at,
            _articles.c.day,
            _articles.c.n_words,
            _articles.c.outlet,
            copy.c.payload,
            event.c.payload,
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
        .order_by(*order, _articles.c.id)
        .execution_options(yield_per=_ENTRIES_AT_A_TIME)
    )
    for rows in connection.execute(query).partitions():
        ids, published, days, n_words, outlets, copies, events, canonical, clusters = zip(*rows, strict=True)
        copy_signatures, samples = _parted(copies, COPY_SCHEME)
        event_sketches, vectors = _parted(events, EVENT_SCHEME)
        yield WindowColumns(
            ids=np.array(ids, dtype=np.int64),
            published=days_since_1970(published),
            days=np.array([day.toordinal() for day in days], dtype=np.int32),
            n_words=np.array(n_words, dtype=np.int32),
            outlets=outlet_hashes(outlets),
            copy_keys=copy_keys(copy_signatures),
            samples=_rows_of(samples),
            event_keys=event_keys(event_sketches),
            terms=_rows_of([vector[: len(vector) // 2] for vector in vectors]),
            weights=np.frombuffer(b"".join([vector[len(vector) // 2 :] for vector in vectors]), dtype="<f4"),
            canonical=np.array([speaker or own for speaker, own in zip(canonical, ids, strict=True)], dtype=np.int64),
            clusters=np.array([cluster or 0 for cluster in clusters], dtype=np.int64),
        )


def _parted(payloads: Sequence[bytes], scheme: SignatureScheme) -> tuple[NDArray[np.uint32], list[bytes]]:
    """Return the signatures that payloads begin with, a row each, and what follows in each."""
    size = 4 * scheme.length
    signatures = np.frombuffer(b"".join([payload[:size] for payload in payloads]), dtype="<u4")
    return signatures.reshape(len(payloads), scheme.length), [payload[size:] for payload in payloads]


def _rows_of(payloads: Sequence[bytes]) -> RaggedArray:
    counts = np.array([len(payload) // 4 for payload in payloads], dtype=np.int64)
    return RaggedArray(np.frombuffer(b"".join(payloads), dtype="<u4"), counts)


# A signature is stored as its numbers, little-endian, 32 bits each: the copy signature as datasketch's MinHash takes
# it for `hashvalues`, followed by the sample of the shingles; the event sketch followed by the hashes and then the
# weights of the salient terms.


def copy_to_bytes(fingerprint: Fingerprint) -> bytes:
    """Return a copy signature and the sample of the shingles as they are stored."""
    return (
        fingerprint.copy_signature.astype("<u4", copy=False).tobytes()
        + fingerprint.sample.astype("<u4", copy=False).tobytes()
    )


def event_to_bytes(fingerprint: Fingerprint) -> bytes:
    """Return an event sketch with its terms as they are stored."""
    terms = fingerprint.terms
    return b"".join(
        (
            fingerprint.event_sketch.astype("<u4", copy=False).tobytes(),
            terms.hashes.astype("<u4", copy=False).tobytes(),
            terms.weights.astype("<f4", copy=False).tobytes(),
        )
    )


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


def chunks(items: Sequence[_T], size: int = _KEYS_A_QUERY) -> Iterator[Sequence[_T]]:
    """Yield keys, as many at a time as fit into one query."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
