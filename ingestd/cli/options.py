"""
The options of every command: settings file, database, log format.

Each option may stand before or after the command, and in both places: the last value counts. The values travel in the
context of the command (`ctx.obj`), from the program through a group to the command.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Watch = Annotated[
    list[Path] | None, typer.Option("--watch", metavar="DIR", help="A folder to watch; may be given several times.")
]
Yes = Annotated[
    bool, typer.Option("--yes", help="Watch also what is hardly meant: /, a home folder, the folder of the database.")
]
LARGEST_COUNT = 2**63 - 1  # what a column and a LIMIT of both databases can hold
_EVERYWHERE = {
    "config": Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings file.  [default: config/ingestd.toml, if there]"),
    ],
    "db": Annotated[
        str | None,
        typer.Option(
            "--db", metavar="URL", help="SQLAlchemy URL of the database.  [default: sqlite:///data/ingestd.db]"
        ),
    ],
    "log_format": Annotated[
        str | None, typer.Option("--log-format", metavar="console|json", help="Form of the log on standard error.")
    ],
}


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """Values of the options of every command; None: not given."""

    config: Path | None = None
    db: str | None = None
    log_format: str | None = None

    def override(self, given: GlobalOptions) -> GlobalOptions:
        """Return the options with every value that is given further to the right."""
        return GlobalOptions(
            config=self.config if given.config is None else given.config,
            db=self.db if given.db is None else given.db,
            log_format=self.log_format if given.log_format is None else given.log_format,
        )

    def to_settings(self) -> dict[str, dict[str, Any]]:
        """Return the settings that the options replace, by section."""
        database = {"database": {"url": self.db}} if self.db is not None else {}
        return database | ({"log": {"format": self.log_format}} if self.log_format is not None else {})


def get_options(ctx: typer.Context) -> GlobalOptions:
    """Return the options of every command, as given so far."""
    return ctx.obj if isinstance(ctx.obj, GlobalOptions) else GlobalOptions()


def add_global_options(command: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options of every command to a command or a group.

    Args:
        command: a function whose first parameter is the context.
    """

    @wraps(command)
    def run(ctx: typer.Context, **given: Any) -> None:
        options = GlobalOptions(**{name: given.pop(name) for name in _EVERYWHERE})
        ctx.obj = get_options(ctx).override(options)
        command(ctx, **given)

    signature = inspect.signature(command, eval_str=True)
    further = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _EVERYWHERE.items()
    ]
    parameters = [*signature.parameters.values(), *further]
    # typer reads the options of a command from here.
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # no function declares it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": None}
    return run
