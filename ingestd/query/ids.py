"""Ids as typed by a person."""

from __future__ import annotations

_MOST_DIGITS = 18  # of an id: a number of 19 digits may be beyond 63 bits


def parse_id(given: str) -> int | None:
    """Return the number that the text may mean; None: the text cannot be an id."""
    return int(given) if given.isdecimal() and len(given) <= _MOST_DIGITS else None
