"""Arrays that grow at their end, and sets of numbers as arrays in ascending order."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

# They grow by this share at a time: room not used yet is memory lost, growing is a copy.
_GROWTH = 1 / 8


def ensure_capacity(array: NDArray[_T], size: int) -> NDArray[_T]:
    """Return an array that holds at least `size` values, with the same ones at its beginning and zeros after them."""
    if size <= array.size:
        return array
    grown = np.zeros(size + int(size * _GROWTH), dtype=array.dtype)
    grown[: array.size] = array
    return grown


def sort_unique(values: NDArray[_T]) -> NDArray[_T]:
    """Return the values in ascending order, without repeats. np.unique does the same in several times the time."""
    ordered = np.sort(values)
    first = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def sort_unique_with_inverse(values: NDArray[_T]) -> tuple[NDArray[_T], NDArray[np.int64], NDArray[np.int64]]:
    """Return the values in ascending order, without repeats; which of them each is; and how often each comes."""
    order = np.argsort(values)
    ordered = values[order]
    first = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    which = np.empty(ordered.size, dtype=np.int64)
    which[order] = np.cumsum(first) - 1
    return ordered[first], which, np.diff(np.flatnonzero(first), append=ordered.size)
