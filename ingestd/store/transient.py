"""Faults that pass, told apart by the code of the database: the surroundings are at fault, and no value is."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

# SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html: classes and single codes.
_CLASSES = frozenset(
    {
        "08",  # the connection
        "28",  # the password is being changed, or pg_hba.conf
        "53",  # out of disk, memory or connections
        "58",  # an error of the system, such as input and output
    }
)
_STATES = frozenset(
    {
        "25006",  # read-only: a standby that is not promoted yet
        "25P03",  # idle in a transaction for too long
        "3D000",  # no such database: being restored
        "40001",  # serialization failure
        "40003",  # the end of the statement is unknown
        "40P01",  # deadlock
        "55P03",  # a lock is not available
        "57014",  # cancelled, or out of time
        "57P01",  # shut down by an administrator
        "57P02",  # shut down by a crash
        "57P03",  # starting, or stopping
        "57P04",  # the database was dropped
        "57P05",  # idle for too long
    }
)
# Primary result codes of SQLite, https://www.sqlite.org/rescode.html
_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,  # the file system was mounted anew
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,  # a race for the locks of the log
    }
)
_PRIMARY = 0xFF  # the part of an extended result code that is the primary code


def is_transient(error: DBAPIError) -> bool:
    """
    Tell whether the same work may succeed later: the database is away, full, locked or read-only.

    A value that is too long for an index, for example, has another code, although the driver raises the same class.
    """
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorcode", 0) & _PRIMARY in _SQLITE_CODES
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state is None:  # no answer of a server: the connection failed
        return isinstance(error, (OperationalError, InterfaceError))
    return state[:2] in _CLASSES or state in _STATES
