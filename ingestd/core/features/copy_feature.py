"""
The copy feature: a MinHash signature of the shingles, and a sample of the shingles for excerpts.

A value is stored as its numbers, little-endian, 32 bits each: the signature as datasketch's MinHash takes it for
`hashvalues`, followed by the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.features.feature import FeatureInputs
from ingestd.core.lsh.copy_index import CopyIndex
from ingestd.core.lsh.inverted_index import Candidates, hash_bands
from ingestd.core.lsh.minhash import SignatureScheme, sign_sets, split_signatures
from ingestd.core.ragged_array import RaggedArray

# 42 bands of 3 rows find all true copies down to a Jaccard of .3 that the labelled corpora hold.
COPY_SCHEME = SignatureScheme(length=128)
COPY_BANDS, COPY_ROWS = 42, 3
# An excerpt shares few bands with its original, so a sample of the shingles themselves is indexed too: all whose hash
# is in the lowest sixteenth. An excerpt of 80 words shares one with its original with a probability of .99.
SAMPLE_ONE_IN = 16
_SAMPLED_BELOW = np.uint32(2**32 // SAMPLE_ONE_IN)
COPY_LABEL = f"words5b/{COPY_SCHEME.label}+{SAMPLE_ONE_IN}"
# Candidates compared exactly, best first.
COPY_CANDIDATES = 32


@dataclass(frozen=True, slots=True)
class CopySignature:
    """The copy feature of one article."""

    signature: NDArray[np.uint32]  # shape (COPY_SCHEME.length,)
    sample: NDArray[np.uint32]  # of the shingles, sorted

    def pack(self) -> tuple[Sequence[NDArray[Any]], str]:
        """Return the arrays of the value."""
        return (self.signature, self.sample), ""

    @classmethod
    def unpack(cls, arrays: Sequence[NDArray[np.uint32]], text: str) -> CopySignature:
        """Return the value with these arrays."""
        return cls(*arrays)


@dataclass(frozen=True, slots=True)
class CopyColumns:
    """The copy feature of n articles."""

    keys: NDArray[np.uint32]  # shape (n, COPY_BANDS), of the signatures
    samples: RaggedArray

    def select(self, mask: NDArray[np.bool_]) -> CopyColumns:
        """Return the columns of the articles for which the mask is true."""
        return CopyColumns(self.keys[mask], self.samples.select(mask))


class CopyFeatureIndex:
    """The copy index behind the interface of every feature's index."""

    def __init__(self) -> None:
        """Begin empty."""
        self._index = CopyIndex()

    @property
    def nbytes(self) -> int:
        """Memory of the index, in bytes."""
        return self._index.nbytes

    @property
    def truncated(self) -> int:
        """How often a bucket held more articles than the search read."""
        return self._index.truncated_lookups

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further articles."""
        self._index.reserve(articles, COPY_BANDS)

    def add(self, columns: CopyColumns) -> None:
        """Add articles, which take the next positions."""
        self._index.add(columns.keys, columns.samples)

    def find_candidates(
        self, columns: CopyColumns, positions: NDArray[np.int64], before: NDArray[np.int64]
    ) -> Candidates:
        """Return the candidates of articles with these positions, of positions below `before`, best first."""
        return self._index.find_candidates(columns.keys, columns.samples, positions, before)

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but those at `positions` (ascending), and number these anew from 0."""
        self._index.compact(positions)


class CopyFeature:
    """Texts that share shingles. Source: Broder 1997 (resemblance and containment)."""

    name = "copy"
    scheme = COPY_LABEL
    most_candidates = COPY_CANDIDATES

    def compute(self, inputs: FeatureInputs) -> list[CopySignature]:
        """Return the signature of each article."""
        signatures = sign_sets(inputs.shingles, COPY_SCHEME)
        return [
            CopySignature(signature, sample_shingles(shingles))
            for signature, shingles in zip(signatures, inputs.shingles, strict=True)
        ]

    def encode(self, value: CopySignature) -> bytes:
        """Return a value as it is stored."""
        return value.signature.astype("<u4", copy=False).tobytes() + value.sample.astype("<u4", copy=False).tobytes()

    def decode(self, payloads: Sequence[bytes]) -> CopyColumns:
        """Return stored values as columns."""
        signatures, samples = split_signatures(payloads, COPY_SCHEME)
        return CopyColumns(make_copy_keys(signatures), RaggedArray.from_bytes(samples))

    def gather(self, values: Sequence[CopySignature]) -> CopyColumns:
        """Return values as columns."""
        return CopyColumns(
            make_copy_keys(np.stack([value.signature for value in values])),
            RaggedArray.from_rows([value.sample for value in values]),
        )

    def make_index(self) -> CopyFeatureIndex:
        """Return an empty index."""
        return CopyFeatureIndex()


def make_copy_keys(signatures: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the keys of the bands of copy signatures, a row for each signature."""
    return hash_bands(signatures, COPY_BANDS, COPY_ROWS)


def sample_shingles(shingles: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """
    Return the shingles of a sorted set that the index holds one by one.

    Two samples share the same part of each other as the two sets do.

    Source: Broder 1997 (sampling modulo m, for containment).
    """
    return shingles[: int(shingles.searchsorted(_SAMPLED_BELOW))]
