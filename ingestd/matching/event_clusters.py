"""Which articles cover one event: the clusters that an article comes near to are decided anew."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ingestd.core.events.linkage import (
    MAX_INSEPARABLE,
    MAX_RECLUSTERED,
    RECLUSTER_SHARE,
    THRESHOLD,
    CandidateCluster,
    ClusterProposal,
    compute_outlet_weights,
    propose_clusters,
)
from ingestd.core.events.term_vectors import estimate_probability
from ingestd.matching.needs import Needs
from ingestd.store.changes import ChangeSet

_NAMED_TERMS = 8  # of those that two articles share, in the evidence
_NO_TERMS = np.zeros(0, dtype=np.uint32)


class Events:
    """Carries out what the core says of events."""

    def __init__(self, needs: Needs, changes: ChangeSet, next_cluster: int) -> None:
        """Write down in `changes` what becomes different; new clusters are numbered from `next_cluster`."""
        self._needs, self._window, self._changes = needs, needs.window, changes
        self._next_cluster = next_cluster
        self.came_from: dict[int, int] = {}  # clusters of articles whose text has changed
        self._joined: list[tuple[int, int, dict[str, float]]] = []  # article, the nearest member, words to be named

    def decide(self, article_id: int, near: Sequence[int]) -> None:
        """Decide the event of an article that is nobody's copy, from those that it comes near to."""
        originals = dict.fromkeys(self._window.canonical_of(other) for other in near)
        candidates = [c for c in originals if c in self._window and c != article_id]
        scores = self._needs.scores(article_id, candidates)
        clusters: dict[int, NDArray[np.int64]] = {}
        for other in sorted(candidates, key=lambda c: -scores[c]):
            if scores[other] < THRESHOLD * RECLUSTER_SHARE:
                break
            cluster = self._window.cluster_of(other)
            if cluster is not None and cluster not in clusters and self._window.open_for(cluster, article_id, other):
                # As many as can be decided again at once, which also bounds the cost of joining a giant.
                clusters[cluster] = self._window.members(cluster, MAX_RECLUSTERED)
        touched = self._touched(article_id, clusters)
        parts = propose_clusters(article_id, touched, self._window.all_scores, self._window.outlets)
        self._carry_out(article_id, parts, clusters)
        members = {part.cluster_id: {*part.members} for part in parts}
        for cluster, it in touched.items():
            if it.lowest > -math.inf and members.get(cluster) == {article_id, *it.members.tolist()}:
                self._window.has_lowest_score(cluster, it.lowest)

    def name_terms(self) -> None:
        """Write into the evidence of all that joined a cluster which words made most of the score, and how much."""
        ones, others = np.array([joined[:2] for joined in self._joined], dtype=np.int64).reshape(-1, 2).T
        shared = self._window.shared_terms(ones, others, _NAMED_TERMS)
        articles = [one for one, (terms, _) in zip(ones.tolist(), shared, strict=True) for _ in range(terms.size)]
        glossary = self._changes.glossary
        places = iter(glossary.find_terms(articles, np.concatenate([_NO_TERMS, *(terms for terms, _ in shared)])))
        for (_, _, named), (_, products) in zip(self._joined, shared, strict=True):
            found = zip(islice(places, products.size), products.tolist(), strict=True)
            named.update({glossary.read_word(place): round(product, 4) for place, product in found if place >= 0})

    def _touched(self, article_id: int, clusters: Mapping[int, NDArray[np.int64]]) -> dict[int, CandidateCluster]:
        """Return how an article scores with the members of each cluster."""
        scores = self._needs.scores(article_id, [member for ids in clusters.values() for member in ids.tolist()])
        touched = {}
        for cluster, ids in clusters.items():
            mean, lowest = self._mean(article_id, ids), -math.inf
            if mean >= THRESHOLD and ids.size < MAX_INSEPARABLE:
                lowest = min(self._window.lowest_score(cluster), *(scores[other] for other in ids.tolist()))
            touched[cluster] = CandidateCluster(ids, mean, lowest)
        return touched

    def _mean(self, article_id: int, others: NDArray[np.int64]) -> float:
        scores = self._needs.scores(article_id, others.tolist())
        weights = compute_outlet_weights(self._window.outlets(others).tolist())
        return sum(w * scores[other] for w, other in zip(weights, others.tolist(), strict=True)) / sum(weights)

    def _carry_out(
        self, newcomer: int, parts: Sequence[ClusterProposal], touched: dict[int, NDArray[np.int64]]
    ) -> None:
        before = {int(member): cluster for cluster, members in touched.items() for member in members}
        went: dict[int, Counter[int]] = {}
        for part in parts:
            cluster = part.cluster_id if part.cluster_id is not None else self._open(part, newcomer, before)
            for member in part.members:
                if member == newcomer:
                    self._join(newcomer, cluster, part)
                elif before[member] != cluster:
                    self._window.set_cluster(member, cluster)
                    self._changes.move(member, cluster)
                    self._changes.touched.add(before[member])
                    went.setdefault(before[member], Counter())[cluster] += 1
        for left, to in went.items():
            self._note_moves(left, to, newcomer)

    def _open(self, part: ClusterProposal, newcomer: int, before: dict[int, int]) -> int:
        came_from = self.came_from.get(newcomer)
        if len(part.members) == 1 and came_from is not None and not self._window.members(came_from).size:
            return came_from  # its text has changed, and it is still alone: the same event
        cluster, self._next_cluster = self._next_cluster, self._next_cluster + 1
        self._changes.clusters.append(cluster)
        others = [member for member in part.members if member != newcomer]
        if others:
            self._changes.note("split", cluster, other=before[others[0]], article=newcomer, articles=others)
        else:
            self._changes.note("created", cluster, article=newcomer)
        return cluster

    def _join(self, newcomer: int, cluster: int, part: ClusterProposal) -> None:
        self._window.set_cluster(newcomer, cluster)
        others = [member for member in part.members if member != newcomer]
        if not others:
            self._changes.join(newcomer, cluster, "seed", None, None, {})
            return
        scores = self._needs.scores(newcomer, others)
        mean, best = self._mean(newcomer, np.array(others)), max(others, key=scores.__getitem__)
        terms: dict[str, float] = {}
        evidence = {
            "mean_score": round(mean, 4),
            "best_score": round(scores[best], 4),
            "compared_with": len(others),
            "terms": terms,
        }
        self._joined.append((newcomer, best, terms))
        self._changes.join(newcomer, cluster, "coverage", estimate_probability(mean), best, evidence)
        self._changes.note("joined", cluster, article=newcomer, mean_score=round(mean, 4))

    def _note_moves(self, left: int, to: Counter[int], newcomer: int) -> None:
        """Log what became of a cluster that members left; with nobody left it has merged into where most went."""
        if not self._window.members(left).size:
            self._changes.merge(left, max(to, key=lambda cluster: (to[cluster], -cluster)))
        else:
            for cluster, count in to.items():
                self._changes.note("left", left, other=cluster, article=newcomer, articles=count)
