"""One batch: every article is compared, placed among its copies, and given its event."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestd.core.changeset import ChangeSet, NewArticle
from ingestd.core.copies.verify import PairVerdict
from ingestd.core.events.linkage import THRESHOLD
from ingestd.core.features import EVENT
from ingestd.core.text.term_lookup import TermLookup
from ingestd.core.window.candidates import CandidateIds
from ingestd.core.window.columns import WindowColumns
from ingestd.core.window.window import Window
from ingestd.matching.assignment import Assignment
from ingestd.matching.copy_groups import MOST_COPIES, CopyGroups
from ingestd.matching.corpus import Corpus
from ingestd.matching.event_clusters import EventClusters
from ingestd.matching.pair_cache import PairCache
from ingestd.matching.text_cache import TextCache
from ingestd.matching.window_loader import load_articles, load_days


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a batch."""

    changes: ChangeSet
    assignments: list[Assignment]  # of the articles of the batch, in their order
    lookup: TermLookup  # the words of the terms of the batch


@dataclass(frozen=True, slots=True)
class _ClusterStep:
    """A step of the worklist: a placed article gets its cluster."""

    article_id: int
    candidates: Sequence[int]
    freed: Sequence[int] = ()  # articles that the placing left without a group
    waited_for: int | None = None  # the canonical article, which was placed first


@dataclass(frozen=True, slots=True)
class _AnewStep:
    """A step of the worklist: an article is compared and placed once more."""

    article_id: int


