"""A progress bar in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ingestd.core.progress import Advance, ShowProgress, hide_progress


def choose_progress(*, as_json: bool) -> ShowProgress:
    """Return the bar where a person watches; otherwise a display that shows nothing."""
    return hide_progress if as_json or not sys.stderr.isatty() else show_bar


@contextmanager
def show_bar(what: str, total: int | None, /) -> Iterator[Advance]:
    """Show a bar on standard error until the block ends."""
    from rich.markup import escape
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from ingestd.cli.layout import open_console

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=open_console(to_errors=True)) as progress:
        task = progress.add_task(what, total=total)

        def advance(done: int, label: str | None = None) -> None:
            progress.update(
                task, completed=done, description=None if label is None else escape(label)
            )  # a file name is no markup

        yield advance
