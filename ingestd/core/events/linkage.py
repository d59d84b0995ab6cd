"""
Which articles cover one event: join a cluster, open one, merge some, or split one.

All four are one step: the articles of the clusters that an article comes near to are divided anew, by average linkage.
Only clusters that the article touches are decided again, so an arrival costs the same however many clusters there are,
and the order of arrival hardly matters (measured: docs/quality.md). No single link and no connected components: one
article between two events would fuse them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mean score at which articles cover one event, and by what share it rises with every doubling of the smaller of two
# groups: the more articles there are, the likelier it is that some of two events sound alike. B-cubed F1 on basil,
# wikinews_galaxy and ecbplus together is .938 to .940 from .155 to .165 with a rise of .03, .936 to .940 with .05.
THRESHOLD = 0.16
TIGHTENING = 0.05
# Two groups that are each as close within do not become one when they are so much less close to each other: two quakes
# in one country, two arrests of one team's players. Set on the same corpora: up to .7 no event is torn apart, from .75
# on some are. A group of fewer members says too little of how close its event's reports are.
CONTRAST = 0.65
CONTRAST_MEMBERS = 4
# Of so few articles no two groups are both that large: they are one part for certain if all of them are near enough.
MAX_INSEPARABLE = 2 * CONTRAST_MEMBERS - 1
# A cluster this near to the threshold is decided again together with the one that is joined.
RECLUSTER_SHARE = 0.6
# Articles decided again at once; the cost grows with their square.
MAX_RECLUSTERED = 150
# A cluster of more is divided anew only when it has grown by an eighth of this, if nothing else is near.
ALWAYS_RECLUSTERED = 32


@dataclass(frozen=True, slots=True)
class ClusterProposal:
    """Articles that cover one event, and the cluster that they are from now on."""

    cluster_id: int | None  # None: a new one
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CandidateCluster:
    """A cluster that an article comes near to."""

    members: NDArray[np.int64]  # copies counted once
    mean: float  # score of the article with them, weighed by `compute_outlet_weights`
    lowest: float = -math.inf  # of the scores of all pairs of them and the article, where it is known


def propose_clusters(
    newcomer: int,
    touched: Mapping[int, CandidateCluster],
    all_scores: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    outlets: Callable[[NDArray[np.int64]], NDArray[np.uint32]],
) -> tuple[ClusterProposal, ...]:
    """
    Decide where an article belongs, and whether that changes where others do.

    Args:
        newcomer: the article.
        touched: the clusters that hold a candidate, by id.
        all_scores: from n articles to their scores among one another, shape (n, n).
        outlets: from n articles to a number for the outlet of each, 0 where it is unknown.

    Returns:
        Parts that together hold the newcomer and all articles of the clusters that change. With nothing but itself in
        reach the newcomer is a part of its own.
    """
    # Ids break ties: the older cluster wins.
    nearest = sorted(touched, key=lambda cluster: (-touched[cluster].mean, cluster))
    if not nearest or touched[nearest[0]].mean < THRESHOLD * RECLUSTER_SHARE:
        return (ClusterProposal(None, (newcomer,)),)
    together = _within_reach(nearest, touched)
    first = touched[nearest[0]]
    size = first.members.size
    due = size <= ALWAYS_RECLUSTERED or size % (ALWAYS_RECLUSTERED // 8) == 0
    due = due and size > 1  # two articles go together or they do not
    due = due and not _inseparable(size + 1, first.lowest)
    if first.mean >= THRESHOLD and (not together or (len(together) == 1 and not due)):
        return (ClusterProposal(nearest[0], (*first.members.tolist(), newcomer)),)
    if not together or (len(together) == 1 and size == 1):
        return (ClusterProposal(None, (newcomer,)),)
    pool = np.concatenate([np.array([newcomer]), *(touched[cluster].members for cluster in together)])
    home = {int(member): cluster for cluster in together for member in touched[cluster].members}
    parts = run_average_linkage(
        all_scores(pool), compute_outlet_weights(outlets(pool).tolist()), THRESHOLD, TIGHTENING, CONTRAST
    )
    return _named(parts, pool, home)


def _inseparable(articles: int, lowest: float) -> bool:
    """Tell whether so many articles are one part for certain: no mean of scores lies below the lowest of them."""
    needed = THRESHOLD * (1 + TIGHTENING * math.log2(max(1, articles // 2)))
    return articles <= MAX_INSEPARABLE and lowest >= needed


def compute_outlet_weights(outlets: Sequence[int]) -> list[float]:
    """
    Return what each of some articles counts for: all of one outlet together as much as one of another.

    Five updates of one newsroom say little more than one. An unknown outlet (0) is taken for one of its own.
    """
    times = Counter(outlets)
    return [1 / times[outlet] if outlet else 1.0 for outlet in outlets]


def _within_reach(nearest: Sequence[int], touched: Mapping[int, CandidateCluster]) -> list[int]:
    """Return the clusters to decide again, nearest first, as many as can be taken together."""
    chosen, size = [], 1
    for cluster in nearest:
        size += touched[cluster].members.size
        if touched[cluster].mean >= THRESHOLD * RECLUSTER_SHARE and size <= MAX_RECLUSTERED:
            chosen.append(cluster)
    return chosen


def run_average_linkage(
    scores: NDArray[np.float64], weights: Sequence[float], threshold: float, tightening: float, contrast: float
) -> list[list[int]]:
    """
    Divide articles so that within a part the mean score of those merged is at least the threshold.

    Groups of `CONTRAST_MEMBERS` and more merge only if that mean is also a good part of the mean score within them.

    Args:
        scores: shape (n, n), symmetric; the diagonal is not read.
        weights: what each article counts for in a mean.
        threshold: two single articles make a part if their score is at least this.
        tightening: share by which it rises with every doubling of the smaller of two parts.
        contrast: share of the mean score within the less close group; 0 for plain average linkage.

    Returns:
        Indices of each part, ascending within it; parts by their first index.

    Source: Sokal and Michener 1958 (UPGMA).
    """
    weight = np.array(weights)  # of each part
    total = scores * np.outer(weight, weight)  # of the scores between two parts
    np.fill_diagonal(total, 0.0)
    link = np.where(scores >= threshold, scores, -np.inf)
    np.fill_diagonal(link, -np.inf)
    parts: list[list[int]] = [[i] for i in range(len(scores))]
    sizes, squares, inside = np.ones(len(scores)), weight**2, np.zeros(len(scores))  # inside: what total is within
    gone = np.zeros(len(scores), dtype=bool)
    while True:
        i, j = divmod(int(link.argmax()), len(scores))
        if link[i, j] == -np.inf:
            break
        if min(sizes[i], sizes[j]) >= CONTRAST_MEMBERS:
            within = min(2 * inside[p] / (weight[p] ** 2 - squares[p]) for p in (i, j))
            if link[i, j] < contrast * within:
                link[i, j] = link[j, i] = -np.inf  # until one of them has changed
                continue
        parts[i], parts[j], gone[j] = parts[i] + parts[j], [], True
        inside[i] += inside[j] + total[i, j]
        for of_part in (sizes, squares, weight):
            of_part[i] += of_part[j]
        total[i, :] += total[j, :]
        total[:, i] = total[i, :]
        row = total[i] / (weight[i] * weight)
        needed = threshold * (1 + tightening * np.log2(np.minimum(sizes[i], sizes)))
        row[(row < needed) | gone] = -np.inf
        row[i] = -np.inf
        link[i, :], link[:, i] = row, row
        link[j, :], link[:, j] = -np.inf, -np.inf
    return [sorted(part) for part in parts if part]


def _named(
    parts: Sequence[Sequence[int]], pool: NDArray[np.int64], home: Mapping[int, int]
) -> tuple[ClusterProposal, ...]:
    """Give each part the id that most of its members had, the largest part first; what is left over is new."""
    taken: set[int] = set()
    named = []
    for part in sorted(parts, key=lambda part: (-len(part), part[0])):
        members = tuple(int(pool[i]) for i in part)
        votes = Counter(home[m] for m in members if m in home and home[m] not in taken)
        cluster = min(votes, key=lambda c: (-votes[c], c)) if votes else None
        if cluster is not None:
            taken.add(cluster)
        named.append(ClusterProposal(cluster, members))
    return tuple(named)
