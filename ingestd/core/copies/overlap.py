"""Exact Jaccard similarity and containment of two sets of shingles. Source: Broder 1997."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Overlap:
    """Sizes of two sets of shingles and of their intersection."""

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

    def swap_sides(self) -> Overlap:
        """Return the overlap as seen from the other set."""
        return Overlap(self.shared, self.other_size, self.size)


def measure_overlap(shingles: NDArray[np.uint32], others: NDArray[np.uint32]) -> Overlap:
    """Count the shingles that two sets share; both sets sorted, without repeats, not empty."""
    both = np.concatenate([shingles, others])
    both.sort()  # takes a fraction of the time of looking up every shingle
    return Overlap(int(np.count_nonzero(both[1:] == both[:-1])), shingles.size, others.size)
