"""`python -m ingestd` and the command `ingestd`."""

from __future__ import annotations

from ingestd.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="ingestd")


if __name__ == "__main__":
    main()
