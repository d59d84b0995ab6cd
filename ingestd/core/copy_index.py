"""Which articles are worth comparing word for word: those that share a band, or a good part of their shingles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestd.core.bands import Candidates, KeyIndex, band_keys
from ingestd.core.fingerprint import COPY_BANDS, COPY_ROWS

# Share of the smaller sample that two texts have to share: a copy has half of it or more in the mean, a line that all
# pages of an outlet carry is less.
SAMPLE_SHARE = 0.2


class CopyIndex:
    """Bands of the signatures find texts that are much the same; samples of the shingles find parts of longer ones."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bands, self._samples = KeyIndex(), KeyIndex()

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._bands.nbytes + self._samples.nbytes

    @property
    def truncated(self) -> int:
        """How often a bucket was too full to be read to its end."""
        return self._bands.truncated + self._samples.truncated

    def add(self, signatures: NDArray[np.uint32], samples: Sequence[NDArray[np.uint32]]) -> None:
        """Add a batch of articles, which take the next positions; signatures have a row for each."""
        self._bands.add(band_keys(signatures, COPY_BANDS, COPY_ROWS).ravel(), np.full(len(signatures), COPY_BANDS))
        self._samples.add(np.concatenate(samples), np.array([sample.size for sample in samples]))

    def candidates(self, positions: NDArray[np.int64], before: NDArray[np.int64]) -> tuple[Candidates, Candidates]:
        """Return candidates by band and by sample; see `KeyIndex.candidates`."""
        found = self._samples.candidates(positions, before)
        smaller = np.minimum(self._samples.counts(positions[found.queries]), self._samples.counts(found.positions))
        good = found.shared >= SAMPLE_SHARE * smaller
        by_sample = Candidates(found.queries[good], found.positions[good], found.shared[good])
        return self._bands.candidates(positions, before), by_sample

    def keep(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but these (ascending), which are numbered anew from 0."""
        self._bands.keep(positions)
        self._samples.keep(positions)
