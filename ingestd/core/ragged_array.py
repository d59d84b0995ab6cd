"""Rows of different lengths in one array: a ragged array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RaggedArray:
    """Numbers of many rows, one row after the other, and the length of each row."""

    numbers: NDArray[np.uint32]
    counts: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: Sequence[NDArray[np.uint32]]) -> RaggedArray:
        """Concatenate rows."""
        counts = np.array([row.size for row in rows], dtype=np.int64)
        return cls(np.concatenate(rows) if rows else np.zeros(0, dtype=np.uint32), counts)

    @classmethod
    def from_bytes(cls, rows: Sequence[bytes]) -> RaggedArray:
        """Concatenate rows that are stored as little-endian numbers of 32 bits."""
        counts = np.array([len(row) // 4 for row in rows], dtype=np.int64)
        return cls(np.frombuffer(b"".join(rows), dtype="<u4"), counts)

    def select(self, mask: NDArray[np.bool_]) -> RaggedArray:
        """Return the rows for which the mask is true."""
        return RaggedArray(self.numbers[np.repeat(mask, self.counts)], self.counts[mask])
