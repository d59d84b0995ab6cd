"""What every command needs: the settings, the database, and one sentence when something is wrong."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ingestd.errors import CannotStartError, IngestdError, NotFoundError, SettingsError

if TYPE_CHECKING:  # what a command needs, it imports when it runs: --help stays quick
    from sqlalchemy import Connection

    from ingestd.settings import Settings
    from ingestd.store.database import Database

_Kind = TypeVar("_Kind", bound=StrEnum)
_COLLECT_AFTER = 50_000  # objects made and not freed

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Watch = Annotated[
    list[Path] | None, typer.Option("--watch", metavar="DIR", help="A folder to watch; may be given several times.")
]
_given: dict[str, dict[str, Any]] = {}
_config: list[Path] = []


def remember(config: Path | None, given: dict[str, dict[str, Any]]) -> None:
    """Remember what was given for all commands: a settings file, and settings that go before it."""
    _config[:] = [config] if config else []
    _given.clear()
    _given.update(given)


def load(watch: Sequence[Path] | None) -> Settings:
    """Read the settings, as they are now."""
    from ingestd import settings

    overrides = {**_given, **({"watch": {"roots": list(watch)}} if watch else {})}
    return settings.load_settings(_config[0] if _config else None, overrides)


def settings_of(watch: Sequence[Path] | None = None) -> Settings:
    """Read the settings, and log as they say."""
    from ingestd import log_config

    loaded = load(watch)
    log_config.configure_logging(loaded.log.format, loaded.log.level)
    return loaded


@contextmanager
def open_database(settings: Settings, *, prepare: bool = True) -> Iterator[Database]:
    """Open the database that the settings name, and close it."""
    from ingestd.store.database import Database

    database = Database(settings.database.url)
    try:
        if prepare:
            database.prepare()
        yield database
    finally:
        database.close()


def start_readers(settings: Settings) -> None:
    """Begin, before the heavy imports, with what takes as long as they do."""
    if settings.ingest.workers:
        from ingestd.workers import forkserver

        forkserver.start_server()


@contextmanager
def writing_process(settings: Settings, *, alone: bool = False) -> Iterator[Database]:
    """Open the database as a process that decides; `alone`: as the only one."""
    # What a batch makes lives until it is written, and what the window holds for days: to look through all of it for
    # garbage as often as is usual takes a twentieth of the time.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    with open_database(settings, prepare=False) as database:
        database.make_folder()
        database.lock(alone=alone)
        database.prepare()
        yield database


@contextmanager
def reading() -> Iterator[Connection]:
    """Open the database to read from it."""
    with reporting(), open_database(settings_of()) as database, database.begin_read() as connection:
        yield connection


@contextmanager
def reporting() -> Iterator[None]:
    """Say what is wrong in one sentence, and end with 2: nothing was done."""
    try:
        yield
    except (SettingsError, CannotStartError, NotFoundError) as error:
        typer.echo(f"ingestd: {error}", err=True)
        raise typer.Exit(2) from error
    except IngestdError as error:
        typer.echo(f"ingestd: {error}", err=True)
        raise typer.Exit(1) from error


def one_of(kinds: type[_Kind], given: str, option: str) -> _Kind:
    """Return the kind that an option names, or say which there are."""
    try:
        return kinds(given)
    except ValueError as error:
        raise CannotStartError(f"{option} {given}: allowed are {', '.join(kinds)}") from error
