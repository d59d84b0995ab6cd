"""Which articles are worth comparing word for word: those that share a band, or a good part of their shingles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestd.core.fingerprint import COPY_BANDS
from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex
from ingestd.core.window.columns import RaggedArray

# Share of the smaller sample that two texts have to share. A copy has half of it or more in the mean; a passage that
# both quote, or a line that all pages of an outlet carry, is less. A band in common is more likely for a copy than for
# such, so less is asked for then, and nothing of a text so short that its sample says little.
SAMPLE_SHARE = 0.3
SAMPLE_SHARE_WITH_BAND = 0.15
TELLING_SAMPLE = 8
TYPICAL_SAMPLE = 24  # shingles, of an article of 400 words


class CopyIndex:
    """Bands of the signatures find texts that are much the same; samples of the shingles find parts of longer ones."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bands, self._samples = InvertedIndex(), InvertedIndex()

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._bands.nbytes + self._samples.nbytes

    @property
    def truncated_lookups(self) -> int:
        """How often a bucket was too full to be read to its end."""
        return self._bands.truncated_lookups + self._samples.truncated_lookups

    def reserve(self, articles: int) -> None:
        """Make room for so many more articles at once."""
        self._bands.reserve(articles * COPY_BANDS)
        self._samples.reserve(articles * TYPICAL_SAMPLE)

    def add(self, keys: NDArray[np.uint32], samples: RaggedArray) -> None:
        """Add a batch of articles, which take the next positions; the keys of their bands have a row for each."""
        self._bands.add(*_in_a_row(keys))
        self._samples.add(samples.numbers, samples.counts)

    def find_candidates(
        self,
        keys: NDArray[np.uint32],
        samples: RaggedArray,
        positions: NDArray[np.int64],
        before: NDArray[np.int64],
    ) -> Candidates:
        """Return candidates, by how many bands and sampled shingles they share; see `InvertedIndex.find_candidates`."""
        by_band = self._bands.find_candidates(*_in_a_row(keys), positions, before)
        by_sample = self._samples.find_candidates(samples.numbers, samples.counts, positions, before)
        pairs, which = np.unique(
            np.concatenate([found.queries << 32 | found.positions for found in (by_band, by_sample)]),
            return_inverse=True,
        )
        bands, sampled = np.zeros((2, pairs.size), dtype=np.int64)
        bands[which[: by_band.queries.size]] = by_band.shared
        sampled[which[by_band.queries.size :]] = by_sample.shared
        queries, others = pairs >> 32, pairs & 0xFFFFFFFF
        smaller = np.minimum(self._samples.count_keys(positions[queries]), self._samples.count_keys(others))
        enough = sampled >= np.where(bands > 0, SAMPLE_SHARE_WITH_BAND, SAMPLE_SHARE) * smaller
        good = np.flatnonzero(enough | ((bands > 0) & (smaller < TELLING_SAMPLE)))
        good = good[np.lexsort((-others[good], -(bands + sampled)[good], queries[good]))]
        return Candidates(queries[good], others[good], (bands + sampled)[good])

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but these (ascending), which are numbered anew from 0."""
        self._bands.compact(positions)
        self._samples.compact(positions)


def _in_a_row(keys: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    return keys.ravel(), np.full(len(keys), COPY_BANDS)
