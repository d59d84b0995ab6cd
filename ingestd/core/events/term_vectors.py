"""
Score pairs of articles: the cosine of the salient terms, less a penalty for the time between the articles.

The store packs a term and its weight into one number, and the vectors of all articles of the window into one array: an
array per article would take more memory than the content.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import ensure_capacity
from ingestd.core.ragged_array import RaggedArray
from ingestd.core.text.term_weights import TERM_BITS

# Penalty of the cosine for every day between two articles, and the largest penalty. Time breaks ties; a hard limit
# would break long stories. Set on basil, wikinews_galaxy and ecbplus together.
PENALTY_A_DAY = 0.02
LARGEST_PENALTY = 0.08
# Score at which a candidate covers the same event with a probability of .5; the odds rise with this power of the score.
# Fitted by logistic regression on the logarithm of the score, to the 8,600 proposed pairs of the same corpora (.211,
# 3.6) and to the means of 2,900 pairs of a new article and a cluster there (.205, 4.7). The fit is at most .1 off in
# every tenth of both.
EVEN_SCORE = 0.207
STEEPNESS = 4.0
# The lower bits of a packed term are the logarithm of the weight: 2**-14 to 1 in steps of a hundredth. The error of the
# mean over shared terms is smaller, and the clusters are equal to those of exact weights (measured).
_STEPS = (1 << (32 - TERM_BITS)) - 1
_OCTAVES = 14
_WEIGHTS = np.exp2(_OCTAVES * (np.arange(_STEPS + 1) / _STEPS - 1)).astype(np.float32)
_TERM_SHIFT = np.uint32(32 - TERM_BITS)
_WEIGHT_MASK = np.uint32(_STEPS)
# Slots of the table that excludes most terms an article lacks: 200 terms fill a fortieth of the 8 kB.
_TABLE = 1 << 13
ARTICLES_AT_ONCE = 16  # compared in one step; all tables stay in the processor's cache
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


class TermVectorStore:
    """Sparse vectors of unit length, numbered in the order of their addition."""

    def __init__(self, *, articles_at_once: int = ARTICLES_AT_ONCE) -> None:
        """Create an empty store that compares so many articles in one step."""
        self._articles_at_once = articles_at_once
        self._terms = np.zeros(1 << 12, dtype=np.uint32)  # packed: hash in the upper bits, weight in the lower
        self._starts = np.zeros(1 << 8, dtype=np.int64)  # of each vector, and the end of the last
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return self._terms.nbytes + self._starts.nbytes

    def reserve(self, vectors: int, terms: int) -> None:
        """Reserve capacity for further vectors with so many terms in all."""
        self._starts = ensure_capacity(self._starts, self._size + vectors + 1)
        self._terms = ensure_capacity(self._terms, int(self._starts[self._size]) + terms)

    def add(self, terms: RaggedArray, weights: NDArray[np.float32]) -> NDArray[np.uint32]:
        """
        Add vectors at the next positions.

        Args:
            terms: hashes, ascending within a vector.
            weights: of the terms, in the same order.

        Returns:
            Stored hashes of `TERM_BITS` bits, of all vectors in one row.
        """
        packed, counts = _pack_terms(terms, weights)
        first, size = int(self._starts[self._size]), self._size + counts.size
        self.reserve(counts.size, packed.size)
        self._starts[self._size + 1 : size + 1] = first + np.cumsum(counts)
        self._terms[first : first + packed.size] = packed
        self._size = size
        return packed >> _TERM_SHIFT

    def gather_terms(
        self, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]]:
        """Return hashes and weights of many vectors in one row, and for each the index of the vector in `positions`."""
        packed, sizes = self._gather(positions)
        return packed >> _TERM_SHIFT, _WEIGHTS[packed & _WEIGHT_MASK], _number_rows(sizes)

    def gather_hashes(self, positions: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the hashes of many vectors in one row."""
        return self._gather(positions)[0] >> _TERM_SHIFT

    def compute_cosines(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], of: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """
        Return the cosines of pairs.

        Args:
            articles: shape (m,), positions of one side of the pairs.
            others: shape (n,), positions of the other side.
            of: shape (n,), index in `articles` of the first side of each pair, ascending.
        """
        step = self._articles_at_once
        edges = np.searchsorted(of, np.arange(0, articles.size + step, step)).tolist()
        cosines = [np.zeros(0)]
        for first, (begin, end) in zip(range(0, articles.size, step), pairwise(edges), strict=True):
            batch = articles[first : first + step], others[begin:end], of[begin:end] - first
            pair, _, product = self._intersect_terms(*batch)
            cosines.append(np.bincount(pair, weights=product, minlength=end - begin).astype(np.float64))
        return np.concatenate(cosines)

    def find_shared_terms(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], most: int
    ) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        """
        Return the terms that add most to the cosine of each pair, in descending order.

        Args:
            articles: shape (n,), positions of one side of the pairs.
            others: shape (n,), positions of the other side.
            most: number of terms per pair.

        Returns:
            For every pair, hashes of `TERM_BITS` bits, and the share of each term in the cosine.
        """
        shared: list[tuple[NDArray[np.uint32], NDArray[np.float32]]] = []
        step = self._articles_at_once
        for first in range(0, articles.size, step):
            batch = articles[first : first + step]
            each = np.arange(batch.size)
            pair, terms, product = self._intersect_terms(batch, others[first : first + step], each)
            order = np.lexsort((-product, pair))
            begins, ends = np.searchsorted(pair, each), np.searchsorted(pair, each, side="right")
            tops = [order[a : min(b, a + most)] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]
            shared += [(terms[top], product[top]) for top in tops]
        return shared

    def _intersect_terms(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], of: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
        """Return the shared terms, pair by pair: index of the pair, hash, product of the weights."""
        packed, own_sizes = self._gather(articles)
        other_packed, sizes = self._gather(others)
        terms = other_packed >> _TERM_SHIFT
        if not packed.size:
            return sizes[:0], terms[:0], np.zeros(0, dtype=np.float32)
        owner = _number_rows(own_sizes)
        own = owner << TERM_BITS | packed >> _TERM_SHIFT  # article and term in one number, ascending
        # Few terms are shared. A table for each article, by the lower bits of the hash, excludes most of the others.
        table = np.zeros(articles.size * _TABLE, dtype=bool)
        table[owner * _TABLE + (own & (_TABLE - 1))] = True
        places = np.repeat((of * _TABLE).astype(np.uint32), sizes)
        places |= terms & np.uint32(_TABLE - 1)
        likely = np.flatnonzero(table.take(places))
        pair, terms = _number_rows(sizes)[likely], terms[likely]
        wanted = of[pair] << TERM_BITS | terms
        at = own[:-1].searchsorted(wanted)
        hit = np.flatnonzero(own[at] == wanted)
        weights = _WEIGHTS[packed[at[hit]] & _WEIGHT_MASK]
        return pair[hit], terms[hit], weights * _WEIGHTS[other_packed[likely[hit]] & _WEIGHT_MASK]

    def compute_gram(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the cosines of all pairs, shape (n, n); the diagonal has no meaning."""
        packed, sizes = self._gather(positions)
        owner = _number_rows(sizes)
        # Sorting term and place as one number is faster than np.argsort.
        both = packed.astype(np.uint64) << _HALF | np.arange(packed.size, dtype=np.uint64)
        both.sort()
        order, terms = (both & _LOW).view(np.int64), both >> (_HALF + np.uint64(_TERM_SHIFT))
        same = np.zeros(terms.size + 1, dtype=bool)  # as the term before; shifted by one, as the term after
        same[1:-1] = terms[1:] == terms[:-1]
        shared = same[:-1] | same[1:]  # a term of a single article adds to no cosine
        column = np.cumsum(~same[:-1][shared]) - 1
        dense = np.zeros((positions.size, int(column[-1]) + 1 if column.size else 0), dtype=np.float32)
        at = order[shared]
        dense[owner[at], column] = _WEIGHTS[packed[at] & _WEIGHT_MASK]
        return (dense @ dense.T).astype(np.float64)

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Remove all vectors but those at `positions`, and number the rest from 0."""
        self._terms, sizes = self._gather(positions)
        self._starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        self._size = positions.size

    def _gather(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the packed terms of many vectors in one row, and the number of terms of each vector."""
        starts, ends = self._starts[positions], self._starts[positions + 1]
        pieces = [self._terms[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        return np.concatenate([self._terms[:0], *pieces]), ends - starts


def _number_rows(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the vector of each term, given the number of terms of each vector."""
    return np.repeat(np.arange(sizes.size), sizes)


def _pack_terms(terms: RaggedArray, weights: NDArray[np.float32]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the packed terms of all vectors in one row, and the number of terms of each vector."""
    steps = np.log2(np.maximum(weights, np.float32(2.0**-_OCTAVES))) * np.float32(_STEPS / _OCTAVES) + _STEPS
    packed = terms.numbers & ~_WEIGHT_MASK | steps.round().astype(np.uint32)
    # Two terms of one vector with equal upper bits become one term.
    hashes = packed >> _TERM_SHIFT
    again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
    ends = np.cumsum(terms.counts)
    of = np.searchsorted(ends, again, side="right")
    own = again > ends[of] - terms.counts[of]
    again, of = again[own], of[own]
    return np.delete(packed, again), terms.counts - np.bincount(of, minlength=terms.counts.size)


def estimate_probability(score: float) -> float:
    """
    Return the probability, 0 to 1, that a candidate with this score covers the same event.

    The score is that of two articles, or the mean score of an article with the members of a cluster.
    """
    odds: float = (max(score, 0.0) / EVEN_SCORE) ** STEEPNESS
    return odds / (1 + odds)


def compute_time_penalty(day: float | NDArray[np.float64], days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the penalty of the score for the time apart; `day` and `days` in days, NaN (unknown) for no penalty."""
    penalty: NDArray[np.float64] = np.minimum(PENALTY_A_DAY * np.abs(days - day), LARGEST_PENALTY)
    penalty[np.isnan(penalty)] = 0.0
    return penalty
