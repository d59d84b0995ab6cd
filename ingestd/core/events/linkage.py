"""
Decide the cluster of a new article: join a cluster, open a cluster, merge clusters, or split a cluster.

All four are one step: average linkage divides the articles of the nearest clusters anew. Clusters out of reach of the
article stay as they are, so the cost of an arrival does not grow with the number of clusters, and the order of arrival
hardly matters (measured: docs/quality.md). Single linkage and connected components are unsuitable: one article between
two events would fuse the two clusters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mean score of articles on one event, and the share by which the threshold rises with every doubling of the smaller of
# two groups: among more articles, some articles on two events are likely to sound alike. B-cubed F1 on basil,
# wikinews_galaxy and ecbplus together is .938 to .940 from .155 to .165 with a rise of .03, .936 to .940 with .05.
THRESHOLD = 0.16
TIGHTENING = 0.05
# Two groups stay apart if the mean score between the groups is below this share of the mean score within the looser
# group: two quakes in one country, two arrests of players of one team. Set on the same corpora: no event is split up to
# .7, some events are split from .75 on. In a group of fewer members the mean within is no reliable measure.
CONTRAST = 0.65
CONTRAST_MEMBERS = 4
# So few articles cannot form two groups of `CONTRAST_MEMBERS`: if all pair scores are high enough, one part is certain.
MAX_INSEPARABLE = 2 * CONTRAST_MEMBERS - 1
# A cluster is clustered again, with the nearest cluster, if its mean score is at least this share of the threshold.
RECLUSTER_SHARE = 0.6
# Most articles clustered again at once; the cost grows with the square.
MAX_RECLUSTERED = 150
# A larger cluster with no other cluster near is clustered again only after growing by an eighth of this number.
ALWAYS_RECLUSTERED = 32


@dataclass(frozen=True, slots=True)
class ClusterProposal:
    """Articles on one event, and the cluster to put all of them into."""

    cluster_id: int | None  # None: a new cluster
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CandidateCluster:
    """A cluster with candidates of an article."""

    members: NDArray[np.int64]  # canonical articles
    mean: float  # mean score of the article with the members, weighted by `compute_outlet_weights`
    lowest: float = -math.inf  # lowest score of all pairs of members and article, if known


def propose_clusters(
    newcomer: int,
    candidates: Mapping[int, CandidateCluster],
    all_scores: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    outlets: Callable[[NDArray[np.int64]], NDArray[np.uint32]],
) -> tuple[ClusterProposal, ...]:
    """
    Propose a cluster for a new article, and new clusters for other articles if the new article changes them.

    Args:
        newcomer: the article.
        candidates: clusters that hold a candidate of the article, by id.
        all_scores: returns the scores of all pairs of n articles, shape (n, n).
        outlets: returns a number for the outlet of each of n articles, 0 for an unknown outlet.

    Returns:
        Proposals that together hold the new article and all members of the clusters that change. Without a near cluster
        the new article is a proposal of its own.
    """
    # Ids break ties: the older cluster wins.
    nearest = sorted(candidates, key=lambda cluster: (-candidates[cluster].mean, cluster))
    if not nearest or candidates[nearest[0]].mean < THRESHOLD * RECLUSTER_SHARE:
        return (ClusterProposal(None, (newcomer,)),)
    together = _choose_clusters(nearest, candidates)
    first = candidates[nearest[0]]
    size = first.members.size
    due = size <= ALWAYS_RECLUSTERED or size % (ALWAYS_RECLUSTERED // 8) == 0
    due = due and size > 1  # linkage adds nothing for two articles: the mean is the only score
    due = due and not _is_surely_one_cluster(size + 1, first.lowest)
    if first.mean >= THRESHOLD and (not together or (len(together) == 1 and not due)):
        return (ClusterProposal(nearest[0], (*first.members.tolist(), newcomer)),)
    if not together or (len(together) == 1 and size == 1):
        return (ClusterProposal(None, (newcomer,)),)
    pool = np.concatenate([np.array([newcomer]), *(candidates[cluster].members for cluster in together)])
    home = {int(member): cluster for cluster in together for member in candidates[cluster].members}
    parts = run_average_linkage(
        all_scores(pool), compute_outlet_weights(outlets(pool).tolist()), THRESHOLD, TIGHTENING, CONTRAST
    )
    return _assign_cluster_ids(parts, pool, home)


def _is_surely_one_cluster(articles: int, lowest: float) -> bool:
    """Return whether linkage surely leaves so many articles in one part, given the lowest score of all pairs."""
    needed = THRESHOLD * (1 + TIGHTENING * math.log2(max(1, articles // 2)))
    return articles <= MAX_INSEPARABLE and lowest >= needed


def compute_outlet_weights(outlets: Sequence[int]) -> list[float]:
    """
    Return the weight of each article: all articles of one outlet together weigh as much as one article of another.

    Five updates of one newsroom say little more than one update. An article of an unknown outlet (0) weighs 1.
    """
    times = Counter(outlets)
    return [1 / times[outlet] if outlet else 1.0 for outlet in outlets]


def _choose_clusters(nearest: Sequence[int], candidates: Mapping[int, CandidateCluster]) -> list[int]:
    """Return the clusters to cluster again, nearest first, up to `MAX_RECLUSTERED` articles."""
    chosen, size = [], 1
    for cluster in nearest:
        size += candidates[cluster].members.size
        if candidates[cluster].mean >= THRESHOLD * RECLUSTER_SHARE and size <= MAX_RECLUSTERED:
            chosen.append(cluster)
    return chosen


def run_average_linkage(
    scores: NDArray[np.float64], weights: Sequence[float], threshold: float, tightening: float, contrast: float
) -> list[list[int]]:
    """
    Divide articles into parts: merge the two closest parts while their mean score is at least the threshold.

    Two parts of `CONTRAST_MEMBERS` or more also need at least `contrast` times the mean score within the looser part.

    Args:
        scores: shape (n, n), symmetric; the diagonal is not read.
        weights: weight of each article in a mean.
        threshold: lowest score at which two single articles form a part.
        tightening: share by which the threshold rises with every doubling of the smaller of two parts.
        contrast: 0 for plain average linkage.

    Returns:
        Indices of each part, ascending within it; parts by their first index.

    Source: Sokal and Michener 1958 (UPGMA).
    """
    weight = np.array(weights)  # of each part
    total = scores * np.outer(weight, weight)  # sum of the weighted scores between two parts
    np.fill_diagonal(total, 0.0)
    link = np.where(scores >= threshold, scores, -np.inf)
    np.fill_diagonal(link, -np.inf)
    parts: list[list[int]] = [[i] for i in range(len(scores))]
    sizes, squares, inside = np.ones(len(scores)), weight**2, np.zeros(len(scores))  # inside: total within
    merged = np.zeros(len(scores), dtype=bool)  # into another part
    while True:
        i, j = divmod(int(link.argmax()), len(scores))
        if link[i, j] == -np.inf:
            break
        if min(sizes[i], sizes[j]) >= CONTRAST_MEMBERS:
            within = min(2 * inside[p] / (weight[p] ** 2 - squares[p]) for p in (i, j))
            if link[i, j] < contrast * within:
                link[i, j] = link[j, i] = -np.inf  # until one of the two parts changes
                continue
        parts[i], parts[j], merged[j] = parts[i] + parts[j], [], True
        inside[i] += inside[j] + total[i, j]
        for of_part in (sizes, squares, weight):
            of_part[i] += of_part[j]
        total[i, :] += total[j, :]
        total[:, i] = total[i, :]
        row = total[i] / (weight[i] * weight)
        needed = threshold * (1 + tightening * np.log2(np.minimum(sizes[i], sizes)))
        row[(row < needed) | merged] = -np.inf
        row[i] = -np.inf
        link[i, :], link[:, i] = row, row
        link[j, :], link[:, j] = -np.inf, -np.inf
    return [sorted(part) for part in parts if part]


def _assign_cluster_ids(
    parts: Sequence[Sequence[int]], pool: NDArray[np.int64], home: Mapping[int, int]
) -> tuple[ClusterProposal, ...]:
    """Give each part the most frequent cluster id of its members, the largest part first; further parts are new."""
    taken: set[int] = set()
    proposals = []
    for part in sorted(parts, key=lambda part: (-len(part), part[0])):
        members = tuple(int(pool[i]) for i in part)
        votes = Counter(home[m] for m in members if m in home and home[m] not in taken)
        cluster = min(votes, key=lambda c: (-votes[c], c)) if votes else None
        if cluster is not None:
            taken.add(cluster)
        proposals.append(ClusterProposal(cluster, members))
    return tuple(proposals)
