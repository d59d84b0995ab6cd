"""
One statement for many rows.

SQLAlchemy makes of every row a dictionary of parameters before it asks the driver, which takes as long as the driver
takes to write them. Here a statement is compiled once, and values are converted a column at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    names: Sequence[str]  # of the parameters, in their order
    converters: Sequence[Callable[[Any], Any] | None]  # to what the driver takes
    positional: bool  # whether the driver takes them by place, and not by name


class Bulk:
    """A statement that returns nothing, and is executed for many rows at a time."""

    def __init__(self, statement: UpdateBase) -> None:
        """Compile nothing yet: that depends on the database, and on which columns the rows have."""
        self._statement = statement
        self._compiled: dict[tuple[str, tuple[str, ...]], _Compiled] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for rows, none or many, that all have the same keys."""
        if not rows:
            return
        compiled = self._for(connection.dialect, tuple(rows[0]))
        columns = []
        for name, convert in zip(compiled.names, compiled.converters, strict=True):
            column = [row[name] for row in rows]
            columns.append(column if convert is None else _converted(column, convert))
        values = list(zip(*columns, strict=True))
        if not compiled.positional:
            connection.exec_driver_sql(compiled.sql, [dict(zip(compiled.names, row, strict=True)) for row in values])
        else:
            connection.exec_driver_sql(compiled.sql, values)

    def _for(self, dialect: Dialect, keys: tuple[str, ...]) -> _Compiled:
        known = self._compiled.get((dialect.name, keys))
        if known is None:
            made = self._statement.compile(dialect=dialect, column_keys=list(keys))
            names = made.positiontup if made.positional else list(made.binds)
            types = [made.binds[name].type.dialect_impl(dialect) for name in names or ()]
            converters = [kind.bind_processor(dialect) for kind in types]
            known = _Compiled(str(made), names or (), converters, bool(made.positional))
            self._compiled[dialect.name, keys] = known
        return known


def _converted(column: Sequence[Any], convert: Callable[[Any], Any]) -> list[Any]:
    first = column[0]
    if all(value is first for value in column):  # the time, or nothing, as in a third of all columns
        return [convert(first)] * len(column)
    return list(map(convert, column))
