"""The command line: reads the settings, calls what does the work, and shows the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingestd import __version__
from ingestd.cli import admin, ingest, query
from ingestd.cli.session import remember

_EVERYWHERE = ("--config", "--db", "--log-format")
_EPILOG = "Everywhere, before or after the command: --config FILE, --db URL, --log-format console|json."

app = typer.Typer(
    help="Watch a folder of news articles. Find copies, and articles on the same event. Query them with SQL.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
show = typer.Typer(help="Everything about one cluster, article or file.", no_args_is_help=True, epilog=_EPILOG)
db = typer.Typer(help="The tables: their version, and bringing them up to date.", no_args_is_help=True, epilog=_EPILOG)
app.add_typer(show, name="show")
app.add_typer(db, name="db")
for command in (
    ingest.run,
    ingest.ingest,
    query.status,
    query.clusters,
    query.why,
    ingest.files,
    ingest.retry,
    query.export,
    admin.rebuild,
    admin.prune,
    query.evaluate,
    admin.check,
    admin.fsck,
):
    app.command(epilog=_EPILOG)(command)
show.command("cluster", epilog=_EPILOG)(query.show_cluster)
show.command("article", epilog=_EPILOG)(query.show_article)
show.command("file", epilog=_EPILOG)(query.show_file)
db.command("upgrade", epilog=_EPILOG)(admin.db_upgrade)
db.command("current", epilog=_EPILOG)(admin.db_current)
db.command("copy", epilog=_EPILOG)(admin.db_copy)


def everywhere_first(arguments: Sequence[str]) -> list[str]:
    """Move the options that are allowed everywhere in front of the command, where the parser expects them."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in _EVERYWHERE:
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        elif argument.startswith(tuple(f"{name}=" for name in _EVERYWHERE)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


@app.callback(invoke_without_command=True)
def everywhere(
    config: Annotated[
        Path | None, typer.Option(help="Settings file.  [default: config/ingestd.toml, if there]")
    ] = None,
    db: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of the database.  [default: sqlite:///data/ingestd.db]")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Remember what was given for all commands."""
    if version:
        typer.echo(f"ingestd {__version__}")
        raise typer.Exit
    database = {"database": {"url": db}} if db is not None else {}
    remember(config, database | ({"log": {"format": log_format}} if log_format is not None else {}))
