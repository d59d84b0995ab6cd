"""Propose copy candidates: articles that share a band of the signature, or a good part of the sampled shingles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex
from ingestd.core.ragged_array import RaggedArray

# Share of the smaller sample that two texts must have in common. Copies have half or more in the mean; two texts with
# one common quotation, or with one line of an outlet's pages, have less. A common band is better evidence of a copy, so
# a smaller share suffices then, and any share suffices for a sample too small to be evidence.
SAMPLE_SHARE = 0.3
SAMPLE_SHARE_WITH_BAND = 0.15
MIN_SAMPLE = 8
TYPICAL_SAMPLE = 24  # shingles, of an article of 400 words


class CopyIndex:
    """Index of signature bands, for nearly equal texts, and of sampled shingles, for parts of longer texts."""

    def __init__(self) -> None:
        """Create an empty index."""
        self._bands, self._samples = InvertedIndex(), InvertedIndex()

    @property
    def nbytes(self) -> int:
        """Memory of the index, in bytes."""
        return self._bands.nbytes + self._samples.nbytes

    @property
    def truncated_lookups(self) -> int:
        """Number of lookups that did not read all articles of a key."""
        return self._bands.truncated_lookups + self._samples.truncated_lookups

    def reserve(self, articles: int, bands: int) -> None:
        """Reserve capacity for further articles with a number of bands each."""
        self._bands.reserve(articles * bands)
        self._samples.reserve(articles * TYPICAL_SAMPLE)

    def add(self, keys: NDArray[np.uint32], samples: RaggedArray) -> None:
        """Add a batch of articles at the next positions; `keys` has a row of band keys for each article."""
        self._bands.add(*_flatten_keys(keys))
        self._samples.add(samples.numbers, samples.counts)

    def find_candidates(
        self,
        keys: NDArray[np.uint32],
        samples: RaggedArray,
        positions: NDArray[np.int64],
        before: NDArray[np.int64],
    ) -> Candidates:
        """Return candidates, ranked by the number of shared bands and shingles; see `InvertedIndex.find_candidates`."""
        by_band = self._bands.find_candidates(*_flatten_keys(keys), positions, before)
        by_sample = self._samples.find_candidates(samples.numbers, samples.counts, positions, before)
        pairs, inverse = np.unique(
            np.concatenate([part.queries << 32 | part.positions for part in (by_band, by_sample)]),
            return_inverse=True,
        )
        bands, sampled = np.zeros((2, pairs.size), dtype=np.int64)
        bands[inverse[: by_band.queries.size]] = by_band.shared
        sampled[inverse[by_band.queries.size :]] = by_sample.shared
        queries, others = pairs >> 32, pairs & 0xFFFFFFFF
        smaller = np.minimum(self._samples.count_keys(positions[queries]), self._samples.count_keys(others))
        enough = sampled >= np.where(bands > 0, SAMPLE_SHARE_WITH_BAND, SAMPLE_SHARE) * smaller
        good = np.flatnonzero(enough | ((bands > 0) & (smaller < MIN_SAMPLE)))
        good = good[np.lexsort((-others[good], -(bands + sampled)[good], queries[good]))]
        return Candidates(queries[good], others[good], (bands + sampled)[good])

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Remove all articles but those at `positions` (ascending), and number the rest from 0."""
        self._bands.compact(positions)
        self._samples.compact(positions)


def _flatten_keys(keys: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return all band keys in one row, and the number of keys of each article."""
    return keys.ravel(), np.full(len(keys), keys.shape[1])
