"""
Where articles belong: asks the core, applies its answers to the window, and notes what is to be written.

Serial by nature: each article is decided on what all before it have left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection

from ingestd.core.window.window import Window
from ingestd.matching.assignment import Assignment, NewArticle
from ingestd.matching.batch_matcher import BatchMatcher
from ingestd.matching.text_cache import TextCache
from ingestd.store import articles as store
from ingestd.store.changes import ChangeSet

__all__ = ["Assignment", "Matcher", "NewArticle"]

log = structlog.get_logger()

_CAUGHT_UP = 10_000  # articles of other processes that are always read at once: a second's work


class Matcher:
    """Decides for one batch after the other, and keeps what the decisions need in memory."""

    def __init__(self, empty: Callable[[], Window]) -> None:
        """Begin with an empty window, and a new one whenever what it holds is worth nothing any more."""
        self._empty = empty
        self._begin()

    def _begin(self) -> None:
        self.window, self._texts = self._empty(), TextCache()
        self._seen: store.CorpusVersion | None = None  # how far the window has what the database has

    def place(
        self, connection: Connection, batch: Sequence[NewArticle], changes: ChangeSet, next_cluster: int
    ) -> list[Assignment]:
        """Decide about some articles, in their order; what is to be written is added to `changes`."""
        state = store.next_batch(connection)
        changes.batch = state.batch
        self._catch_up(connection, state)
        step = BatchMatcher(connection, self.window, self._texts, changes, next_cluster)
        placed = step.place(batch)
        self._texts.shrink()
        self._seen = state  # if the transaction fails, all of this is thrown away
        return placed

    def _catch_up(self, connection: Connection, state: store.CorpusVersion) -> None:
        """Take in what other processes have decided since this one last did."""
        seen = self._seen
        if seen is None:
            return  # nothing is held: whatever is read from now on is as new as can be
        if seen.generation != state.generation:
            log.info("window.outdated", hint="all articles were decided anew; reading them again")
            self._begin()
            return
        if state.pruned_before is not None and state.pruned_batch > seen.batch:
            self.window.forget(state.pruned_before)
        if seen.batch + 1 < state.batch:
            if store.count_since(connection, seen.batch) > max(_CAUGHT_UP, len(self.window)):
                self._begin()  # of so many only what is needed
            else:
                self._follow(connection, store.decided_since(connection, seen.batch))

    def _follow(self, connection: Connection, decided: Sequence[store.StoredAssignment]) -> None:
        unknown = [d.article_id for d in decided if d.revised or d.article_id not in self.window]
        for entries in store.entries_of(connection, unknown):
            self.window.add(entries)
        self._texts.follow(connection, unknown)
        held = [d for d in decided if d.article_id in self.window]
        for d in held:
            self.window.set_canonical(d.article_id, d.canonical_id)
        for d in held:
            if d.canonical_id == d.article_id:
                self.window.set_cluster(d.article_id, d.cluster_id)
        log.debug("window.followed", articles=len(decided))
