"""Copy a corpus into another database: every row of every table, with the same ids, compared at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Integer, Table, delete, func, insert, select

from ingestd.core.progress import Advance, ShowProgress, hide_progress
from ingestd.errors import CannotStartError, IngestdError
from ingestd.store.database import Database
from ingestd.store.tables import Base, ClusterRow, CorpusState, SourceFile

_ROWS_AT_A_TIME = 1000


def copy_database(
    source: Database,
    target: Database,
    *,
    show_progress: ShowProgress = hide_progress,
    compare: Callable[[Connection, Connection, Advance], None] | None = None,
) -> dict[str, int]:
    """
    Copy all rows from one database into an empty database, in one transaction.

    Args:
        source: read as at one moment.
        target: with all tables and no rows.
        show_progress: shows the number of rows.
        compare: called with both transactions at the end; None: compare every row.

    Returns:
        The number of rows of each table.

    Raises:
        CannotStartError: the target has rows.
        IngestdError: the written rows differ from the rows read; nothing is kept.
    """
    copied = {str(table.name): 0 for table in _list_tables()}
    with source.begin_snapshot() as reader, target.begin_write() as writer:
        if writer.execute(select(SourceFile.id).limit(1)).first():
            raise CannotStartError(f"database {target.name} is not empty: a corpus is only copied into an empty one")
        writer.execute(delete(CorpusState))
        total = sum(_count_rows(reader, table) for table in _list_tables())
        with show_progress("rows", total) as advance:
            for table in _list_tables():
                for rows in _read_rows(reader, table).partitions():
                    writer.execute(insert(table), [dict(row._mapping) for row in rows])
                    copied[str(table.name)] += len(rows)
                    advance(sum(copied.values()), table.name)
            set_sequences(writer)
        with show_progress("rows compared", total) as advance:
            (compare or compare_rows)(reader, writer, advance)
    return copied


def compare_rows(reader: Connection, writer: Connection, advance: Advance) -> None:
    """
    Compare every row of two databases.

    Raises:
        IngestdError: a row or a number of rows differs.
    """
    done = 0
    for table in _list_tables():
        if _count_rows(reader, table) != _count_rows(writer, table):
            raise IngestdError(f"{table.name}: not as many rows were written as were read; nothing was kept")
        for one, other in zip(_read_rows(reader, table), _read_rows(writer, table), strict=True):
            if tuple(one) != tuple(other):
                raise IngestdError(f"{table.name}: a row is not what was read: {tuple(one)[:2]}; nothing was kept")
            done += 1
            if done % _ROWS_AT_A_TIME == 0:
                advance(done, table.name)


def set_sequences(connection: Connection) -> None:
    """Let the ids from PostgreSQL go on after the highest id of each table."""
    if connection.dialect.name != "postgresql":
        return
    for table in _list_tables():
        key = table.autoincrement_column
        if key is not None and isinstance(key.type, Integer) and key.autoincrement is not False:
            sequence = func.pg_get_serial_sequence(str(table.name), str(key.name))
            following = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
            connection.execute(select(func.setval(sequence, following, False)))


def _list_tables() -> list[Table]:
    """Return the tables, every table after the tables that its rows refer to."""
    return Base.metadata.sorted_tables


def _read_rows(connection: Connection, table: Table) -> Any:
    order = [*table.primary_key]
    if table is ClusterRow.__table__:  # a merged cluster refers to a live cluster
        order.insert(0, table.c.merged_into.is_not(None))
    return connection.execute(select(table).order_by(*order).execution_options(yield_per=_ROWS_AT_A_TIME))


def _count_rows(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
