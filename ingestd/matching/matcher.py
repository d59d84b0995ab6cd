"""
Decide one batch after the other, from the corpus and from a window of the corpus in memory.

Serial by nature: the decision about an article depends on all earlier decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from ingestd.core.changeset import ChangeSet, NewArticle
from ingestd.core.stored import CorpusVersion, StoredAssignment
from ingestd.core.window.window import Window
from ingestd.matching.batch_matcher import BatchMatcher, Decision
from ingestd.matching.copy_groups import MOST_COPIES
from ingestd.matching.corpus import Corpus
from ingestd.matching.text_cache import TextCache

log = structlog.get_logger()

_MOST_CAUGHT_UP = 10_000  # articles of other processes that are read at once: a second's work


class Matcher:
    """Decides batches, and keeps in memory between batches the part of the corpus that decisions need."""

    def __init__(self, make_window: Callable[[], Window], most_copies: int = MOST_COPIES) -> None:
        """Begin with an empty window, and with a new one whenever the held articles are out of date."""
        self._make_window, self._most_copies = make_window, most_copies
        self.window, self._texts = make_window(), TextCache()
        self._seen: CorpusVersion | None = None  # the version of the corpus that the window shows

    def decide(
        self, batch: Sequence[NewArticle], corpus: Corpus, version: CorpusVersion, next_cluster: int, now: datetime
    ) -> Decision:
        """
        Decide about the articles of a batch, in their order.

        If the transaction of the batch fails, call `reset` before the next batch: the window is ahead of the corpus.

        Args:
            batch: articles with ids of their own.
            corpus: the corpus before the batch.
            version: the number of the batch, and the state of the corpus.
            next_cluster: the id of the first new cluster.
            now: the time of the changes.
        """
        self._catch_up(corpus, version)
        changes = ChangeSet(now, version.batch)
        matcher = BatchMatcher(corpus, self.window, self._texts, changes, next_cluster, self._most_copies)
        decision = matcher.decide(batch)
        self._texts.evict()
        self._seen = version
        return decision

    def reset(self) -> None:
        """Empty the window, which fills itself again from the corpus."""
        self.window, self._texts, self._seen = self._make_window(), TextCache(), None

    def _catch_up(self, corpus: Corpus, version: CorpusVersion) -> None:
        """Take in the decisions of other processes since the last batch of this one."""
        seen = self._seen
        if seen is None:
            return  # nothing is held: all rows read from now on are new
        if seen.generation != version.generation:
            log.info("window.outdated", hint="all articles were decided anew; reading them again")
            self.reset()
            return
        if version.pruned_before is not None and version.pruned_batch > seen.batch:
            self.window.evict_before(version.pruned_before)
        if seen.batch + 1 < version.batch:
            if corpus.count_assignments_since(seen.batch) > max(_MOST_CAUGHT_UP, len(self.window)):
                self.reset()  # of so many only the needed ones are read
            else:
                self._take_in(corpus, corpus.read_assignments_since(seen.batch))

    def _take_in(self, corpus: Corpus, assignments: Sequence[StoredAssignment]) -> None:
        changed = [a.article_id for a in assignments if a.revised or a.article_id not in self.window]
        for columns in corpus.read_rows_of(changed):
            self.window.add(columns)
        self._texts.catch_up(corpus, changed)
        held = [a for a in assignments if a.article_id in self.window]
        for assignment in held:
            self.window.memberships.set_canonical(assignment.article_id, assignment.canonical_id)
        for assignment in held:
            if assignment.canonical_id == assignment.article_id:
                self.window.memberships.set_cluster(assignment.article_id, assignment.cluster_id)
        log.debug("window.followed", articles=len(assignments))
