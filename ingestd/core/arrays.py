"""Growing arrays, and sets of numbers as sorted arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

# Share by which an array grows: spare capacity wastes memory, growing costs a copy.
_GROWTH = 1 / 8


def ensure_capacity(array: NDArray[_T], size: int) -> NDArray[_T]:
    """Return an array of capacity `size` or more: the same values first, then zeros. The same array if large enough."""
    if size <= array.size:
        return array
    grown = np.zeros(size + int(size * _GROWTH), dtype=array.dtype)
    grown[: array.size] = array
    return grown


def sort_unique(values: NDArray[_T]) -> NDArray[_T]:
    """Return the values in ascending order, without repeats; several times as fast as np.unique."""
    ordered = np.sort(values)
    first = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def sort_unique_with_inverse(values: NDArray[_T]) -> tuple[NDArray[_T], NDArray[np.int64], NDArray[np.int64]]:
    """Return the unique values, ascending; the index of each value among the unique values; the count of each."""
    order = np.argsort(values)
    ordered = values[order]
    first = np.ones(ordered.size, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    inverse = np.empty(ordered.size, dtype=np.int64)
    inverse[order] = np.cumsum(first) - 1
    return ordered[first], inverse, np.diff(np.flatnonzero(first), append=ordered.size)
