"""
The medoid of a cluster: the member nearest to all others; and the terms that set the cluster apart from all others.

Source: Kaufman and Rousseeuw 1987 (medoids).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import sort_unique_with_inverse
from ingestd.core.events.linkage import MAX_RECLUSTERED
from ingestd.core.events.term_vectors import compute_time_penalty
from ingestd.core.window.window import Window

TELLING_TERMS = 24  # most telling first
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Medoid:
    """The article that represents a cluster, and the terms that set the cluster apart."""

    article_id: int
    telling_terms: NDArray[np.uint32]  # hashes of `TERM_BITS` bits, most telling first


def find_medoids(window: Window, clusters: Sequence[int]) -> Mapping[int, Medoid]:
    """
    Return the medoid of each of some clusters; nothing for a cluster without a member in the window.

    The member nearest to all others is the medoid; ties: the earliest published, then the longer, then the lower id.

    Args:
        window: holds the members.
        clusters: ids, at most 65,536.
    """
    members = {cluster: window.memberships.list_members(cluster, MAX_RECLUSTERED) for cluster in clusters}
    held = [cluster for cluster, articles in members.items() if articles.size]
    if not held:
        return {}
    articles = np.concatenate([members[cluster] for cluster in held])
    sizes = np.array([members[cluster].size for cluster in held])
    of = np.repeat(np.arange(sizes.size), sizes)  # number of the cluster of each article
    terms, weights, owner = window.scores.list_terms(articles)
    keys, which, own = sort_unique_with_inverse(of[owner].astype(np.uint64) << _HALF | terms)
    totals = np.bincount(which, weights=weights)  # of a term in its cluster
    # The cosines with all others add up to the product with the sum of the others.
    nearness = np.bincount(owner, weights=weights * (totals[which] - weights), minlength=articles.size)
    distance = -(nearness - _sum_penalties(window, articles, sizes)).round(6)
    order = np.lexsort((*reversed(window.articles.list_rank_keys(articles)), distance, of))
    medoids = articles[order[np.cumsum(sizes) - sizes]].tolist()
    telling = _select_telling_terms(window, keys, totals, own, sizes.size)
    return {c: Medoid(article, terms) for c, article, terms in zip(held, medoids, telling, strict=True)}


def _sum_penalties(window: Window, articles: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[Any]:
    """Return, for each article, the sum of what time takes off the scores with the others of its cluster."""
    days = window.articles.get_published(articles)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    one = np.repeat(np.arange(articles.size), size)
    other = first[one] + np.arange(one.size) - np.repeat(np.cumsum(size) - size, size)
    return np.bincount(one, weights=compute_time_penalty(days[one], days[other]), minlength=articles.size)


def _select_telling_terms(
    window: Window, keys: NDArray[np.uint64], totals: NDArray[Any], own: NDArray[np.int64], clusters: int
) -> list[NDArray[np.uint32]]:
    """Return the terms that set each cluster apart: heavy in its `own` articles, and rare in all others."""
    of, terms = (keys >> _HALF).view(np.int64), (keys & _LOW).astype(np.uint32)
    elsewhere = np.maximum(window.scores.count_articles_with(terms) - own, 0)
    rarity = 1 + np.log((1 + len(window)) / (1 + elsewhere))
    heaviness = (totals * rarity).astype(np.float32).view(np.uint32).astype(np.uint64)
    # Positive numbers are in the order of their bits. Cluster, lightness and, for ties, term in one number.
    order = np.argsort(
        (keys >> _HALF) << np.uint64(48) | (heaviness ^ _LOW) << np.uint64(16) | (keys & np.uint64(0xFFFF))
    )
    edges = np.searchsorted(of, np.arange(clusters + 1)).tolist()
    return [terms[order[a : min(b, a + TELLING_TERMS)]] for a, b in pairwise(edges)]
