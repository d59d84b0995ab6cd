"""
The parts of every display: the console, tables, and short forms of times, scores and texts.

Everything that a command shows to a person leaves through here, and here control characters become escapes, once. What
an article, a file name or a key of a record contains can therefore neither command the terminal nor imitate a line.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, BinaryIO, cast

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from ingestd.query.results import to_json

WIDTH_WITHOUT_TERMINAL = 120  # columns
# The controls of C0, C1 and DEL begin the commands of a terminal (ECMA-48); the marks of bidirectional text turn the
# order of what follows (Unicode UAX 9); U+2028 and U+2029 end a line; a lone surrogate has no bytes. Tab and line feed
# stay: a text has lines.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_ON_A_LINE = re.compile(rf"[\t\n]|{_UNSAFE.pattern}")


class SafeConsole(Console):
    """A console that shows control characters as escapes. The colours of the program stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a display with escapes in the text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_text(segment.text))


class DataTable(Table):
    """A table of values: a cell is one line, and no markup."""

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """Add a row; a cell that is a string is shown as it is."""
        shown = (Text(escape_line(cell)) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, style=style, end_section=end_section)


def open_console(*, to_errors: bool = False) -> SafeConsole:
    """Return the console on standard output (or standard error), as wide as the terminal."""
    stream = sys.stderr if to_errors else sys.stdout
    return SafeConsole(width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False, stderr=to_errors)


class _EscapingStream(io.RawIOBase):
    """Writes UTF-8 to standard output, with control characters as escapes. Every write holds whole characters."""

    def __init__(self, escape: Callable[[str], str]) -> None:
        self._escape = escape

    def writable(self) -> bool:
        """Return whether the stream can be written: always."""
        return True

    def write(self, data: Any) -> int:
        """Write all of the data."""
        given = bytes(data)
        sys.stdout.buffer.write(self._escape(given.decode()).encode())
        return len(given)

    def flush(self) -> None:
        """Write what is in memory to the terminal."""
        sys.stdout.buffer.flush()


def open_terminal(*, as_json: bool) -> BinaryIO:
    """Return standard output for rows as JSON, or as other text, with control characters as escapes."""
    return cast("BinaryIO", _EscapingStream(_escape_json if as_json else escape_text))


def print_json(result: object) -> None:
    """Print a result for a program; control characters are escaped as JSON escapes."""
    sys.stdout.buffer.write(_escape_json(to_json(result).decode()).encode())
    sys.stdout.buffer.flush()


def print_line(line: str, *, to_errors: bool = False) -> None:
    """Print one line on standard output, or on standard error."""
    typer.echo(escape_line(line), err=to_errors)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print facts, one a line."""
    open_console().print(build_facts(facts))


def build_facts(facts: Mapping[str, object]) -> Table:
    """Return a table of names and values."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(escape_line(name.replace("_", " ")), style="dim"), Text(format_value(value)))
    return table


def build_table(*columns: str) -> DataTable:
    """Return an empty table without lines."""
    return DataTable(*columns, box=None, header_style="bold")


def _escape_json(text: str) -> str:
    """Return a JSON text with control characters as escapes of JSON: the value is the same."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def escape_text(text: str) -> str:
    """Return a text of any number of lines with control characters as escapes."""
    return _UNSAFE.sub(_escape, text)


def escape_line(text: str) -> str:
    """Return a text on one line, with control characters and line breaks as escapes."""
    return _UNSAFE_ON_A_LINE.sub(_escape, text)


def format_value(value: object) -> str:
    """Return a value as text: mappings and short items on a line, long items below each other."""
    if isinstance(value, Mapping):
        return ", ".join(f"{escape_line(str(key))} {format_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        items = [escape_line(str(item)) for item in value]
        return "\n".join(items) if any(" " in item for item in items) else ", ".join(items)
    return escape_line(str(value))


def format_title(title: str | None) -> str:
    """Return a title on one line."""
    return escape_line(title or "(no title)")


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
    value = escape_line(" ".join(value.split()))
    return value if len(value) <= width else value[: width - 1] + "…"


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
