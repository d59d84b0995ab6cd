"""
Execute one statement for many rows.

SQLAlchemy turns every row into a dictionary of parameters before the driver is asked, at the cost of the driver's work.
Here a statement is compiled once, and values are converted a column at a time. The price is the use of names
that SQLAlchemy does not document (`positiontup`, `bind_processor`): a test compares the outcome with SQLAlchemy's own,
and runs with the lowest version allowed as well (docs/decisions.md has the figures).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase


@dataclass(frozen=True, slots=True)
class _CompiledStatement:
    sql: str
    names: Sequence[str]  # of the parameters, in their order
    converters: Sequence[Callable[[Any], Any] | None]  # to the types of the driver
    positional: bool  # whether the driver takes parameters by place, and not by name


class BulkStatement:
    """A statement without a result, executed for many rows at a time."""

    def __init__(self, statement: UpdateBase) -> None:
        """Compile nothing yet: the SQL depends on the database and on the columns of the rows."""
        self._statement = statement
        self._compiled: dict[tuple[str, tuple[str, ...]], _CompiledStatement] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute the statement for rows, none or many, all with the same keys."""
        if not rows:
            return
        compiled = self._get_compiled(connection.dialect, tuple(rows[0]))
        columns = []
        for name, convert in zip(compiled.names, compiled.converters, strict=True):
            column = [row[name] for row in rows]
            columns.append(column if convert is None else _convert_column(column, convert))
        values = list(zip(*columns, strict=True))
        if not compiled.positional:
            connection.exec_driver_sql(compiled.sql, [dict(zip(compiled.names, row, strict=True)) for row in values])
        else:
            connection.exec_driver_sql(compiled.sql, values)

    def _get_compiled(self, dialect: Dialect, keys: tuple[str, ...]) -> _CompiledStatement:
        compiled = self._compiled.get((dialect.name, keys))
        if compiled is None:
            sql = self._statement.compile(dialect=dialect, column_keys=list(keys))
            names = (sql.positiontup if sql.positional else list(sql.binds)) or ()
            types = [sql.binds[name].type.dialect_impl(dialect) for name in names]
            converters = [kind.bind_processor(dialect) for kind in types]
            compiled = _CompiledStatement(str(sql), names, converters, bool(sql.positional))
            self._compiled[dialect.name, keys] = compiled
        return compiled


def _convert_column(column: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """Convert the values of a column; a column of one object, as a third of all columns are, is converted once."""
    first = column[0]
    if all(value is first for value in column):
        return [convert(first)] * len(column)
    return list(map(convert, column))
