"""Parts common to all queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

KEYS_A_QUERY = 500  # below the limit of bound parameters of every database

_T = TypeVar("_T")


def split_keys(keys: Sequence[_T], size: int = KEYS_A_QUERY) -> Iterator[Sequence[_T]]:
    """Yield keys, as many at a time as fit into one query."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
