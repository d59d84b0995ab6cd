"""Exact Jaccard similarity and containment of two sets of shingles. Source: Broder 1997."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much two sets of shingles share."""

    shared: int
    size: int  # of the first set
    other_size: int

    @property
    def jaccard(self) -> float:
        """Shared shingles as a share of all, 0..1."""
        return self.shared / (self.size + self.other_size - self.shared)

    @property
    def containment(self) -> float:
        """Shared shingles as a share of the smaller set, 0..1."""
        return self.shared / min(self.size, self.other_size)

    @property
    def turned(self) -> Overlap:
        """The same, seen from the other set."""
        return Overlap(self.shared, self.other_size, self.size)


def overlap(shingles: NDArray[np.uint32], others: NDArray[np.uint32]) -> Overlap:
    """Count what two sets share; both sorted, without repeats, not empty."""
    both = np.concatenate([shingles, others])
    both.sort()  # a fraction of what looking each of them up takes
    return Overlap(int(np.count_nonzero(both[1:] == both[:-1])), shingles.size, others.size)
