"""`python -m ingestd` and the command `ingestd`."""

from __future__ import annotations

import sys

from ingestd.cli import app, everywhere_first


def main() -> None:
    """Run the command line."""
    app(args=everywhere_first(sys.argv[1:]), prog_name="ingestd")


if __name__ == "__main__":
    main()