class BatchMatcher:
    """Decides one batch, and gathers the changes."""

    def __init__(  # noqa: PLR0913 - all that decisions depend on
        self,
        corpus: Corpus,
        window: Window,
        texts: TextCache,
        changes: ChangeSet,
        next_cluster: int,
        most_copies: int = MOST_COPIES,
    ) -> None:
        """Number new clusters from `next_cluster`; divide up to `most_copies` copies anew at once."""
        self._corpus, self._window, self._texts, self._changes = corpus, window, texts, changes
        self._pairs = PairCache(corpus, window, texts)
        self._copies = CopyGroups(corpus, window, self._pairs, changes, most_copies)
        self._events = EventClusters(window, self._pairs, changes, next_cluster)
        self._columns: WindowColumns | None = None  # of the batch
        self._freed: deque[int] = deque()  # articles without a group, to be placed anew
        self._placed_anew: set[int] = set()  # on account of the article at hand

    def decide(self, batch: Sequence[NewArticle]) -> Decision:
        """Decide about articles in their order."""
        orphans = self._take_in(batch)
        ids = [new.article_id for new in batch]
        candidates, compared = self._propose(ids)
        assignments = []
        for article_id, near, others in zip(ids, candidates, compared, strict=True):
            self._work_off([self._place(article_id, near, others)])
            self._place_freed()
            assignments.append(self._assignment_of(article_id))
        for orphan in orphans:
            self._work_off([_AnewStep(orphan)])
            self._place_freed()
        lookup = TermLookup({new.article_id: new.fingerprint.features[EVENT.name].terms for new in batch})
        self._events.name_terms(lookup)
        return Decision(self._changes, assignments, lookup)

    # Taking in

    def _take_in(self, batch: Sequence[NewArticle]) -> list[int]:
        """Bring the window to the days of a batch, and add the batch; return copies of revised articles."""
        self._changes.articles += batch
        load_days(self._window, self._corpus, {new.day for new in batch}, len(batch))
        orphans = self._take_out_revised(batch)
        held = {new.article_id for new in batch if new.article_id in self._window}
        self._columns = WindowColumns.from_rows([new.window_row for new in batch])
        self._window.add(self._columns)
        self._restore_pruned(batch, held)
        self._texts.add(self._corpus, batch)
        return orphans

    def _take_out_revised(self, batch: Sequence[NewArticle]) -> list[int]:
        """Free the copies of articles whose text is about to change; return their ids."""
        revised = [new.article_id for new in batch if new.revised]
        load_articles(self._window, self._corpus, revised)
        memberships, orphans = self._window.memberships, []
        for article_id in revised:
            if article_id not in self._window:
                continue
            for copy in memberships.list_copies(article_id):
                memberships.set_canonical(copy, copy)
                self._changes.clear_copy(copy)
                orphans.append(copy)
            self._changes.clear_copy(article_id)
            cluster = memberships.get_cluster(article_id)
            if cluster is not None:
                self._events.previous[article_id] = cluster
        return orphans

    def _restore_pruned(self, batch: Sequence[NewArticle], held: set[int]) -> None:
        """Leave revised articles where they were whose signatures had been pruned, and their copies with them."""
        pruned = [new.article_id for new in batch if new.revised and new.article_id not in held]
        for stored in self._corpus.read_assignments(pruned) if pruned else ():
            if stored.canonical_id == stored.article_id:
                self._window.memberships.set_cluster(stored.article_id, stored.cluster_id)
                self._changes.touched.add(stored.cluster_id)
            else:
                self._changes.clear_copy(stored.article_id)
                self._events.previous[stored.article_id] = stored.cluster_id

    # Proposing

    def _propose(self, ids: Sequence[int]) -> tuple[list[CandidateIds], list[list[int]]]:
        """Return the candidates of each article of the batch, and the articles that each is compared with."""
        if self._columns is None:
            raise ValueError("the batch was not taken in")
        candidates = self._window.candidates.find_candidates(self._columns, earlier=True)
        self._pairs.score_candidates(ids, candidates)
        compared = [self._select_compared(article_id, near) for article_id, near in zip(ids, candidates, strict=True)]
        self._fetch_texts(candidates, compared)
        return candidates, compared

    def _propose_anew(self, article_id: int) -> CandidateIds:
        """Return the candidates of an article, whenever the article came, among all others."""
        rows = []
        if self._columns is not None and (own := self._columns.ids == article_id).any():
            rows = [self._columns.select(own)]
        for columns in rows or self._corpus.read_rows_of([article_id]):
            for near in self._window.candidates.find_candidates(columns, earlier=False):
                return near
        return CandidateIds((), ())

    def _select_compared(self, article_id: int, near: CandidateIds) -> list[int]:
        """
        Return the articles that an article is compared with word for word.

        Articles near in their salient terms are among them: an excerpt shares few bands with its original, and notices
        of one form would pass for coverage of one event.
        """
        ids = dict.fromkeys(near.copies)
        scores = self._pairs.get_scores(article_id, near.coverage)
        ids.update((other, None) for other in near.coverage if scores[other] >= THRESHOLD)
        return list(ids)

    def _fetch_texts(self, candidates: Sequence[CandidateIds], compared: Sequence[Sequence[int]]) -> None:
        """Fetch at once the texts that are compared, and the groups of copies that may be divided anew."""
        memberships = self._window.memberships
        wanted = {other for others in compared for other in others}
        for canonical in {memberships.get_canonical(other) for near in candidates for other in near.copies}:
            wanted |= {member.article_id for member in memberships.list_group(canonical)[: self._copies.most_copies]}
        self._texts.fetch(self._corpus, wanted)

    # Deciding

    def _work_off(self, worklist: list[_ClusterStep | _AnewStep]) -> None:
        """Carry out steps, the last first, with the steps that follow from them."""
        while worklist:
            step = worklist.pop()
            if isinstance(step, _AnewStep):
                worklist += self._place_anew(step.article_id)
            else:
                worklist += self._give_cluster(step)

    def _place_freed(self) -> None:
        """Place the articles that a regrouping left alone, and those that their regrouping leaves alone in turn."""
        while self._freed:
            self._work_off([_AnewStep(self._freed.popleft())])
        self._placed_anew.clear()

    def _place_anew(self, article_id: int) -> list[_ClusterStep | _AnewStep]:
        near = self._propose_anew(article_id)
        if article_id not in self._placed_anew:
            self._placed_anew.add(article_id)
            compared = self._select_compared(article_id, near)
            self._fetch_texts([near], [compared])
            return [self._place(article_id, near, compared)]
        if self._window.memberships.get_cluster(article_id) is None:
            # Once more, and two articles could free each other for ever: the article stays in its group.
            return [_ClusterStep(article_id, near.coverage)]
        return []

    def _place(self, article_id: int, near: CandidateIds, compared: Sequence[int]) -> _ClusterStep:
        """Place an article among its copies; return the step that gives the article its cluster."""
        verdicts = {other: self._pairs.judge(article_id, other).verdict for other in compared}
        matches = [other for other, verdict in verdicts.items() if verdict is PairVerdict.COPY]
        freed: list[int] = []
        if matches or self._window.memberships.get_canonical(article_id) != article_id:
            freed = self._copies.regroup(article_id, self._copies.divide(article_id, matches))
        # Two notices of one form share most of their words and report different things.
        templates = {other for other, verdict in verdicts.items() if verdict is PairVerdict.TEMPLATE}
        return _ClusterStep(article_id, [other for other in near.coverage if other not in templates], freed)

    def _give_cluster(self, step: _ClusterStep) -> list[_ClusterStep | _AnewStep]:
        """Give an article its cluster, once its group is known; a copy waits for its canonical article."""
        memberships, article_id = self._window.memberships, step.article_id
        canonical = step.waited_for or memberships.get_canonical(article_id)
        if canonical == article_id:
            if memberships.get_cluster(article_id) is None:
                self._events.assign(article_id, step.candidates)
        elif memberships.get_cluster(canonical) is None and step.waited_for is None:
            return [replace(step, waited_for=canonical), _AnewStep(canonical)]
        else:
            cluster = memberships.get_cluster(canonical)
            if cluster is not None:
                self._copies.join_cluster(article_id)
                self._changes.add_log_entry("joined", cluster, article=article_id, copy_of=canonical)
        self._events.follow_revision(article_id)
        self._freed.extend(step.freed)
        return []

    def _assignment_of(self, article_id: int) -> Assignment:
        link, membership = self._changes.copies.get(article_id), self._changes.joined.get(article_id)
        return Assignment(
            article_id=article_id,
            canonical_id=self._window.memberships.get_canonical(article_id),
            relation=link.relation.value if link else "original",
            cluster_id=self._window.memberships.get_cluster(article_id) or 0,
            score=membership.score if membership else None,
        )
