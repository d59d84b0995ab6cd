"""Stored articles as the window holds them, read in bulk and in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from ingestd.core.features import FEATURES
from ingestd.core.stored import RowSelection
from ingestd.core.window.columns import WindowColumns, convert_to_days, hash_outlets
from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRow, ClusterMemberRow, CopyRow, SignatureRow

_ROWS_AT_A_TIME = 500  # 2 MB
_articles = ArticleRow.__table__
_copies = CopyRow.__table__
_members = ClusterMemberRow.__table__
_signatures = SignatureRow.__table__


@dataclass(frozen=True, slots=True)
class IdPartition:
    """One of several parts of some articles: of stretches of consecutive ids, each `of`-th stretch."""

    rest: int  # number of the part, from 0
    of: int  # parts
    stretch: int  # ids in a row

    def contains(self) -> ColumnElement[bool]:
        """Return the condition that the articles of the part fulfil, for a query."""
        return _articles.c.id // self.stretch % self.of == self.rest


def count_rows(connection: Connection, selection: RowSelection) -> int:
    """Return how many stored articles a selection holds."""
    conditions = _list_conditions(selection)
    return sum(connection.execute(select(func.count()).where(c)).scalar_one() for c in conditions)


def read_rows(
    connection: Connection, selection: RowSelection, partition: IdPartition | None = None
) -> Iterator[WindowColumns]:
    """Yield the articles of a selection, or of a part of the selection, some at a time."""
    # By day in the order of the index: to sort a million by their ids would take half as long as to read them.
    order = () if selection.days is None else (_articles.c.day,)
    for condition in _list_conditions(selection):
        both = condition if partition is None else condition & partition.contains()
        yield from _read(connection, both, order)


def read_rows_of(connection: Connection, article_ids: Sequence[int]) -> Iterator[WindowColumns]:
    """Yield stored articles by their ids."""
    for chunk in split_keys(article_ids):
        yield from _read(connection, _articles.c.id.in_(chunk), ())


def _list_conditions(selection: RowSelection) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the queries that read a selection one after the other."""
    by_id = [_articles.c.id >= selection.first_id] if selection.first_id is not None else []
    if selection.before_id is not None:
        by_id.append(_articles.c.id < selection.before_id)
    if selection.days is None:
        yield and_(True, *by_id)
    else:
        for first, last in _join_days(selection.days):
            yield and_(_articles.c.day.between(first, last), *by_id)


def _read(connection: Connection, condition: ColumnElement[bool], order: Sequence[Any]) -> Iterator[WindowColumns]:
    query = _select_rows().where(condition).order_by(*order, _articles.c.id)
    for rows in connection.execute(query.execution_options(yield_per=_ROWS_AT_A_TIME)).partitions():
        ids, published, days, n_words, outlets, canonical, clusters, *payloads = zip(*rows, strict=True)
        yield WindowColumns(
            ids=np.array(ids, dtype=np.int64),
            published=convert_to_days(published),
            days=np.array([day.toordinal() for day in days], dtype=np.int32),
            n_words=np.array(n_words, dtype=np.int32),
            outlets=hash_outlets(outlets),
            features={f.name: f.decode(stored) for f, stored in zip(FEATURES, payloads, strict=True)},
            canonical=np.array([other or own for other, own in zip(canonical, ids, strict=True)], dtype=np.int64),
            clusters=np.array([cluster or 0 for cluster in clusters], dtype=np.int64),
        )


def _select_rows() -> Select[Any]:
    """Select articles that have all features, each of the present scheme."""
    signatures = [_signatures.alias(f"{feature.name}_signature") for feature in FEATURES]
    a = _articles.c
    columns = (a.id, a.published_at, a.day, a.n_words, a.outlet, _copies.c.canonical_article_id, _members.c.cluster_id)
    query: Select[Any] = select(*columns, *(stored.c.payload for stored in signatures))
    rows: Any = _articles
    for feature, stored in zip(FEATURES, signatures, strict=True):
        same = (stored.c.kind == feature.name) & (stored.c.scheme == feature.scheme)
        rows = rows.join(stored, (stored.c.article_id == a.id) & same)
    rows = rows.outerjoin(_copies, _copies.c.article_id == a.id).outerjoin(_members, _members.c.article_id == a.id)
    return query.select_from(rows)


def _join_days(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield the days, ascending, as stretches without a gap: first and last day."""
    start = previous = None
    for day in days:
        if previous is not None and start is not None and day.toordinal() != previous.toordinal() + 1:
            yield start, previous
            start = day
        start = start or day
        previous = day
    if start is not None and previous is not None:
        yield start, previous
