"""What stands for a cluster: the article nearest to all its others, and the terms that set it apart from its weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

# Who speaks for a cluster, and hashes of its most telling terms.
Centre = tuple[int, NDArray[np.uint32]]


def centres(window: Window, clusters: Sequence[int]) -> Mapping[int, Centre]:
    """
    Return who speaks for each of some clusters and its most telling terms; nothing where no member is held.

    The member nearest to all others speaks; ties: the earliest published, then the longer, then the lower id.

    Args:
        window: holds the members.
        clusters: ids, at most 65,536.
    """
    members = {cluster: window.members(cluster, MAX_RECLUSTERED) for cluster in clusters}
    held = [cluster for cluster, articles in members.items() if articles.size]
    if not held:
        return {}
    articles = np.concatenate([members[cluster] for cluster in held])
    sizes = np.array([members[cluster].size for cluster in held])
    of = np.repeat(np.arange(sizes.size), sizes)  # number of the cluster of each article
    terms, weights, owner = window.terms_of(articles)
    keys, which, own = sort_unique_with_inverse(of[owner].astype(np.uint64) << _HALF | terms)
    totals = np.bincount(which, weights=weights)  # of a term in its cluster
    # The cosines with all others add up to the product with the sum of the others.
    nearness = np.bincount(owner, weights=weights * (totals[which] - weights), minlength=articles.size)
    far = -(nearness - _penalties(window, articles, sizes)).round(6)
    order = np.lexsort((*reversed(window.precedence(articles)), far, of))
    speakers = articles[order[np.cumsum(sizes) - sizes]].tolist()
    telling = _telling(window, keys, totals, own, sizes.size)
    return dict(zip(held, zip(speakers, telling, strict=True), strict=True))


def _penalties(window: Window, articles: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[Any]:
    """Return what the time between each article and the others of its cluster takes off its scores with them."""
    days = window.published(articles)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    one = np.repeat(np.arange(articles.size), size)
    other = first[one] + np.arange(one.size) - np.repeat(np.cumsum(size) - size, size)
    return np.bincount(one, weights=compute_time_penalty(days[one], days[other]), minlength=articles.size)


def _telling(
    window: Window, keys: NDArray[np.uint64], totals: NDArray[Any], own: NDArray[np.int64], clusters: int
) -> list[NDArray[np.uint32]]:
    """Return what sets each event apart from its weeks: terms heavy in its `own` articles, and rare in all others."""
    of, terms = (keys >> _HALF).view(np.int64), (keys & _LOW).astype(np.uint32)
    elsewhere = np.maximum(window.spread(terms) - own, 0)
    rarity = 1 + np.log((1 + len(window)) / (1 + elsewhere))
    heaviness = (totals * rarity).astype(np.float32).view(np.uint32).astype(np.uint64)
    # Positive numbers are in the order of their bits. Cluster, lightness and, for ties, term in one number.
    order = np.argsort(
        (keys >> _HALF) << np.uint64(48) | (heaviness ^ _LOW) << np.uint64(16) | (keys & np.uint64(0xFFFF))
    )
    edges = np.searchsorted(of, np.arange(clusters + 1)).tolist()
    return [terms[order[a : min(b, a + TELLING_TERMS)]] for a, b in pairwise(edges)]
