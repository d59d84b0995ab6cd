"""Which articles are copies of which: groups are divided anew, and the window and the clusters follow."""

from __future__ import annotations

from collections.abc import Sequence

from ingestd.core.copies.diff import find_differences
from ingestd.core.copies.star_groups import CopyMembership, group_copies
from ingestd.core.copies.verify import classify_relation
from ingestd.matching.needs import MOST_TOGETHER, Needs
from ingestd.store import articles as store
from ingestd.store.changes import ChangeSet


class Copies:
    """Carries out what the core says of copies."""

    def __init__(self, needs: Needs, changes: ChangeSet) -> None:
        """Write down in `changes` what becomes different."""
        self._needs, self._window, self._changes = needs, needs.window, changes

    def places(self, article_id: int, matches: Sequence[int]) -> dict[int, CopyMembership]:
        """Return the places of an article and of all that are in a group with one that it matches."""
        canonical = sorted({self._window.canonical_of(match) for match in matches})
        self._needs.load(store.entries_of(self._needs.connection, [c for c in canonical if c not in self._window]))
        together = {member.article_id: member for c in canonical for member in self._window.group(c)}
        together[article_id] = self._window.standing(article_id)
        if len(together) == 1:
            return {article_id: CopyMembership(article_id, None, None)}
        if len(together) <= MOST_TOGETHER:
            return group_copies(list(together.values()), self._needs.compared)
        # So many copies are not divided anew: the newcomer goes to whom it matches best among those who speak, unless
        # others that were placed in the meantime have it speak for them already.
        speakers = [(shared.jaccard, -c, shared) for c in canonical if (shared := self._needs.compared(article_id, c))]
        if not speakers or article_id in canonical:
            return {article_id: CopyMembership(article_id, None, None)}
        _, negative, best = max(speakers, key=lambda found: found[:2])
        return {article_id: CopyMembership(-negative, -negative, best)}

    def regroup(self, newcomer: int, places: dict[int, CopyMembership]) -> list[int]:
        """Carry out a grouping; return articles that have nobody to speak for them any more."""
        changed = {a: p for a, p in places.items() if a == newcomer or p.canonical_id != self._window.canonical_of(a)}
        freed = [a for a, p in changed.items() if p.canonical_id == a != self._window.canonical_of(a)]
        for article_id in freed:
            self._window.set_canonical(article_id, article_id)
            self._changes.original(article_id)
        self._hand_over(changed)
        left: dict[int, int] = {}  # cluster that lost an original -> that article
        for article_id, place in changed.items():
            if place.matched_id is None:
                continue
            if self._window.canonical_of(article_id) == article_id:
                left[self._window.cluster_of(article_id) or 0] = article_id
            self._window.set_canonical(article_id, place.canonical_id)
            text, matched = self._needs.text(article_id), self._needs.text(place.matched_id)
            kind = classify_relation(text, self._needs.text(place.canonical_id))
            self._changes.copy(article_id, place, kind, find_differences(text.compared, matched.compared))
            if article_id != newcomer:
                self.follow(article_id)
        self._close_emptied(left)
        return [a for a in freed if self._window.cluster_of(a) is None and a != newcomer]

    def follow(self, article_id: int) -> None:
        """Put a copy into the cluster of the article that speaks for it."""
        cluster, copy = self._window.cluster_of(article_id), self._changes.copies.get(article_id)
        if cluster is not None and copy is not None:
            score = max(copy["jaccard"], copy["containment"])
            evidence = {"jaccard": round(copy["jaccard"], 4), "containment": round(copy["containment"], 4)}
            self._changes.join(article_id, cluster, "copy", score, copy["matched_article_id"], evidence)

    def _hand_over(self, changed: dict[int, CopyMembership]) -> None:
        """Give an article that now speaks for others the place in the cluster that they had."""
        for article_id, place in changed.items():
            speaker = place.canonical_id
            cluster = (
                self._window.cluster_of(article_id) if self._window.canonical_of(article_id) == article_id else None
            )
            if cluster is not None and speaker != article_id and self._has_no_cluster(speaker):
                self._window.set_cluster(speaker, cluster)
                self._changes.join(speaker, cluster, "coverage", 1.0, article_id, {"took_over_from": article_id})
                self._changes.note("joined", cluster, article=speaker, took_over_from=article_id)

    def _has_no_cluster(self, article_id: int) -> bool:
        return self._window.canonical_of(article_id) == article_id and self._window.cluster_of(article_id) is None

    def _close_emptied(self, left: dict[int, int]) -> None:
        for cluster, article_id in left.items():
            into = self._window.cluster_of(article_id)
            if cluster:
                self._changes.touched.add(cluster)
            if cluster and into not in (None, cluster) and not self._window.members(cluster).size:
                self._changes.merge(cluster, into or 0)
