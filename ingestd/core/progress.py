"""The shape of a progress display, for work without knowledge of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

# Called with the number of finished units and a new label; None keeps the label.
Advance = Callable[[int, str | None], None]


class ShowProgress(Protocol):
    """A progress display, such as a terminal bar."""

    def __call__(self, what: str, total: int | None, /) -> AbstractContextManager[Advance]:
        """
        Show the progress of some work until the block ends.

        Args:
            what: label of the work.
            total: number of units; None: unknown.
        """


@contextmanager
def hide_progress(what: str, total: int | None) -> Iterator[Advance]:
    """Show nothing."""

    def ignore(done: int, label: str | None = None) -> None:
        """Take the place of a display."""

    yield ignore
