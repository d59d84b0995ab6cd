"""
How surely two articles cover the same event: a score from their salient terms and the time between them.

Holds the vectors of all articles in the window in one long array, because one array an article would cost more memory
than its content, and a term with its weight in one number.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity
from ingestd.core.text.term_weights import TERM_BITS
from ingestd.core.window.columns import RaggedArray

# What a day apart takes off the cosine, and the most that time can take off. A soft factor: time breaks ties, and a
# hard limit would break long stories. Set on basil, wikinews_galaxy and ecbplus together.
PENALTY_A_DAY = 0.02
LARGEST_PENALTY = 0.08
# The score at which it is as likely as not that a candidate covers the same event, and how steeply its odds rise: with
# this power of the score. Fitted (logistic regression on its logarithm) to the 8,600 proposed pairs on the same corpora
# (.211, 3.6) and to the means of 2,900 pairs of a newcomer and a cluster there (.205, 4.7); in no tenth of either does
# it lie more than .1 off.
EVEN_SCORE = 0.207
STEEPNESS = 4.0
# What is left of 32 bits beside a term is its weight, by its logarithm: 2**-14 to 1 in steps of a hundredth. The mean
# over the terms that two articles share is closer, and clusters are those of exact weights (measured).
_STEPS = (1 << (32 - TERM_BITS)) - 1
_OCTAVES = 14
_WEIGHTS = np.exp2(_OCTAVES * (np.arange(_STEPS + 1) / _STEPS - 1)).astype(np.float32)
_TERM_SHIFT = np.uint32(32 - TERM_BITS)
_WEIGHT_MASK = np.uint32(_STEPS)
# Places of a table by which terms that are not shared are told: 200 terms fill a fortieth of it, and it takes 8 kB.
# So many articles are compared together: all that is at hand stays in the processor's cache.
_TABLE = 1 << 13
_TOGETHER = 16
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


class TermVectorStore:
    """Sparse vectors of unit length, numbered in the order in which they were added."""

    def __init__(self) -> None:
        """Begin with none."""
        self._terms = np.zeros(1 << 12, dtype=np.uint32)  # with their weights
        self._starts = np.zeros(1 << 8, dtype=np.int64)  # one more than there are vectors
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._terms.nbytes + self._starts.nbytes

    def reserve(self, vectors: int, terms: int) -> None:
        """Make room for so many more at once."""
        self._starts = ensure_capacity(self._starts, self._size + vectors + 1)
        self._terms = ensure_capacity(self._terms, int(self._starts[self._size]) + terms)

    def add(self, terms: RaggedArray, weights: NDArray[np.float32]) -> NDArray[np.uint32]:
        """
        Add vectors, which take the next positions.

        Args:
            terms: hashes, ascending within a vector.
            weights: of the terms, in the same order.

        Returns:
            Hashes of `TERM_BITS` bits as they are held, of all vectors in a row.
        """
        packed, counts = _packed(terms, weights)
        first, size = int(self._starts[self._size]), self._size + counts.size
        self.reserve(counts.size, packed.size)
        self._starts[self._size + 1 : size + 1] = first + np.cumsum(counts)
        self._terms[first : first + packed.size] = packed
        self._size = size
        return packed >> _TERM_SHIFT

    def gather_terms(
        self, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]]:
        """Return hashes and weights of many articles in a row, and whose each is (index into `positions`)."""
        packed, sizes = self._gather(positions)
        return packed >> _TERM_SHIFT, _WEIGHTS[packed & _WEIGHT_MASK], _numbered(sizes)

    def gather_hashes(self, positions: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the hashes of many articles in a row, without weights."""
        return self._gather(positions)[0] >> _TERM_SHIFT

    def compute_cosines(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], of: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """
        Return the cosines of pairs.

        Args:
            articles: shape (m,), one side of the pairs.
            others: shape (n,), the other side.
            of: shape (n,), the index in `articles` of the first side of each pair, ascending.
        """
        edges = np.searchsorted(of, np.arange(0, articles.size + _TOGETHER, _TOGETHER)).tolist()
        found = [np.zeros(0)]
        for first, (begin, end) in zip(range(0, articles.size, _TOGETHER), pairwise(edges), strict=True):
            some = articles[first : first + _TOGETHER], others[begin:end], of[begin:end] - first
            pair, _, product = self._in_common(*some)
            found.append(np.bincount(pair, weights=product, minlength=end - begin).astype(np.float64))
        return np.concatenate(found)

    def find_shared_terms(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], most: int
    ) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        """
        Return which terms make most of the cosine of pairs, heaviest first.

        Args:
            articles: shape (n,), one side of the pairs.
            others: shape (n,), the other side.
            most: of each pair.

        Returns:
            Hashes of `TERM_BITS` bits, and what each adds to the cosine, for every pair.
        """
        found: list[tuple[NDArray[np.uint32], NDArray[np.float32]]] = []
        for first in range(0, articles.size, _TOGETHER):
            some = articles[first : first + _TOGETHER]
            each = np.arange(some.size)
            pair, terms, product = self._in_common(some, others[first : first + _TOGETHER], each)
            order = np.lexsort((-product, pair))
            begins, ends = np.searchsorted(pair, each), np.searchsorted(pair, each, side="right")
            tops = [order[a : min(b, a + most)] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]
            found += [(terms[top], product[top]) for top in tops]
        return found

    def _in_common(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], of: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
        """Return the terms that pairs share, pair by pair: index of the pair, hash, product of the weights."""
        packed, own_sizes = self._gather(articles)
        other_packed, sizes = self._gather(others)
        terms = other_packed >> _TERM_SHIFT
        if not packed.size:
            return sizes[:0], terms[:0], np.zeros(0, dtype=np.float32)
        owner = _numbered(own_sizes)
        own = owner << TERM_BITS | packed >> _TERM_SHIFT  # of article and term one number, ascending
        # Few terms are shared: those that are not are mostly told by a part of their bits, in a table for each article.
        table = np.zeros(articles.size * _TABLE, dtype=bool)
        table[owner * _TABLE + (own & (_TABLE - 1))] = True
        places = np.repeat((of * _TABLE).astype(np.uint32), sizes)
        places |= terms & np.uint32(_TABLE - 1)
        likely = np.flatnonzero(table.take(places))
        pair, terms = _numbered(sizes)[likely], terms[likely]
        wanted = of[pair] << TERM_BITS | terms
        at = own[:-1].searchsorted(wanted)
        hit = np.flatnonzero(own[at] == wanted)
        weights = _WEIGHTS[packed[at[hit]] & _WEIGHT_MASK]
        return pair[hit], terms[hit], weights * _WEIGHTS[other_packed[likely[hit]] & _WEIGHT_MASK]

    def compute_gram(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the cosines of all pairs, shape (n, n); the diagonal means nothing."""
        packed, sizes = self._gather(positions)
        owner = _numbered(sizes)
        # Sorting term and place as one number is quicker than asking for the order.
        both = packed.astype(np.uint64) << _HALF | np.arange(packed.size, dtype=np.uint64)
        both.sort()
        order, terms = (both & _LOW).view(np.int64), both >> (_HALF + np.uint64(_TERM_SHIFT))
        same = np.zeros(terms.size + 1, dtype=bool)  # as the one before it; and, one further, as the one after it
        same[1:-1] = terms[1:] == terms[:-1]
        shared = same[:-1] | same[1:]  # a term of one article alone makes no pair
        column = np.cumsum(~same[:-1][shared]) - 1
        dense = np.zeros((positions.size, int(column[-1]) + 1 if column.size else 0), dtype=np.float32)
        at = order[shared]
        dense[owner[at], column] = _WEIGHTS[packed[at] & _WEIGHT_MASK]
        return (dense @ dense.T).astype(np.float64)

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Forget all vectors but these, which are numbered anew from 0."""
        self._terms, sizes = self._gather(positions)
        self._starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        self._size = positions.size

    def _gather(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return terms with their weights of many articles in a row, and how many each article has."""
        starts, ends = self._starts[positions], self._starts[positions + 1]
        pieces = [self._terms[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        return np.concatenate([self._terms[:0], *pieces]), ends - starts


def _numbered(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whose each of many terms in a row is: the index of the article."""
    return np.repeat(np.arange(sizes.size), sizes)


def _packed(terms: RaggedArray, weights: NDArray[np.float32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return terms with their weights, each in one number, and how many every article has."""
    steps = np.log2(np.maximum(weights, np.float32(2.0**-_OCTAVES))) * np.float32(_STEPS / _OCTAVES) + _STEPS
    packed = terms.numbers & ~_WEIGHT_MASK | steps.round().astype(np.uint32)
    # Two terms of one article whose hashes begin alike are one.
    hashes = packed >> _TERM_SHIFT
    again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
    ends = np.cumsum(terms.counts)
    of = np.searchsorted(ends, again, side="right")
    own = again > ends[of] - terms.counts[of]
    again, of = again[own], of[own]
    return np.delete(packed, again), terms.counts - np.bincount(of, minlength=terms.counts.size)


def estimate_probability(score: float) -> float:
    """
    Return how likely it is that a candidate with such a score covers the same event, 0 to 1.

    Of an article with another, or of one with a cluster, for which the score is the mean over its members.
    """
    odds: float = (max(score, 0.0) / EVEN_SCORE) ** STEEPNESS
    return odds / (1 + odds)


def compute_time_penalty(day: float | NDArray[np.float64], days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the time apart takes off the score; nothing where a date (in days, NaN: unknown) is missing."""
    penalty: NDArray[np.float64] = np.minimum(PENALTY_A_DAY * np.abs(days - day), LARGEST_PENALTY)
    penalty[np.isnan(penalty)] = 0.0
    return penalty
