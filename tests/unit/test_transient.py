"""Faults of the surroundings are told by the code of the database, not by the class of the driver."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.store.transient import is_transient


class ServerError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "state", ["08006", "53100", "53300", "40001", "40P01", "55P03", "57P01", "57P03", "58030", None]
)
def test_a_server_that_is_away_full_or_busy_is_waited_for(state: str | None) -> None:
    assert is_transient(OperationalError("COMMIT", {}, ServerError(state)))


@pytest.mark.parametrize("state", ["54000", "22001", "23505", "42P01", "XX000"])
def test_a_value_or_a_statement_that_is_refused_is_not_waited_for(state: str) -> None:
    assert not is_transient(OperationalError("INSERT", {}, ServerError(state)))


def test_without_an_answer_of_the_server_only_the_connection_can_be_at_fault() -> None:
    assert is_transient(InterfaceError("COMMIT", {}, ServerError(None)))
    assert not is_transient(DataError("INSERT", {}, ServerError(None)))


def test_sqlite_says_by_its_code_whether_to_wait(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first, second = (sqlite3.connect(path, timeout=0, isolation_level=None) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    assert is_transient(catch(second, "BEGIN IMMEDIATE"))
    assert not is_transient(catch(second, "SELECT * FROM missing"))
    first.close()
    second.close()


def catch(connection: sqlite3.Connection, statement: str) -> DBAPIError:
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute(statement)
    return OperationalError(statement, {}, caught.value)


def test_a_fault_that_stays_is_raised_at_once() -> None:
    def fail() -> None:
        raise OperationalError("INSERT", {}, ServerError("54000"))

    def pause(_seconds: float) -> bool:
        pytest.fail("waited for a fault that stays")

    with pytest.raises(OperationalError):
        DatabaseRetry(pause=pause, max_pause_s=1, on_failure=lambda: None).call(fail)
