"""Ids and names as a person types them."""

from __future__ import annotations

from ingestd.core.source_file import escape_unprintable

_MOST_DIGITS = 18  # of an id: a number of 19 digits may be beyond 63 bits


def parse_id(given: str) -> int | None:
    """Return the number that the text may mean; None: the text cannot be an id."""
    return int(given) if given.isdecimal() and len(given) <= _MOST_DIGITS else None


def parse_text(given: str) -> str:
    """Return a text that a database takes: bytes of the command line that are no UTF-8 become escapes."""
    return given.encode("utf-8", "backslashreplace").decode()


def parse_file_name(given: str) -> str:
    """Return the name of a file as the ledger holds the name."""
    return escape_unprintable(given)
