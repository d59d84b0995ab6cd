"""One batch: every article is compared, placed among its copies, and given its event."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from ingestd.core.copies.verify import PairVerdict
from ingestd.core.events.linkage import THRESHOLD
from ingestd.core.window.columns import WindowColumns
from ingestd.core.window.window import CandidateIds, Window
from ingestd.matching.assignment import Assignment, NewArticle
from ingestd.matching.copy_groups import Copies
from ingestd.matching.event_clusters import Events
from ingestd.matching.needs import Needs
from ingestd.matching.text_cache import TextCache
from ingestd.store import articles as store
from ingestd.store.changes import ChangeSet


class BatchMatcher:
    """One batch, within its transaction."""

    def __init__(
        self, connection: Connection, window: Window, texts: TextCache, changes: ChangeSet, next_cluster: int
    ) -> None:
        """Begin with what is held from earlier batches; new clusters are numbered from `next_cluster`."""
        self._connection, self._window, self._changes = connection, window, changes
        self._needs = Needs(connection, window, texts)
        self._copies = Copies(self._needs, changes)
        self._events = Events(self._needs, changes, next_cluster)
        self._freed: deque[int] = deque()  # articles that have nobody to speak for them any more
        self._placed_anew: set[int] = set()  # on account of the article at hand

    def place(self, batch: Sequence[NewArticle]) -> list[Assignment]:
        """Place articles in their order."""
        self._needs.load_days({arrival.day for arrival in batch}, len(batch))
        orphans = self._take_out_revised(batch)
        held = {arrival.article_id for arrival in batch if arrival.article_id in self._window}
        self._entries = WindowColumns.of([arrival.entry for arrival in batch])
        self._window.add(self._entries)
        self._put_back(batch, held)
        self._needs.texts.arrive(self._connection, [(a.article_id, a.stored, a.fingerprint) for a in batch])
        ids = [arrival.article_id for arrival in batch]
        near = self._window.near(self._entries, earlier=True)
        self._needs.score(ids, near)
        compared = [self._to_compare(article_id, n) for article_id, n in zip(ids, near, strict=True)]
        self._needs.load_texts(near, compared)
        placed = []
        for article_id, its_near, its_compared in zip(ids, near, compared, strict=True):
            self._place(article_id, its_near, its_compared)
            self._place_freed()
            placed.append(self._placed(article_id))
        for orphan in orphans:
            self._place_anew(orphan)
            self._place_freed()
        self._events.name_terms()
        return placed

    def _take_out_revised(self, batch: Sequence[NewArticle]) -> list[int]:
        """Let go of copies of articles whose text is about to change; return their ids."""
        revised = [arrival.article_id for arrival in batch if arrival.revised]
        self._needs.load(store.entries_of(self._connection, revised))
        orphans = []
        for article_id in revised:
            if article_id not in self._window:
                continue
            for copy in self._window.copies_of(article_id):
                self._window.set_canonical(copy, copy)
                self._changes.original(copy)
                orphans.append(copy)
            self._changes.original(article_id)
            cluster = self._window.cluster_of(article_id)
            if cluster is not None:
                self._events.came_from[article_id] = cluster
        return orphans

    def _put_back(self, batch: Sequence[NewArticle], held: set[int]) -> None:
        """Leave revised articles where they were whose signatures had been pruned, and their copies with them."""
        pruned = [arrival.article_id for arrival in batch if arrival.revised and arrival.article_id not in held]
        for d in store.decided_of(self._connection, pruned) if pruned else ():
            if d.canonical_id == d.article_id:
                self._window.set_cluster(d.article_id, d.cluster_id)
                self._changes.touched.add(d.cluster_id)
            else:
                self._changes.original(d.article_id)
                self._events.came_from[d.article_id] = d.cluster_id

    def _place_freed(self) -> None:
        """Place those whom a regrouping has left alone, and whom their regrouping leaves alone in turn."""
        while self._freed:
            self._place_anew(self._freed.popleft())
        self._placed_anew.clear()

    def _place_anew(self, article_id: int) -> None:
        near = self._near(article_id)
        if article_id not in self._placed_anew:
            self._placed_anew.add(article_id)
            compared = self._to_compare(article_id, near)
            self._needs.load_texts([near], [compared])
            self._place(article_id, near, compared)
        elif self._window.cluster_of(article_id) is None:
            # Once more, and two articles could free each other for ever: it stays what it is, and gets its cluster.
            self._settle(article_id, near.coverage)

    def _near(self, article_id: int) -> CandidateIds:
        """Return what an article, whenever it came, is worth comparing with: all others."""
        own = self._entries.ids == article_id
        known = [self._entries.where(own)] if own.any() else store.entries_of(self._connection, [article_id])
        return next(
            (near for entries in known for near in self._window.near(entries, earlier=False)), CandidateIds((), ())
        )

    def _place(self, article_id: int, near: CandidateIds, compared: Sequence[int]) -> None:
        kinships = {other: self._needs.verdict(article_id, other).verdict for other in compared}
        matches = [other for other, kinship in kinships.items() if kinship is PairVerdict.COPY]
        freed: list[int] = []
        if matches or self._window.canonical_of(article_id) != article_id:
            freed = self._copies.regroup(article_id, self._copies.places(article_id, matches))
        # Two notices of one form share most of their words and report different things.
        forms = {other for other, kinship in kinships.items() if kinship is PairVerdict.TEMPLATE}
        self._settle(article_id, [other for other in near.coverage if other not in forms])
        self._freed.extend(freed)

    def _to_compare(self, article_id: int, near: CandidateIds) -> list[int]:
        """
        Return the articles that one is compared with word for word.

        Those near in their salient terms are among them: an excerpt shares few bands with its original, and notices of
        one form would pass for coverage of one event.
        """
        ids = dict.fromkeys(near.copies)
        scores = self._needs.scores(article_id, near.coverage)
        ids.update((other, None) for other in near.coverage if scores[other] >= THRESHOLD)
        return list(ids)

    def _settle(self, article_id: int, candidates: Sequence[int]) -> None:
        """Give an article its cluster, once it is known whether it is a copy."""
        canonical = self._window.canonical_of(article_id)
        if canonical == article_id:
            if self._window.cluster_of(article_id) is None:
                self._events.decide(article_id, candidates)
        else:
            if self._window.cluster_of(canonical) is None:  # it is being placed anew, and comes first
                self._place_anew(canonical)
            cluster = self._window.cluster_of(canonical)
            if cluster is not None:
                self._copies.follow(article_id)
                self._changes.note("joined", cluster, article=article_id, copy_of=canonical)
        came_from, cluster = self._events.came_from.pop(article_id, None), self._window.cluster_of(article_id)
        if came_from is not None and cluster not in (None, came_from):
            self._changes.touched.add(came_from)
            if not self._window.members(came_from).size:
                self._changes.merge(came_from, cluster or 0)

    def _placed(self, article_id: int) -> Assignment:
        copy = self._changes.copies.get(article_id)
        row: dict[str, Any] = self._changes.joined.get(article_id, {})
        return Assignment(
            article_id=article_id,
            canonical_id=self._window.canonical_of(article_id),
            relation=copy["relation"] if copy else "original",
            cluster_id=self._window.cluster_of(article_id) or 0,
            score=row.get("score"),
        )
