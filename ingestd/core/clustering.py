"""
Which articles cover one event: join a cluster, open one, merge some, or split one.

All four are one step. An article joins the cluster whose members it resembles most in the mean; when other clusters
are nearly as close, the articles of all of them are divided anew by average linkage. Only clusters that the article
touches are decided again, so an arrival costs the same however many clusters there are, and the order of arrival
hardly matters (measured: docs/events.md). No single link and no connected components: one article between two events
would fuse them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mean score at which articles cover one event. B-cubed F1 on basil, wikinews_galaxy and ecbplus together is flat
# from .18 to .20.
THRESHOLD = 0.19
# A cluster this near to the threshold is decided again together with the one that is joined.
NEARLY = 0.6
# Articles decided again at once; the cost grows with their square.
MOST_TOGETHER = 150


@dataclass(frozen=True, slots=True)
class Part:
    """Articles that cover one event, and the cluster that they are from now on."""

    cluster_id: int | None  # None: a new one
    members: tuple[int, ...]


def decide(
    newcomer: int,
    touched: Mapping[int, NDArray[np.int64]],
    means: Mapping[int, float],
    all_scores: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> tuple[Part, ...]:
    """
    Decide where an article belongs, and whether that changes where others do.

    Args:
        newcomer: the article.
        touched: members of each cluster that holds a candidate, by cluster id; copies counted once.
        means: the newcomer's mean score with those members, by cluster id.
        all_scores: from n articles to their scores among one another, shape (n, n).

    Returns:
        Parts that together hold the newcomer and all articles of the clusters that change. With nothing but itself in
        reach the newcomer is a part of its own.
    """
    # Ids break ties: the older cluster wins.
    nearest = sorted(means, key=lambda cluster: (-means[cluster], cluster))
    if not nearest or means[nearest[0]] < THRESHOLD * NEARLY:
        return (Part(None, (newcomer,)),)
    together = _within_reach(nearest, touched, means)
    if means[nearest[0]] >= THRESHOLD and len(together) <= 1:
        return (Part(nearest[0], (*touched[nearest[0]].tolist(), newcomer)),)
    if not together:
        return (Part(None, (newcomer,)),)
    pool = np.concatenate([np.array([newcomer]), *(touched[cluster] for cluster in together)])
    home = {int(member): cluster for cluster in together for member in touched[cluster]}
    return _named(average_link(all_scores(pool), THRESHOLD), pool, home)


def _within_reach(
    nearest: Sequence[int], touched: Mapping[int, NDArray[np.int64]], means: Mapping[int, float]
) -> list[int]:
    """Return the clusters to decide again, nearest first, as many as can be taken together."""
    chosen, size = [], 1
    for cluster in nearest:
        size += touched[cluster].size
        if means[cluster] >= THRESHOLD * NEARLY and size <= MOST_TOGETHER:
            chosen.append(cluster)
    return chosen


def average_link(scores: NDArray[np.float64], threshold: float) -> list[list[int]]:
    """
    Divide articles so that within a part the mean score of those merged is at least the threshold.

    Args:
        scores: shape (n, n), symmetric; the diagonal is not read.
        threshold: parts merge while the best mean is at least this.

    Returns:
        Indices of each part, ascending within it; parts by their first index.

    Source: Sokal and Michener 1958 (UPGMA).
    """
    link = scores.astype(np.float64)
    np.fill_diagonal(link, -np.inf)
    parts: list[list[int] | None] = [[i] for i in range(len(scores))]
    sizes = np.ones(len(scores))
    while True:
        i, j = divmod(int(link.argmax()), len(scores))
        left, right = parts[i], parts[j]
        if link[i, j] < threshold or left is None or right is None:
            break
        merged = (sizes[i] * link[i] + sizes[j] * link[j]) / (sizes[i] + sizes[j])
        merged[i] = -np.inf
        link[i, :], link[:, i] = merged, merged
        link[j, :], link[:, j] = -np.inf, -np.inf
        sizes[i] += sizes[j]
        parts[i], parts[j] = left + right, None
    return [sorted(part) for part in parts if part is not None]


def _named(parts: Sequence[Sequence[int]], pool: NDArray[np.int64], home: Mapping[int, int]) -> tuple[Part, ...]:
    """Give each part the id that most of its members had, the largest part first; what is left over is new."""
    taken: set[int] = set()
    named = []
    for part in sorted(parts, key=lambda part: (-len(part), part[0])):
        members = tuple(int(pool[i]) for i in part)
        votes = Counter(home[m] for m in members if m in home and home[m] not in taken)
        cluster = min(votes, key=lambda c: (-votes[c], c)) if votes else None
        if cluster is not None:
            taken.add(cluster)
        named.append(Part(cluster, members))
    return tuple(named)
