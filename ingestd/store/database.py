"""
The database: engine, transactions, migrations, and one writer at a time.

Decisions about articles are serial: two equal articles must not each open a cluster. On PostgreSQL any number of
processes take turns by an advisory lock for the length of a transaction. On SQLite a lock file beside the database
admits one deciding process; commands that only change the ledger take turns by transaction. A command that replaces
all decisions (`rebuild`) works alone on both databases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import orjson
import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ingestd.errors import CannotStartError, SettingsError
from ingestd.store.migrations import NEWEST
from ingestd.store.sqlite_file import SqliteFile
from ingestd.store.wal_checkpoint import MIN_CHECKPOINT_BYTES, WalCheckpointer

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger()

# The bytes of "ingest", and the number after, so that a person recognises the locks in pg_locks.
_TRANSACTION_LOCK = 0x696E67657374
_PROCESS_LOCK = _TRANSACTION_LOCK + 1
# A host that dies in the middle of a transaction, or loses the network, blocks all others until the server notices: the
# server checks a silent connection after 10 s, and ends a writing transaction after a minute without a statement. The
# client gives up as soon, and tries again.
_TAKE_TURN = text("SELECT set_config('idle_in_transaction_session_timeout', :idle, true), pg_advisory_xact_lock(:key)")
IDLE_TIMEOUT_S = 60
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
# Parameters of sqlite3.connect that a URL can hold; with `uri` all others belong to the address of the file.
_SQLITE_OPTIONS = frozenset(
    {"timeout", "detect_types", "isolation_level", "check_same_thread", "cached_statements", "uri"}
)
_HIDDEN = "***"  # as SQLAlchemy shows the password in a URL
_SECRET_OPTION = re.compile("pass|pwd|secret|token", re.IGNORECASE)  # libpq: password, sslpassword, passfile
_HOW_TO_CREATE = "`ingestd run` and `ingestd ingest` create one, and --db names another"


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


_JSON: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": orjson.loads}


class Database:
    """A database, with transactions that read and transactions that write."""

    def __init__(
        self, url: str, *, idle_timeout_s: int = IDLE_TIMEOUT_S, min_checkpoint_bytes: int = MIN_CHECKPOINT_BYTES
    ) -> None:
        """
        Create the engine without a connection.

        Args:
            url: of SQLAlchemy.
            idle_timeout_s: PostgreSQL ends a writing transaction after this time without a statement.
            min_checkpoint_bytes: SQLite's log is copied into the file from this size on.

        Raises:
            SettingsError: the URL is wrong, or the driver is not installed.
        """
        try:
            self.url = make_url(url)
            if "@" in (self.url.host or ""):
                raise SettingsError("database.url: write @ in a user name or password as %40, and / as %2F")
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            if self.is_sqlite and "uri" not in self.url.query and set(self.url.query) - _SQLITE_OPTIONS:
                raise SettingsError(f"database.url: options of SQLite are {', '.join(sorted(_SQLITE_OPTIONS))}")
            path = self.url.database if self.is_sqlite else None
            self._file = (
                SqliteFile(Path(path)) if path and path != ":memory:" and not path.startswith("file:") else None
            )
            self.engine = _create_engine(self.url, self._file)
            self.name = _hide_secrets(self.url)  # for people and for the log
        except (ArgumentError, ModuleNotFoundError) as error:
            raise SettingsError(
                f"database.url: {error}; allowed: sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME "
                "with the extra ingestd[postgres] installed"
            ) from error
        except (ValueError, TypeError) as error:  # its text may hold a part of the password
            raise SettingsError("database.url: the port, an option or a character is wrong") from error
        self._idle_timeout_s = idle_timeout_s
        self._lock_session: Connection | None = None
        self._checkpointer = WalCheckpointer(self._file.path, min_checkpoint_bytes) if self._file else None

    @contextmanager
    def begin_read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        self.check_file()
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def begin_snapshot(self) -> Iterator[Connection]:
        """Open a transaction that reads the state of one moment, while others write."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:  # SQLite does so in every transaction
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        """Open the only transaction that writes at a time; commit at the end."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(ingestd_writes=True)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(_TAKE_TURN, {"key": _TRANSACTION_LOCK, "idle": f"{self._idle_timeout_s}s"})
                yield connection
                self.check_file()
        if self._checkpointer is not None:
            self._checkpointer.start_if_due()

    def check_file(self) -> None:
        """
        Make sure that the file of SQLite is the file in use; called before each commit, and for each batch of moves.

        Raises:
            DatabaseGoneError: the file was deleted or replaced, or another process has the lock.
        """
        if self._file is not None:
            self._file.check()

    def prepare(self, *, create: bool = True) -> None:
        """
        Make the database ready for use.

        Args:
            create: the folder, the file and the tables, where they are missing.

        Raises:
            CannotStartError: the database cannot be reached, has another version than the program, or is missing and
                not to be created.
        """
        if create:
            self.make_folder()
        else:
            self.refuse_missing()
        try:
            if self._read_revision() == NEWEST:
                return
            current, newest = self.read_revisions()
            if current is None and not self._has_tables():
                if not create:
                    raise CannotStartError(f"database {self.name} holds no corpus; {_HOW_TO_CREATE}")
                self.upgrade()
                current = newest
            elif current is None:  # another process made the tables since the version was read
                current, newest = self.read_revisions()
        except SQLAlchemyError as error:
            raise CannotStartError(f"database {self.name}: {self.describe_error(error)}") from error
        if current != newest:
            known = current in self._list_known_revisions()
            raise CannotStartError(
                f"database {self.name} is at version {current}, this program needs {newest}: "
                + ("run `ingestd db upgrade`" if known else "it was made by a newer ingestd; upgrade the program")
            )

    def describe_error(self, error: Exception) -> str:
        """Return the first line of an error, without the password."""
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        for secret in _list_secrets(self.url):
            first_line = first_line.replace(secret, _HIDDEN)
        return first_line

    def is_missing(self) -> bool:
        """Return whether the file of a SQLite database is not there; a server answers when it is used."""
        path = self.url.database if self.is_sqlite else None
        if not path or path == ":memory:" or path.startswith("file:"):
            return False
        return not Path(path).exists()

    def is_empty(self) -> bool:
        """
        Return whether the database has no tables at all.

        Raises:
            CannotStartError: the database cannot be reached.
        """
        try:
            return not self._has_tables()
        except SQLAlchemyError as error:
            raise CannotStartError(f"database {self.name}: {self.describe_error(error)}") from error

    def refuse_missing(self) -> None:
        """
        Check that the file of a SQLite database is there, and create nothing.

        Raises:
            CannotStartError: the file is missing.
        """
        if self.is_missing():
            raise CannotStartError(f"database {self.name}: no such file, and none was created; {_HOW_TO_CREATE}")

    def make_folder(self) -> None:
        """Create the folder of a SQLite file."""
        if self.is_sqlite and self.url.database and self.url.database != ":memory:":
            try:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CannotStartError(f"database {self.name}: {error}") from error

    def upgrade(self) -> None:
        """
        Upgrade the tables to the version of the program.

        Raises:
            CannotStartError: the tables are those of a newer program.
        """
        from alembic import command  # as slow to import as all other modules of a command together
        from alembic.util import CommandError

        try:
            command.upgrade(self._configure_alembic(), "head")
        except CommandError as error:
            raise CannotStartError(f"database {self.name}: {error}; upgrade the program") from error

    def read_revisions(self) -> tuple[str | None, str | None]:
        """
        Return the version of the tables and the version of the program.

        Raises:
            CannotStartError: the database cannot be reached.
        """
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        try:
            with self.begin_read() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
        except SQLAlchemyError as error:
            raise CannotStartError(f"database {self.name}: {self.describe_error(error)}") from error
        return current, ScriptDirectory.from_config(self._configure_alembic()).get_current_head()

    def _read_revision(self) -> str | None:
        """Return the version of the tables without Alembic; None: only Alembic can tell."""
        with self.begin_read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _list_known_revisions(self) -> set[str]:
        from alembic.script import ScriptDirectory

        return {script.revision for script in ScriptDirectory.from_config(self._configure_alembic()).walk_revisions()}

    def lock(self, *, alone: bool = False) -> None:
        """
        Become a process that decides, until the end of the process.

        Args:
            alone: no other process may decide meanwhile; always so on SQLite.

        Raises:
            CannotStartError: another process is at work on this database.
        """
        if not self.is_sqlite:
            self._lock_server(alone=alone)
        elif self._file is not None:
            self._file.lock()

    def _lock_server(self, *, alone: bool) -> None:
        function = "pg_try_advisory_lock" if alone else "pg_try_advisory_lock_shared"
        try:
            self._lock_session = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            locked = self._lock_session.execute(text(f"SELECT {function}(:key)"), {"key": _PROCESS_LOCK}).scalar_one()
        except SQLAlchemyError as error:
            raise CannotStartError(f"database {self.name}: {self.describe_error(error)}") from error
        if not locked:
            raise CannotStartError(
                f"another ingestd is writing to {self.name}: stop it first"
                if alone
                else f"a rebuild or an upgrade of the tables is at work on {self.name}: wait until it has finished"
            )

    def close(self) -> None:
        """Close all connections, and release the lock."""
        if self._lock_session is not None:
            self._lock_session.invalidate()  # the lock ends with the session
            self._lock_session.close()
            self._lock_session = None
        if self._checkpointer is not None:
            self._checkpointer.close()
        self.engine.dispose()
        if self._file is not None:
            self._file.close()

    def _has_tables(self) -> bool:
        return bool(inspect(self.engine).get_table_names())

    def _configure_alembic(self) -> Config:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["database"] = self
        return config


def _create_engine(url: URL, file: SqliteFile | None) -> Engine:
    if url.get_backend_name() != "sqlite":
        is_libpq = url.get_driver_name() in ("psycopg", "psycopg2")
        given = {name: value for name, value in _POSTGRES.items() if is_libpq and name not in url.query}
        return create_engine(url, pool_pre_ping=True, connect_args=given, **_JSON)
    engine = create_engine(url, connect_args={"timeout": 30}, **_JSON)
    if file is not None:
        event.listen(engine, "do_connect", lambda *_: file.create())
        event.listen(engine, "connect", lambda *_: file.remember())
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # No implicit BEGIN: the driver would begin at the first write, and earlier reads would not be covered.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers work while the daemon writes
    cursor.execute("PRAGMA synchronous = FULL")  # a file is archived only after its articles are on the disk
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -16384")  # 16 MiB: the hot pages of the indexes of a month of news
    cursor.execute("PRAGMA wal_autocheckpoint = 40000")  # pages, 160 MB: the rest after the copies beside the work
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ingestd_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _hide_secrets(url: URL) -> str:
    """Return a URL for people: without the password, wherever the password stands."""
    hidden = {name: _HIDDEN if _SECRET_OPTION.search(name) else value for name, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True).replace(quote(_HIDDEN), _HIDDEN)


def _list_secrets(url: URL) -> list[str]:
    found = [value for name, value in url.query.items() if _SECRET_OPTION.search(name)]
    texts = [text for value in (url.password, *found) for text in ((value,) if isinstance(value, str) else value or ())]
    return [form for text in texts if text for form in (text, quote(text, safe=""), quote_plus(text))]
