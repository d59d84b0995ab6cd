"""`python -m ingestd` and the command `ingestd`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_INTERRUPTED = 130  # as shells report an end by SIGINT: 128 + 2


def main() -> None:
    """Run the command line. A signal during the imports ends the process without a word: nothing was begun."""
    signal.signal(signal.SIGINT, _end_at_once)
    if "run" in sys.argv:
        signal.signal(signal.SIGTERM, _end_at_once)
    from ingestd.cli import app

    app(prog_name="ingestd")


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    """End the process before anything was begun; not by an exception, which an import might swallow or report."""
    os._exit(_INTERRUPTED if number == signal.SIGINT else 0)


if __name__ == "__main__":
    main()
