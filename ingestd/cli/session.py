"""Settings, database and error messages of a command."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from ingestd.cli.options import get_options
from ingestd.errors import CannotStartError, IngestdError, NotFoundError, SettingsError

if TYPE_CHECKING:  # imported when a command runs: --help stays quick
    from sqlalchemy import Connection

    from ingestd.settings import Settings
    from ingestd.store.database import Database

_Kind = TypeVar("_Kind", bound=StrEnum)
_PATHS_OF_SETTINGS = "ingestd.paths_of_settings"  # a key of `ctx.meta`
_COLLECT_AFTER = 50_000  # objects allocated and not freed


def read_settings(ctx: typer.Context, watch: Sequence[Path] | None = None) -> Settings:
    """Read the settings, as they are now."""
    from ingestd import settings

    options = get_options(ctx)
    watched = {"watch": {"roots": list(watch)}} if watch else {}
    loaded = settings.load_settings(options.config, {**options.to_settings(), **watched})
    ctx.meta[_PATHS_OF_SETTINGS] = [*loaded.watch.roots, *filter(None, [loaded.database.file])]
    return loaded


def load_settings(ctx: typer.Context, watch: Sequence[Path] | None = None) -> Settings:
    """Read the settings, and configure the log."""
    from ingestd import log_config

    settings = read_settings(ctx, watch)
    log_config.configure_logging(settings.log.format, settings.log.level)
    return settings


@contextmanager
def open_database(settings: Settings, *, prepare: bool = True) -> Iterator[Database]:
    """
    Open the database of the settings, and close the database at the end.

    Args:
        settings: in force.
        prepare: check that there is a corpus of the version of the program. Nothing is created.

    Raises:
        IngestdError: the database is away, or is no database.
    """
    from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError

    from ingestd.store.database import Database

    database = Database(settings.database.url)
    try:
        if prepare:
            database.prepare(create=False)
        yield database
    except DatabaseError as error:
        # The class itself: a damaged file. The other classes below it are a fault of the program, and loud.
        if type(error) is DatabaseError or isinstance(error, OperationalError):
            raise IngestdError(f"database {database.name}: {database.describe_error(error)}") from error
        raise
    except InterfaceError as error:
        raise IngestdError(f"database {database.name}: {database.describe_error(error)}") from error
    finally:
        database.close()


@contextmanager
def open_for_deciding(settings: Settings, *, alone: bool = False, create: bool = True) -> Iterator[Database]:
    """
    Open the database as a process that decides.

    Args:
        settings: in force.
        alone: as the only such process.
        create: an empty database where there is none.
    """
    # The objects of a batch live until the batch is written, and the window for days: to search all of them for
    # garbage as often as by default takes a twentieth of the time.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    with open_database(settings, prepare=False) as database:
        if create:
            database.make_folder()
        else:
            database.refuse_missing()
        database.lock(alone=alone)
        database.prepare(create=create)
        yield database


@contextmanager
def open_for_reading(ctx: typer.Context) -> Iterator[Connection]:
    """Open the database and a transaction that reads."""
    with report_errors(ctx), open_database(load_settings(ctx)) as database, database.begin_read() as connection:
        yield connection


@contextmanager
def report_errors(ctx: typer.Context) -> Iterator[None]:
    """
    Print an expected error as one sentence, and exit: with 2 if nothing was done, otherwise with 1.

    An error of the system is expected for a path that the user named, and elsewhere a fault of the program.
    """
    try:
        yield
    except (SettingsError, CannotStartError, NotFoundError) as error:
        _print_error(str(error))
        raise typer.Exit(2) from error
    except IngestdError as error:
        _print_error(str(error))
        raise typer.Exit(1) from error
    except OSError as error:
        if not isinstance(error.filename, (str, bytes)) or not _is_named_by_user(ctx, error.filename):
            raise
        _print_error(f"{os.fsdecode(error.filename)}: {error.strerror}")
        raise typer.Exit(1) from error


def _is_named_by_user(ctx: typer.Context, path: str | bytes) -> bool:
    """Tell whether a path is the value of a parameter, or a folder or file of the settings."""
    named: list[object] = [get_options(ctx).config, *ctx.meta.get(_PATHS_OF_SETTINGS, ())]
    for value in ctx.params.values():
        named += value if isinstance(value, list) else [value]
    known = {os.path.realpath(value) for value in named if isinstance(value, (str, Path))}
    return os.path.realpath(os.fsdecode(path)) in known


def _print_error(message: str) -> None:
    from ingestd.cli import layout

    for number, line in enumerate(message.split("\n")):  # a line for each wrong setting
        layout.print_line(f"ingestd: {line}" if number == 0 else line, to_errors=True)


def start_readers(settings: Settings) -> None:
    """Start the fork server before the heavy imports, which take as long."""
    if settings.ingest.workers:
        from ingestd.workers import forkserver

        forkserver.start_server()


def refuse_foreign_folders(roots: Sequence[Path]) -> None:
    """Refuse to start where `.ingestd` is a link or belongs to another user: files would go where that user wants."""
    from ingestd.inbox.beneath import check_own_folder

    for root in roots:
        try:
            check_own_folder(root)
        except OSError as error:
            if root.is_dir():  # else the missing folder is reported by those who need it
                raise CannotStartError(error.strerror) from error


def parse_kind(kinds: type[_Kind], given: str, option: str) -> _Kind:
    """Return the value that an option names, or list the allowed values."""
    try:
        return kinds(given)
    except ValueError as error:
        raise CannotStartError(f"{option} {given}: allowed are {', '.join(kinds)}") from error
