"""Progress of long work, for who watches it in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Told how much is done, and in what words; None leaves the words as they are.
Advance = Callable[[int, str | None], None]


@contextmanager
def bar(label: str, total: int | None, *, shown: bool) -> Iterator[Advance]:
    """Show a bar on standard error until the block ends."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task(label, total=total)

        def advance(done: int, words: str | None = None) -> None:
            progress.update(task, completed=done, description=words)

        yield advance
