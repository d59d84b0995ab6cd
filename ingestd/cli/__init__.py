"""The command line: reads the settings, calls the work, and shows the result."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import typer.core

from ingestd import __version__
from ingestd.cli import admin, ingest, query
from ingestd.cli.options import add_global_options

_EPILOG = "--config, --db and --log-format may stand before or after the command."
_Commands = Mapping[str, Callable[..., None]]
_COMMANDS: _Commands = {
    "run": ingest.run,
    "ingest": ingest.ingest,
    "status": query.show_status,
    "clusters": query.list_clusters,
    "why": query.explain,
    "files": query.list_files,
    "retry": ingest.retry,
    "export": query.export,
    "rebuild": admin.rebuild,
    "prune": admin.prune,
    "evaluate": query.evaluate,
    "check": admin.check,
    "health": admin.check_health,
    "fsck": admin.check_corpus,
}
_SHOW_COMMANDS: _Commands = {"cluster": query.show_cluster, "article": query.show_article, "file": query.show_file}
# `ClickException`, which some versions of typer have from click, and others hold themselves.
_CommandLineError: Any = typer.BadParameter.__mro__[2]
_DB_COMMANDS: _Commands = {"upgrade": admin.upgrade_tables, "current": admin.show_version, "copy": admin.copy_corpus}


def start_program(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Print the version, if asked for; let signals end a command as usual. The daemon handles signals itself."""
    if ctx.invoked_subcommand != "run":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if version:
        typer.echo(f"ingestd {__version__}")
        raise typer.Exit


def start_group(ctx: typer.Context) -> None:
    """Do nothing: a group only has options."""


class SafeGroup(typer.core.TyperGroup):
    """The commands; an argument that is wrong is shown with escapes, as everything else."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments before the command."""
        with _escape_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Read the other arguments, and run the command."""
        with _escape_usage_errors():
            return super().invoke(*args, **kwargs)


@contextmanager
def _escape_usage_errors() -> Iterator[None]:
    try:
        yield
    except _CommandLineError as error:
        from ingestd.cli.layout import escape_line

        error.message = escape_line(error.message)
        raise


app = typer.Typer(
    cls=SafeGroup,
    help="Watch a folder of news articles. Find copies, and articles on the same event. Query them with SQL.",
    epilog=_EPILOG,
    callback=add_global_options(start_program),
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command in _COMMANDS.items():
    app.command(_name)(add_global_options(_command))
for _group, _help, _commands in (
    ("show", "Everything about one cluster, article or file.", _SHOW_COMMANDS),
    ("db", "The tables: their version, and bringing them up to date.", _DB_COMMANDS),
):
    _commands_of_group = typer.Typer(
        help=_help, epilog=_EPILOG, callback=add_global_options(start_group), no_args_is_help=True
    )
    for _name, _command in _commands.items():
        _commands_of_group.command(_name)(add_global_options(_command))
    app.add_typer(_commands_of_group, name=_group)
