"""
MinHash signatures in datasketch's scheme, for whole batches at once.

The permutations come from datasketch itself, so a stored signature can be read, compared and indexed with its classes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sets are taken together up to so many shingles, and so many products are made at once: fewer, larger steps cost less
# overhead, and what one step makes stays in the processor's cache.
_SHINGLES = 1 << 15
_PRODUCTS = 1 << 17
_INTEGRATE = "scipy.integrate"


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """How signatures are made. Stored beside each one: only equal schemes compare."""

    length: int = 128  # positions
    seed: int = 1

    @property
    def label(self) -> str:
        """The name under which signatures of this scheme are stored."""
        return f"affine32/{self.length}/{self.seed}"


def sign_sets(shingle_sets: Sequence[NDArray[np.uint32]], scheme: SignatureScheme) -> NDArray[np.uint32]:
    """
    Return the signatures of many sets of shingles.

    Two signatures agree at a position with probability close to the Jaccard similarity of the two sets. The values
    are those of datasketch's `MinHash` with the scheme `affine32`.

    Args:
        shingle_sets: n arrays of hashed shingles. Order and repeats do not matter.
        scheme: the hash family to use.

    Returns:
        Shape (n, scheme.length). An empty set gets the largest value everywhere; it must not be indexed.

    Source: Broder 1997 (resemblance); datasketch 2.0 (affine32).
    """
    signatures = np.full((len(shingle_sets), scheme.length), np.iinfo(np.uint32).max, dtype=np.uint32)
    filled = [i for i, shingles in enumerate(shingle_sets) if shingles.size]
    while filled:
        total = np.cumsum([shingle_sets[i].size for i in filled])
        n = max(1, int(np.searchsorted(total, _SHINGLES, side="right")))
        signatures[filled[:n]] = _signed([shingle_sets[i] for i in filled[:n]], scheme)
        filled = filled[n:]
    return signatures


def _signed(sets: Sequence[NDArray[np.uint32]], scheme: SignatureScheme) -> NDArray[np.uint32]:
    """Return the signatures of sets that are not empty."""
    a, b = get_permutations(scheme)
    shingles = mix_bits(np.concatenate(sets))
    starts = np.cumsum([0, *(s.size for s in sets[:-1])])
    signatures = np.empty((scheme.length, len(sets)), dtype=np.uint32)
    step = min(scheme.length, max(1, _PRODUCTS // shingles.size))
    space = np.empty((step, shingles.size), dtype=np.uint32)
    for first in range(0, scheme.length, step):
        part = slice(first, min(first + step, scheme.length))
        hashes = space[: part.stop - first]
        # Wrapping is wanted: this hash family is defined modulo 2**32.
        np.multiply(a[part, None], shingles, out=hashes)
        np.add(hashes, b[part, None], out=hashes)
        np.minimum.reduceat(hashes, starts, axis=1, out=signatures[part])
    return signatures.T


def sign_weighted_sets(
    terms: Sequence[NDArray[np.uint32]], masses: Sequence[NDArray[np.float32]], scheme: SignatureScheme
) -> NDArray[np.uint32]:
    """
    Return signatures of weighted sets: the heavier a term, the more positions it takes.

    Every position samples one term with probability in proportion to its mass, and two articles sample alike, so that
    signatures agree as often as the probability Jaccard similarity of the two sets says.

    Args:
        terms: n arrays of hashed terms.
        masses: n arrays, the mass of each term, > 0.
        scheme: the hash family to use.

    Returns:
        Shape (n, scheme.length): the hash of the term sampled. All zero for an empty set; it must not be indexed.

    Source: Moulton and Jiang 2018 (P-MinHash).
    """
    a, b = get_permutations(scheme)
    signatures = np.zeros((len(terms), scheme.length), dtype=np.uint32)
    for row, term, mass in zip(signatures, terms, masses, strict=True):
        if term.size:
            hashes = a[:, None] * mix_bits(term)[None, :]
            hashes += b[:, None]
            hashes >>= np.uint32(8)
            # -ln(u) with u uniform in (0, 1] is an exponential variable; dividing by the mass is setting its rate.
            arrival = hashes.view(np.int32).astype(np.float32)
            arrival *= np.float32(2**-24)
            arrival += np.float32(2**-25)
            np.log(arrival, out=arrival)
            arrival /= -mass
            row[:] = term[arrival.argmin(axis=1)]
    return signatures


def mix_bits(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Spread every bit over all others. Source: the 32-bit finaliser of MurmurHash3 (Appleby 2011)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


@cache
def get_permutations(scheme: SignatureScheme) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return multipliers and addends of the hash family, shape (scheme.length,) each."""
    a, b = _min_hash()(num_perm=scheme.length, seed=scheme.seed, scheme="affine32").permutations
    return np.ascontiguousarray(a, dtype=np.uint32), np.ascontiguousarray(b, dtype=np.uint32)


def _min_hash() -> Any:
    """
    Import datasketch's MinHash without `scipy.integrate`, which takes five times as long to load as all the rest.

    datasketch integrates when its index is to choose bands for a threshold; should anyone ask for that, it is loaded.
    """
    if _INTEGRATE in sys.modules:
        from datasketch import MinHash

        return MinHash
    stand_in = ModuleType(_INTEGRATE)
    vars(stand_in)["quad"] = lambda *args, **kwargs: import_module(_INTEGRATE).quad(*args, **kwargs)
    sys.modules[_INTEGRATE] = stand_in
    try:
        from datasketch import MinHash
    finally:
        del sys.modules[_INTEGRATE]
    return MinHash
