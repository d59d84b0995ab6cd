"""Assign articles to events: the clusters near to an article are divided anew."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ingestd.core.changeset import ChangeSet, ClusterMembership
from ingestd.core.events.linkage import (
    MAX_INSEPARABLE,
    MAX_RECLUSTERED,
    RECLUSTER_SHARE,
    THRESHOLD,
    CandidateCluster,
    ClusterProposal,
    propose_clusters,
)
from ingestd.core.events.term_vectors import estimate_probability
from ingestd.core.text.term_lookup import TermLookup
from ingestd.core.window.window import Window
from ingestd.matching.pair_cache import PairCache

_NAMED_TERMS = 8  # of the terms that two articles share, in the evidence
_NO_TERMS = np.zeros(0, dtype=np.uint32)


class EventClusters:
    """Clusters the articles of one batch and records the changes."""

    def __init__(self, window: Window, pairs: PairCache, changes: ChangeSet, next_cluster: int) -> None:
        """Number new clusters from `next_cluster`."""
        self._window, self._pairs, self._changes = window, pairs, changes
        self._memberships = window.memberships
        self._next_cluster = next_cluster
        self.previous: dict[int, int] = {}  # clusters of articles whose text has changed
        self._joined: list[tuple[int, int, dict[str, float]]] = []  # article, nearest member, terms to be named

    def assign(self, article_id: int, near: Sequence[int]) -> None:
        """Decide the event of a canonical article from its candidates."""
        canonical = dict.fromkeys(self._memberships.get_canonical(other) for other in near)
        candidates = [c for c in canonical if c in self._window and c != article_id]
        clusters = self._find_clusters(article_id, candidates)
        proposals_from = self._measure(article_id, clusters)
        scores, articles = self._window.scores, self._window.articles
        proposals = propose_clusters(article_id, proposals_from, scores.score_all_pairs, articles.get_outlets)
        self._carry_out(article_id, proposals, clusters)
        members = {proposal.cluster_id: {*proposal.members} for proposal in proposals}
        for cluster, candidate in proposals_from.items():
            if candidate.lowest > -math.inf and members.get(cluster) == {article_id, *candidate.members.tolist()}:
                self._memberships.lowest_scores[cluster] = candidate.lowest

    def name_terms(self, lookup: TermLookup) -> None:
        """Add to the evidence of all that joined a cluster the words that made most of the score."""
        ones, others = np.array([joined[:2] for joined in self._joined], dtype=np.int64).reshape(-1, 2).T
        shared = self._window.scores.find_shared_terms(ones, others, _NAMED_TERMS)
        articles = [one for one, (terms, _) in zip(ones.tolist(), shared, strict=True) for _ in range(terms.size)]
        places = iter(lookup.find_terms(articles, np.concatenate([_NO_TERMS, *(terms for terms, _ in shared)])))
        for (_, _, named), (_, products) in zip(self._joined, shared, strict=True):
            found = zip(islice(places, products.size), products.tolist(), strict=True)
            named.update({lookup.read_word(place): round(product, 4) for place, product in found if place >= 0})

    def follow_revision(self, article_id: int) -> None:
        """Record that a revised article left the cluster of its old text."""
        previous, cluster = self.previous.pop(article_id, None), self._memberships.get_cluster(article_id)
        if previous is not None and cluster not in (None, previous):
            self._changes.touched.add(previous)
            if not self._memberships.has_members(previous):
                self._changes.merge(previous, cluster or 0)

    def _find_clusters(self, article_id: int, candidates: Sequence[int]) -> dict[int, NDArray[np.int64]]:
        """Return the clusters of the candidates, nearest first, with the members that are scored."""
        scores = self._pairs.get_scores(article_id, candidates)
        clusters: dict[int, NDArray[np.int64]] = {}
        for other in sorted(candidates, key=lambda c: -scores[c]):
            if scores[other] < THRESHOLD * RECLUSTER_SHARE:
                break
            cluster = self._memberships.get_cluster(other)
            if cluster is None or cluster in clusters:
                continue
            if self._memberships.accepts(cluster, article_id, other, self._window.quiet_days):
                # As many as can be divided anew at once, which also bounds the cost of joining a giant.
                clusters[cluster] = self._memberships.list_members(cluster, MAX_RECLUSTERED)
        return clusters

    def _measure(self, article_id: int, clusters: Mapping[int, NDArray[np.int64]]) -> dict[int, CandidateCluster]:
        """Return how an article scores with the members of each cluster."""
        scores = self._pairs.get_scores(article_id, [member for ids in clusters.values() for member in ids.tolist()])
        measured = {}
        for cluster, ids in clusters.items():
            mean, lowest = self._pairs.compute_mean(article_id, ids), -math.inf
            if mean >= THRESHOLD and ids.size < MAX_INSEPARABLE:
                lowest = min(self._window.scores.find_lowest(cluster), *(scores[other] for other in ids.tolist()))
            measured[cluster] = CandidateCluster(ids, mean, lowest)
        return measured

    def _carry_out(
        self, newcomer: int, proposals: Sequence[ClusterProposal], clusters: Mapping[int, NDArray[np.int64]]
    ) -> None:
        before = {int(member): cluster for cluster, members in clusters.items() for member in members}
        moved: dict[int, Counter[int]] = {}
        for proposal in proposals:
            cluster = proposal.cluster_id
            if cluster is None:
                cluster = self._open_cluster(proposal, newcomer, before)
            for member in proposal.members:
                if member == newcomer:
                    self._join_cluster(newcomer, cluster, proposal)
                elif before[member] != cluster:
                    self._memberships.set_cluster(member, cluster)
                    self._changes.move(member, cluster)
                    self._changes.touched.add(before[member])
                    moved.setdefault(before[member], Counter())[cluster] += 1
        for left, to in moved.items():
            self._log_moves(left, to, newcomer)

    def _open_cluster(self, proposal: ClusterProposal, newcomer: int, before: Mapping[int, int]) -> int:
        previous = self.previous.get(newcomer)
        if len(proposal.members) == 1 and previous is not None and not self._memberships.has_members(previous):
            return previous  # the text has changed, and the article is still alone: the same event
        cluster, self._next_cluster = self._next_cluster, self._next_cluster + 1
        self._changes.opened.append(cluster)
        others = [member for member in proposal.members if member != newcomer]
        if others:
            self._changes.add_log_entry("split", cluster, other=before[others[0]], article=newcomer, articles=others)
        else:
            self._changes.add_log_entry("created", cluster, article=newcomer)
        return cluster

    def _join_cluster(self, newcomer: int, cluster: int, proposal: ClusterProposal) -> None:
        self._memberships.set_cluster(newcomer, cluster)
        others = [member for member in proposal.members if member != newcomer]
        if not others:
            self._changes.join(newcomer, ClusterMembership(cluster, "seed", None, None, {}))
            return
        scores = self._pairs.get_scores(newcomer, others)
        mean, best = self._pairs.compute_mean(newcomer, np.array(others)), max(others, key=scores.__getitem__)
        terms: dict[str, float] = {}
        evidence = {
            "mean_score": round(mean, 4),
            "best_score": round(scores[best], 4),
            "compared_with": len(others),
            "terms": terms,
        }
        self._joined.append((newcomer, best, terms))
        self._changes.join(newcomer, ClusterMembership(cluster, "coverage", estimate_probability(mean), best, evidence))
        self._changes.add_log_entry("joined", cluster, article=newcomer, mean_score=round(mean, 4))

    def _log_moves(self, left: int, to: Counter[int], newcomer: int) -> None:
        """Log the moves out of a cluster; an empty cluster has merged into the new cluster of most members."""
        if not self._memberships.has_members(left):
            self._changes.merge(left, max(to, key=lambda cluster: (to[cluster], -cluster)))
        else:
            for cluster, count in to.items():
                self._changes.add_log_entry("left", left, other=cluster, article=newcomer, articles=count)
