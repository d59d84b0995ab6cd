"""Divide groups of copies anew, and let the window and the clusters follow."""

from __future__ import annotations

from collections.abc import Sequence

from ingestd.core.changeset import ChangeSet, ClusterMembership, CopyLink
from ingestd.core.copies.diff import find_differences
from ingestd.core.copies.star_groups import CopyMembership, group_copies
from ingestd.core.copies.verify import classify_relation
from ingestd.core.window.window import Window
from ingestd.matching.corpus import Corpus
from ingestd.matching.pair_cache import PairCache
from ingestd.matching.window_loader import load_articles

# Copies divided anew at once; the work grows with their square.
MOST_COPIES = 40


class CopyGroups:
    """Groups the copies of one batch and records the changes."""

    def __init__(
        self, corpus: Corpus, window: Window, pairs: PairCache, changes: ChangeSet, most_copies: int = MOST_COPIES
    ) -> None:
        """Divide up to `most_copies` copies anew at once."""
        self._corpus, self._window, self._pairs, self._changes = corpus, window, pairs, changes
        self._memberships = window.memberships
        self.most_copies = most_copies

    def divide(self, article_id: int, matches: Sequence[int]) -> dict[int, CopyMembership]:
        """Return the places of an article and of all articles in a group with a match."""
        canonical = sorted({self._memberships.get_canonical(match) for match in matches})
        load_articles(self._window, self._corpus, canonical)
        together = {member.article_id: member for c in canonical for member in self._memberships.list_group(c)}
        together[article_id] = self._window.articles.rank(article_id)
        if len(together) == 1:
            return {article_id: CopyMembership(article_id, None, None)}
        if len(together) <= self.most_copies:
            return group_copies(list(together.values()), self._pairs.find_matches(list(together)))
        # So many copies are not divided anew: the newcomer goes to the canonical article that matches best, unless
        # articles that were placed in the meantime have the newcomer as their canonical article already.
        overlaps = [
            (shared.jaccard, -c, shared) for c in canonical if (shared := self._pairs.find_overlap(article_id, c))
        ]
        if not overlaps or article_id in canonical:
            return {article_id: CopyMembership(article_id, None, None)}
        _, negative, best = max(overlaps, key=lambda found: found[:2])
        return {article_id: CopyMembership(-negative, -negative, best)}

    def regroup(self, newcomer: int, places: dict[int, CopyMembership]) -> list[int]:
        """Carry out a grouping; return articles that were copies, are canonical now, and have no cluster."""
        memberships = self._memberships
        changed = {a: p for a, p in places.items() if a == newcomer or p.canonical_id != memberships.get_canonical(a)}
        freed = [a for a, p in changed.items() if p.canonical_id == a != memberships.get_canonical(a)]
        for article_id in freed:
            memberships.set_canonical(article_id, article_id)
            self._changes.clear_copy(article_id)
        self._hand_over_clusters(changed)
        emptied: dict[int, int] = {}  # cluster that lost a canonical article -> that article
        for article_id, place in changed.items():
            if place.matched_id is None or place.overlap is None:
                continue
            if memberships.get_canonical(article_id) == article_id:
                emptied[memberships.get_cluster(article_id) or 0] = article_id
            memberships.set_canonical(article_id, place.canonical_id)
            text, matched = self._pairs.get_text(article_id), self._pairs.get_text(place.matched_id)
            self._changes.copies[article_id] = CopyLink(
                article_id,
                place.canonical_id,
                place.matched_id,
                classify_relation(text, self._pairs.get_text(place.canonical_id)),
                place.overlap,
                find_differences(text.compared, matched.compared),
            )
            if article_id != newcomer:
                self.join_cluster(article_id)
        self._close_emptied(emptied)
        return [a for a in freed if memberships.get_cluster(a) is None and a != newcomer]

    def join_cluster(self, article_id: int) -> None:
        """Put a copy into the cluster of its canonical article."""
        cluster, link = self._memberships.get_cluster(article_id), self._changes.copies.get(article_id)
        if cluster is not None and link is not None:
            jaccard, containment = link.overlap.jaccard, link.overlap.containment
            evidence = {"jaccard": round(jaccard, 4), "containment": round(containment, 4)}
            score = max(jaccard, containment)
            self._changes.join(article_id, ClusterMembership(cluster, "copy", score, link.matched_id, evidence))

    def _hand_over_clusters(self, changed: dict[int, CopyMembership]) -> None:
        """Give a new canonical article the place in the cluster that its predecessor had."""
        for article_id, place in changed.items():
            canonical = place.canonical_id
            if canonical == article_id or self._memberships.get_canonical(article_id) != article_id:
                continue
            cluster = self._memberships.get_cluster(article_id)
            if cluster is not None and self._lacks_cluster(canonical):
                self._memberships.set_cluster(canonical, cluster)
                evidence = {"took_over_from": article_id}
                self._changes.join(canonical, ClusterMembership(cluster, "coverage", 1.0, article_id, evidence))
                self._changes.add_log_entry("joined", cluster, article=canonical, took_over_from=article_id)

    def _lacks_cluster(self, article_id: int) -> bool:
        memberships = self._memberships
        return memberships.get_canonical(article_id) == article_id and memberships.get_cluster(article_id) is None

    def _close_emptied(self, emptied: dict[int, int]) -> None:
        for cluster, article_id in emptied.items():
            into = self._memberships.get_cluster(article_id)
            if cluster:
                self._changes.touched.add(cluster)
            if cluster and into not in (None, cluster) and not self._memberships.has_members(cluster):
                self._changes.merge(cluster, into or 0)
