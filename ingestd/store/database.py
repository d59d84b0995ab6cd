"""
The way to the database: engine, transactions, migrations, and one writer at a time.

Deciding where an article belongs is serial: two equal articles must not each open a cluster. On PostgreSQL any number
of processes take turns by an advisory lock that lasts as long as a transaction. On SQLite a lock file beside the
database admits one deciding process; commands that only mend the ledger take turns with it by transaction. What
replaces all that was decided (`rebuild`) works alone on both.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError

from ingestd.errors import CannotStartError, SettingsError
from ingestd.store.migrations import NEWEST
from ingestd.store.wal_checkpoint import Checkpoints

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger()

# What the driver raises when the database is away, full, locked or read-only: wait and try again.
TRANSIENT_DB_ERRORS = (OperationalError, InterfaceError)
# "ingest" and what follows, so that they can be recognised in pg_locks.
_TRANSACTION_LOCK = 0x696E67657374
_PROCESS_LOCK = _TRANSACTION_LOCK + 1
# A host that dies or is cut off in the middle of a transaction holds up all others until the server notices: it looks
# for a sign of life after 10 s without one, and ends a transaction that writes when nothing has been asked in it for a
# minute. The client gives up as soon, and tries again.
_TAKE_TURN = text("SELECT set_config('idle_in_transaction_session_timeout', :idle, true), pg_advisory_xact_lock(:key)")
_IDLE = "60s"
_POSTGRES = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "ingestd",
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=25s",
}


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


_JSON: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": orjson.loads}


class Database:
    """One database, and how to read from it and write to it."""

    def __init__(self, url: str) -> None:
        """Prepare, without connecting, for a SQLAlchemy URL."""
        try:
            self.url = make_url(url)
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            self.engine = _engine(self.url)
        except (ArgumentError, ModuleNotFoundError) as error:
            raise SettingsError(
                f"database.url: {error}; allowed: sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME "
                "with the extra ingestd[postgres] installed"
            ) from error
        self._file: int | None = None
        self._session: Connection | None = None
        path = self.url.database if self.is_sqlite else None
        self._checkpoints = Checkpoints(Path(path)) if path and path != ":memory:" else None

    @contextmanager
    def begin_read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def begin_snapshot(self) -> Iterator[Connection]:
        """A transaction that reads everything as it was at one moment, while others write."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:  # which does so anyway
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        """A transaction that writes, and the only one that does so while it lasts. Commits at the end."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(ingestd_writes=True)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(_TAKE_TURN, {"key": _TRANSACTION_LOCK, "idle": _IDLE})
                yield connection
        if self._checkpoints is not None:
            self._checkpoints.after_commit()

    def prepare(self) -> None:
        """
        Make the database ready for use: create what is missing on an empty one.

        Raises:
            CannotStartError: it cannot be reached, or has another version than this program knows.
        """
        self.make_folder()
        try:
            if self._revision() == NEWEST:
                return
            current, newest = self.read_revisions()
            if current is None and not self._has_tables():
                self.upgrade()
                current = newest
        except SQLAlchemyError as error:
            raise CannotStartError(f"database {self.url!r}: {_first_line(error)}") from error
        if current != newest:
            known = current in self._known_revisions()
            raise CannotStartError(
                f"database {self.url!r} is at version {current}, this program needs {newest}: "
                + ("run `ingestd db upgrade`" if known else "it was made by a newer ingestd; upgrade the program")
            )

    def make_folder(self) -> None:
        """Create the folder of a SQLite file."""
        if self.is_sqlite and self.url.database and self.url.database != ":memory:":
            try:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CannotStartError(f"database {self.url!r}: {error}") from error

    def upgrade(self) -> None:
        """Bring the tables up to this program's version."""
        from alembic import command  # takes as long to import as everything else a command needs

        command.upgrade(self._alembic(), "head")

    def read_revisions(self) -> tuple[str | None, str | None]:
        """Return the version that the tables have and the one that this program needs."""
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        with self.begin_read() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        return current, ScriptDirectory.from_config(self._alembic()).get_current_head()

    def _revision(self) -> str | None:
        """Return the version that the tables have, without loading Alembic; None where that takes a closer look."""
        with self.begin_read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _known_revisions(self) -> set[str]:
        from alembic.script import ScriptDirectory

        return {script.revision for script in ScriptDirectory.from_config(self._alembic()).walk_revisions()}

    def lock(self, *, alone: bool = False) -> None:
        """
        Become a process that decides; freed when the process ends, however it ends.

        Args:
            alone: nobody else may decide meanwhile. On SQLite it is never otherwise.

        Raises:
            CannotStartError: another process is at work on this database.
        """
        if not self.is_sqlite:
            self._lock_server(alone=alone)
        elif self.url.database and self.url.database != ":memory:":
            self._lock_file(Path(f"{self.url.database}.lock"))

    def _lock_file(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
            raise CannotStartError(
                f"another ingestd (process {holder}) is writing to {self.url.database}: "
                "drop the files into its folder instead, or stop it first"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _lock_server(self, *, alone: bool) -> None:
        function = "pg_try_advisory_lock" if alone else "pg_try_advisory_lock_shared"
        try:
            self._session = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            locked = self._session.execute(text(f"SELECT {function}(:key)"), {"key": _PROCESS_LOCK}).scalar_one()
        except SQLAlchemyError as error:
            raise CannotStartError(f"database {self.url!r}: {_first_line(error)}") from error
        if not locked:
            raise CannotStartError(
                f"another ingestd is writing to {self.url!r}: stop it first"
                if alone
                else f"a rebuild or an upgrade of the tables is at work on {self.url!r}: wait until it has finished"
            )

    def close(self) -> None:
        """Let go of all connections and of the lock."""
        if self._session is not None:
            self._session.invalidate()  # ends the session, and its lock with it
            self._session.close()
            self._session = None
        if self._checkpoints is not None:
            self._checkpoints.close()
        self.engine.dispose()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _has_tables(self) -> bool:
        return bool(inspect(self.engine).get_table_names())

    def _alembic(self) -> Config:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["database"] = self
        return config


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        of_libpq = url.get_driver_name() in ("psycopg", "psycopg2")
        given = {name: value for name, value in _POSTGRES.items() if of_libpq and name not in url.query}
        return create_engine(url, pool_pre_ping=True, connect_args=given, **_JSON)
    engine = create_engine(url, connect_args={"timeout": 30}, **_JSON)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # Leave BEGIN to us: the driver would begin only at the first write, and reads before it would not be covered.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers work while the daemon writes
    cursor.execute("PRAGMA synchronous = FULL")  # a file is archived only after its articles are on the disk
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -16384")  # 16 MiB: what is hot of the indexes of a month of news
    cursor.execute("PRAGMA wal_autocheckpoint = 40000")  # pages, 160 MB: what was not copied beside the work by then
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ingestd_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
