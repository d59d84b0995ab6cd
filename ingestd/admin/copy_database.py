"""A corpus moved to another database: every row of every table, ids kept, and compared at the end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Integer, Table, delete, func, insert, select

from ingestd.errors import CannotStartError, IngestdError
from ingestd.progress_bar import Advance, bar
from ingestd.store.database import Database
from ingestd.store.tables import Base, ClusterRow, CorpusState, SourceFile

_ROWS_AT_A_TIME = 1000


def move(source: Database, target: Database, *, progress: bool) -> dict[str, int]:
    """
    Copy all rows from one database into another, which must be empty, in one transaction.

    Returns:
        How many rows of each table were copied.

    Raises:
        CannotStartError: there is something in the target.
        IngestdError: what was written is not what was read; nothing is kept of it.
    """
    copied = {str(table.name): 0 for table in _tables()}
    with source.begin_snapshot() as reading, target.begin_write() as writing:
        if writing.execute(select(SourceFile.id).limit(1)).first():
            raise CannotStartError(f"database {target.url!r} is not empty: a corpus is only copied into an empty one")
        writing.execute(delete(CorpusState))
        total = sum(_count(reading, table) for table in _tables())
        with bar("rows", total, shown=progress) as advance:
            for table in _tables():
                for rows in _rows(reading, table).partitions():
                    writing.execute(insert(table), [dict(row._mapping) for row in rows])
                    copied[str(table.name)] += len(rows)
                    advance(sum(copied.values()), table.name)
            set_sequences(writing)
        with bar("rows compared", total, shown=progress) as advance:
            _compare(reading, writing, advance)
    return copied


def set_sequences(connection: Connection) -> None:
    """Let ids that PostgreSQL gives out go on after those that are there."""
    if connection.dialect.name != "postgresql":
        return
    for table in _tables():
        key = table.autoincrement_column
        if key is not None and isinstance(key.type, Integer) and key.autoincrement is not False:
            sequence = func.pg_get_serial_sequence(str(table.name), str(key.name))
            following = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
            connection.execute(select(func.setval(sequence, following, False)))


def _tables() -> list[Table]:
    """Return the tables in an order in which every row finds what it refers to."""
    return Base.metadata.sorted_tables


def _rows(connection: Connection, table: Table) -> Any:
    order = [*table.primary_key]
    if table is ClusterRow.__table__:  # a merged one refers to one that lives
        order.insert(0, table.c.merged_into.is_not(None))
    return connection.execute(select(table).order_by(*order).execution_options(yield_per=_ROWS_AT_A_TIME))


def _compare(reading: Connection, writing: Connection, advance: Advance) -> None:
    done = 0
    for table in _tables():
        if _count(reading, table) != _count(writing, table):
            raise IngestdError(f"{table.name}: not as many rows were written as were read; nothing was kept")
        for one, other in zip(_rows(reading, table), _rows(writing, table), strict=True):
            if tuple(one) != tuple(other):
                raise IngestdError(f"{table.name}: a row is not what was read: {tuple(one)[:2]}; nothing was kept")
            done += 1
            if done % _ROWS_AT_A_TIME == 0:
                advance(done, table.name)


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
