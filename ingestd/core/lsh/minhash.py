"""
MinHash signatures in the scheme of datasketch, for whole batches at once.

The permutations come from datasketch, so the classes of datasketch can read, compare and index a stored signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

# Limits of one step, in shingles of all sets and in products: larger steps have less overhead, and the products of one
# step stay in the processor's cache.
_MAX_SHINGLES = 1 << 15
_MAX_PRODUCTS = 1 << 17


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """Hash family of a signature. Stored with each signature: only signatures of equal schemes are comparable."""

    length: int = 128  # positions
    seed: int = 1

    @property
    def label(self) -> str:
        """Stored name of the scheme."""
        return f"affine32/{self.length}/{self.seed}"


def sign_sets(shingle_sets: Sequence[NDArray[np.uint32]], scheme: SignatureScheme) -> NDArray[np.uint32]:
    """
    Return the signatures of many sets of shingles.

    Two signatures agree at a position with probability close to the Jaccard similarity of the two sets. The values are
    equal to those of datasketch's `MinHash` with the scheme `affine32`.

    Args:
        shingle_sets: n arrays of hashed shingles. Order and repeats do not matter.
        scheme: the hash family to use.

    Returns:
        Shape (n, scheme.length). An empty set has the largest value everywhere; the caller must not index an empty set.

    Source: Broder 1997 (resemblance); datasketch 2.0 (affine32).
    """
    signatures = np.full((len(shingle_sets), scheme.length), np.iinfo(np.uint32).max, dtype=np.uint32)
    filled = [i for i, shingles in enumerate(shingle_sets) if shingles.size]
    while filled:
        total = np.cumsum([shingle_sets[i].size for i in filled])
        n = max(1, int(np.searchsorted(total, _MAX_SHINGLES, side="right")))
        signatures[filled[:n]] = _sign_filled_sets([shingle_sets[i] for i in filled[:n]], scheme)
        filled = filled[n:]
    return signatures


def _sign_filled_sets(sets: Sequence[NDArray[np.uint32]], scheme: SignatureScheme) -> NDArray[np.uint32]:
    """Return the signatures of sets; every set must have a shingle."""
    a, b = get_permutations(scheme)
    shingles = mix_bits(np.concatenate(sets))
    starts = np.cumsum([0, *(s.size for s in sets[:-1])])
    signatures = np.empty((scheme.length, len(sets)), dtype=np.uint32)
    step = min(scheme.length, max(1, _MAX_PRODUCTS // shingles.size))
    buffer = np.empty((step, shingles.size), dtype=np.uint32)
    for first in range(0, scheme.length, step):
        part = slice(first, min(first + step, scheme.length))
        hashes = buffer[: part.stop - first]
        # Wrapping is wanted: this hash family is defined modulo 2**32.
        np.multiply(a[part, None], shingles, out=hashes)
        np.add(hashes, b[part, None], out=hashes)
        np.minimum.reduceat(hashes, starts, axis=1, out=signatures[part])
    return signatures.T


def sign_weighted_sets(
    terms: Sequence[NDArray[np.uint32]], masses: Sequence[NDArray[np.float32]], scheme: SignatureScheme
) -> NDArray[np.uint32]:
    """
    Return the signatures of weighted sets: a heavier term takes more positions.

    Every position samples one term, with a probability in proportion to the mass of the term. All sets are sampled with
    the same hashes, so two signatures agree with the probability Jaccard similarity of the two sets.

    Args:
        terms: n arrays of hashed terms.
        masses: n arrays, mass of each term, > 0.
        scheme: the hash family to use.

    Returns:
        Shape (n, scheme.length): the hash of the sampled term. An empty set has zeros; the caller must not index an
        empty set.

    Source: Moulton and Jiang 2018 (P-MinHash).
    """
    a, b = get_permutations(scheme)
    signatures = np.zeros((len(terms), scheme.length), dtype=np.uint32)
    for row, term, mass in zip(signatures, terms, masses, strict=True):
        if term.size:
            hashes = a[:, None] * mix_bits(term)[None, :]
            hashes += b[:, None]
            hashes >>= np.uint32(8)
            # -ln(u) with u uniform in (0, 1] is an exponential variable; dividing by the mass sets the rate.
            arrival = hashes.view(np.int32).astype(np.float32)
            arrival *= np.float32(2**-24)
            arrival += np.float32(2**-25)
            np.log(arrival, out=arrival)
            arrival /= -mass
            row[:] = term[arrival.argmin(axis=1)]
    return signatures


def split_signatures(payloads: Sequence[bytes], scheme: SignatureScheme) -> tuple[NDArray[np.uint32], list[bytes]]:
    """Return the signatures that stored payloads begin with, shape (n, scheme.length), and the rest of each payload."""
    size = 4 * scheme.length
    signatures = np.frombuffer(b"".join([payload[:size] for payload in payloads]), dtype="<u4")
    return signatures.reshape(len(payloads), scheme.length), [payload[size:] for payload in payloads]


def mix_bits(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Spread every bit over all other bits. Source: the 32-bit finaliser of MurmurHash3 (Appleby 2011)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


@cache
def get_permutations(scheme: SignatureScheme) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the multipliers and addends of the hash family, shape (scheme.length,) each."""
    # Imported here because datasketch loads scipy, and most processes make no signature.
    from datasketch import MinHash

    a, b = MinHash(num_perm=scheme.length, seed=scheme.seed, scheme="affine32").permutations
    return np.ascontiguousarray(a, dtype=np.uint32), np.ascontiguousarray(b, dtype=np.uint32)
