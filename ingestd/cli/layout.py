"""The parts of every display: the console, tables of facts, and short forms of times, scores and texts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ingestd.core.source_file import escape_unprintable
from ingestd.query.results import to_json

WIDTH_WITHOUT_TERMINAL = 120  # columns


def open_console() -> Console:
    """Return the console on standard output, as wide as the terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


def print_json(result: object) -> None:
    """Print a result for a program."""
    sys.stdout.buffer.write(to_json(result))
    sys.stdout.buffer.flush()


def print_facts(facts: Mapping[str, object]) -> None:
    """Print facts, one a line."""
    open_console().print(build_facts(facts))


def build_facts(facts: Mapping[str, object]) -> Table:
    """Return a table of names and values."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(name.replace("_", " "), style="dim"), Text(format_value(value)))
    return table


def build_table(*columns: str) -> Table:
    """Return an empty table without lines."""
    return Table(*columns, box=None, header_style="bold")


def format_value(value: object) -> str:
    """Return a value as text: mappings and short items on a line, long items below each other."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {format_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        items = [escape_unprintable(str(item)) for item in value]
        return "\n".join(items) if any(" " in item for item in items) else ", ".join(items)
    return escape_unprintable(str(value))


def format_title(title: str | None) -> str:
    """Return a title fit for a terminal."""
    return escape_unprintable(title or "(no title)")


def format_score(score: float | None) -> str:
    """Return a score with two digits; empty: no score."""
    return "" if score is None else f"{score:.2f}"


def format_time(moment: datetime | None) -> str:
    """Return a time to the minute; empty: no time."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def format_span(first: datetime | None, last: datetime | None) -> str:
    """Return the time from the first to the last moment; empty: a moment is unknown."""
    if first is None or last is None:
        return ""
    return format_time(first) if first == last else f"{format_time(first)} to {format_time(last)}"


def shorten(value: str, width: int) -> str:
    """Return a text on one line, cut to the width."""
    value = " ".join(value.split())
    return value if len(value) <= width else value[: width - 1] + "…"
