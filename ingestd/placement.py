"""
Where articles belong: asks the core, applies its answers to the window, and notes what is to be written.

Serial by nature: each article is decided on what all before it have left.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingestd import refill
from ingestd.core.article import Article
from ingestd.core.clustering import MOST_TOGETHER as MOST_DECIDED
from ingestd.core.clustering import NEARLY, THRESHOLD, Part, decide, shares
from ingestd.core.copies import ComparedText, Kinship, Place, Verdict, compare, differences, group, relation
from ingestd.core.coverage import probability
from ingestd.core.entries import Entries, Entry
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.similarity import Overlap
from ingestd.core.window import Near, Window
from ingestd.store import articles as store
from ingestd.store.articles import StoredText
from ingestd.store.changes import Changes
from ingestd.texts import Texts

log = structlog.get_logger()

# Copies divided anew at once; the work grows with their square.
MOST_TOGETHER = 40
_CAUGHT_UP = 10_000  # articles of other processes that are always read at once: a second's work


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an article has come to be."""

    article_id: int
    canonical_id: int
    relation: str  # original, or what it is to its canonical article
    cluster_id: int
    score: float | None  # mean with the members of its cluster; None: it opened the cluster


class Placer:
    """Decides for one batch after the other, and keeps what the decisions need in memory."""

    def __init__(self, empty: Callable[[], Window]) -> None:
        """Begin with an empty window, and a new one whenever what it holds is worth nothing any more."""
        self._empty = empty
        self._begin()

    def _begin(self) -> None:
        self.window, self._texts = self._empty(), Texts()
        self._seen: store.State | None = None  # how far the window has what the database has

    def place(
        self, connection: Connection, batch: Sequence[Arrival], changes: Changes, next_cluster: int
    ) -> list[Placed]:
        """Decide about some articles, in their order; what is to be written is added to `changes`."""
        state = store.next_batch(connection)
        changes.batch = state.batch
        self._catch_up(connection, state)
        step = _Step(connection, self.window, self._texts, changes, next_cluster)
        placed = step.place(batch)
        self._texts.shrink()
        self._seen = state  # if the transaction fails, all of this is thrown away
        return placed

    def _catch_up(self, connection: Connection, state: store.State) -> None:
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

    def _follow(self, connection: Connection, decided: Sequence[store.Decided]) -> None:
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


@dataclass(frozen=True, slots=True)
class Arrival:
    """An article with an id of its own, about to be placed."""

    article_id: int
    article: Article
    fingerprint: Fingerprint
    day: date
    revised: bool = False  # the article is known, this is a new text of it

    @property
    def stored(self) -> StoredText:
        """The text as it will be stored."""
        return StoredText.of(self.article.title, self.article.text, self.article.outlet)


class _Step:
    """One batch, within its transaction."""

    def __init__(
        self,
        connection: Connection,
        window: Window,
        texts: Texts,
        changes: Changes,
        next_cluster: int,
    ) -> None:
        self.connection, self.window, self.texts, self.changes = connection, window, texts, changes
        self.next_cluster = next_cluster
        self._came_from: dict[int, int] = {}  # clusters of articles whose text has changed
        self._verdicts: dict[tuple[int, int], Verdict] = {}  # of this batch
        self._scored: dict[int, dict[int, float]] = {}  # of this batch: article -> other -> score
        self._freed: deque[int] = deque()  # articles that have nobody to speak for them any more
        self._placed_anew: set[int] = set()  # on account of the article at hand

    def place(self, batch: Sequence[Arrival]) -> list[Placed]:
        self._load_days({arrival.day for arrival in batch}, len(batch))
        orphans = self._take_out_revised(batch)
        held = {arrival.article_id for arrival in batch if arrival.article_id in self.window}
        self._entries = Entries.of([_entry(arrival) for arrival in batch])
        self.window.add(self._entries)
        self._put_back(batch, held)
        self.texts.arrive(self.connection, [(a.article_id, a.stored, a.fingerprint) for a in batch])
        ids = [arrival.article_id for arrival in batch]
        near = self.window.near(self._entries, earlier=True)
        compared = [self._to_compare(article_id, n) for article_id, n in zip(ids, near, strict=True)]
        self._load_texts(near, compared)
        placed = []
        for article_id, its_near, its_compared in zip(ids, near, compared, strict=True):
            self._place(article_id, its_near, its_compared)
            self._place_freed()
            placed.append(self._placed(article_id))
        for orphan in orphans:
            self._place_anew(orphan)
            self._place_freed()
        return placed

    # What decisions need

    def _load_days(self, days: set[date], arriving: int) -> None:
        before, _ = store.next_ids(self.connection)
        reads: list[refill.Read] = []
        count = 0
        if not self.window.primed:
            before = max(1, before - self.window.recent)
            reads.append(partial(store.entries_from, first=before))
            count = store.count_from(self.connection, before)
            self.window.primed = True
        missing = self.window.missing(days, arriving)
        of_days = store.count_of_days(self.connection, missing, before)
        there_is_room = count + of_days <= self.window.room
        if of_days and there_is_room:
            reads.append(partial(store.entries_of_days, days=missing, before=before))
            count += of_days
        if count:
            coming = refill.entries(self.connection, reads, count)
            self.window.reserve(count)
            self.window.fill(coming)
        if not there_is_room:
            self._load_nearest(missing, days, before)
        self.window.holds(missing)

    def _load_nearest(self, missing: Sequence[date], days: set[date], before: int) -> None:
        """Fill what room there is with the nearest days: more articles are in reach than can be held."""
        for day in sorted(missing, key=lambda d: (min(abs(d.toordinal() - wanted.toordinal()) for wanted in days), d)):
            if self.window.room <= 0:
                log.warning(
                    "window.full",
                    held=len(self.window),
                    nearest_day_left_out=day.isoformat(),
                    hint="raise window.max_articles or lower window.days",
                )
                break
            self.window.fill(store.entries_of_days(self.connection, [day], before))

    def _load(self, stored: Iterable[Entries]) -> None:
        for entries in stored:
            self.window.add(entries.where(~self.window.has(entries.ids)))

    def _load_texts(self, near: Sequence[Near], compared: Sequence[Sequence[int]]) -> None:
        """Fetch at once what the batch is compared with, and the groups of copies that it may have to divide anew."""
        wanted = {other for others in compared for other in others}
        for speaker in {self.window.canonical_of(other) for n in near for other in n.copies}:
            group = self.window.group(speaker)
            wanted |= {member.article_id for member in group[:MOST_TOGETHER]}
        self.texts.fetch(self.connection, wanted)

    def _text(self, article_id: int) -> ComparedText:
        return self.texts.get(self.connection, article_id)

    def _verdict(self, one: int, other: int) -> Verdict:
        if (one, other) not in self._verdicts:
            self._verdicts[one, other] = compare(self._text(one), self._text(other))
        return self._verdicts[one, other]

    def _scores(self, article_id: int, others: Sequence[int]) -> dict[int, float]:
        """Return the scores of an article with (at least) some others; each pair is scored once in a batch."""
        known = self._scored.setdefault(article_id, {})
        missing = [other for other in others if other not in known]
        if missing:
            scores = self.window.scores(article_id, np.array(missing, dtype=np.int64))
            known.update(zip(missing, scores.tolist(), strict=True))
        return known

    def _compared(self, one: int, other: int) -> Overlap | None:
        verdict = self._verdict(one, other)
        return verdict.shared if verdict.kinship is Kinship.COPY else None

    # Copies

    def _take_out_revised(self, batch: Sequence[Arrival]) -> list[int]:
        """Let go of copies of articles whose text is about to change; return their ids."""
        revised = [arrival.article_id for arrival in batch if arrival.revised]
        self._load(store.entries_of(self.connection, revised))
        orphans = []
        for article_id in revised:
            if article_id not in self.window:
                continue
            for copy in self.window.copies_of(article_id):
                self.window.set_canonical(copy, copy)
                self.changes.original(copy)
                orphans.append(copy)
            self.changes.original(article_id)
            cluster = self.window.cluster_of(article_id)
            if cluster is not None:
                self._came_from[article_id] = cluster
        return orphans

    def _put_back(self, batch: Sequence[Arrival], held: set[int]) -> None:
        """Leave revised articles where they were whose signatures had been pruned, and their copies with them."""
        pruned = [arrival.article_id for arrival in batch if arrival.revised and arrival.article_id not in held]
        for d in store.decided_of(self.connection, pruned) if pruned else ():
            if d.canonical_id == d.article_id:
                self.window.set_cluster(d.article_id, d.cluster_id)
                self.changes.touched.add(d.cluster_id)
            else:
                self.changes.original(d.article_id)
                self._came_from[d.article_id] = d.cluster_id

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
            self._load_texts([near], [compared])
            self._place(article_id, near, compared)
        elif self.window.cluster_of(article_id) is None:
            # Once more, and two articles could free each other for ever: it stays what it is, and gets its cluster.
            self._settle(article_id, near.coverage)

    def _near(self, article_id: int) -> Near:
        """Return what an article, whenever it came, is worth comparing with: all others."""
        own = self._entries.ids == article_id
        known = [self._entries.where(own)] if own.any() else store.entries_of(self.connection, [article_id])
        return next((near for entries in known for near in self.window.near(entries, earlier=False)), Near((), ()))

    def _place(self, article_id: int, near: Near, compared: Sequence[int]) -> None:
        kinships = {other: self._verdict(article_id, other).kinship for other in compared}
        matches = [other for other, kinship in kinships.items() if kinship is Kinship.COPY]
        freed = self._regroup(article_id, self._places(article_id, matches))
        # Two notices of one form share most of their words and report different things.
        forms = {other for other, kinship in kinships.items() if kinship is Kinship.FORM}
        self._settle(article_id, [other for other in near.coverage if other not in forms])
        self._freed.extend(freed)

    def _to_compare(self, article_id: int, near: Near) -> list[int]:
        """
        Return the articles that one is compared with word for word.

        Those near in their salient terms are among them: an excerpt shares few bands with its original, and notices of
        one form would pass for coverage of one event.
        """
        ids = dict.fromkeys(near.copies)
        scores = self._scores(article_id, near.coverage)
        ids.update((other, None) for other in near.coverage if scores[other] >= THRESHOLD)
        return list(ids)

    def _places(self, article_id: int, matches: Sequence[int]) -> dict[int, Place]:
        """Return the places of an article and of all that are in a group with one that it matches."""
        canonical = sorted({self.window.canonical_of(match) for match in matches})
        self._load(store.entries_of(self.connection, [c for c in canonical if c not in self.window]))
        together = {member.article_id: member for c in canonical for member in self.window.group(c)}
        together[article_id] = self.window.standing(article_id)
        if len(together) == 1:
            return {article_id: Place(article_id, None, None)}
        if len(together) <= MOST_TOGETHER:
            return group(list(together.values()), self._compared)
        # So many copies are not divided anew: the newcomer goes to whom it matches best among those who speak, unless
        # others that were placed in the meantime have it speak for them already.
        speakers = [(shared.jaccard, -c, shared) for c in canonical if (shared := self._compared(article_id, c))]
        if not speakers or article_id in canonical:
            return {article_id: Place(article_id, None, None)}
        _, negative, best = max(speakers, key=lambda found: found[:2])
        return {article_id: Place(-negative, -negative, best)}

    def _regroup(self, newcomer: int, places: dict[int, Place]) -> list[int]:
        """Carry out a grouping; return articles that have nobody to speak for them any more."""
        changed = {a: p for a, p in places.items() if a == newcomer or p.canonical_id != self.window.canonical_of(a)}
        freed = [a for a, p in changed.items() if p.canonical_id == a != self.window.canonical_of(a)]
        for article_id in freed:
            self.window.set_canonical(article_id, article_id)
            self.changes.original(article_id)
        self._hand_over(changed)
        left: dict[int, int] = {}  # cluster that lost an original -> that article
        for article_id, place in changed.items():
            if place.matched_id is None:
                continue
            if self.window.canonical_of(article_id) == article_id:
                left[self.window.cluster_of(article_id) or 0] = article_id
            self.window.set_canonical(article_id, place.canonical_id)
            text, matched = self._text(article_id), self._text(place.matched_id)
            kind = relation(text, self._text(place.canonical_id))
            self.changes.copy(article_id, place, kind, differences(text.compared, matched.compared))
            if article_id != newcomer:
                self._follow(article_id)
        self._close_emptied(left)
        return [a for a in freed if self.window.cluster_of(a) is None and a != newcomer]

    def _hand_over(self, changed: dict[int, Place]) -> None:
        """Give an article that now speaks for others the place in the cluster that they had."""
        for article_id, place in changed.items():
            speaker = place.canonical_id
            cluster = self.window.cluster_of(article_id) if self.window.canonical_of(article_id) == article_id else None
            if cluster is not None and speaker != article_id and self._has_no_cluster(speaker):
                self.window.set_cluster(speaker, cluster)
                self.changes.join(speaker, cluster, "coverage", 1.0, article_id, {"took_over_from": article_id})
                self.changes.note("joined", cluster, article=speaker, took_over_from=article_id)

    def _has_no_cluster(self, article_id: int) -> bool:
        return self.window.canonical_of(article_id) == article_id and self.window.cluster_of(article_id) is None

    def _close_emptied(self, left: dict[int, int]) -> None:
        for cluster, article_id in left.items():
            into = self.window.cluster_of(article_id)
            if cluster:
                self.changes.touched.add(cluster)
            if cluster and into not in (None, cluster) and not self.window.members(cluster).size:
                self.changes.merge(cluster, into or 0)

    def _follow(self, article_id: int) -> None:
        """Put a copy into the cluster of the article that speaks for it."""
        cluster, copy = self.window.cluster_of(article_id), self.changes.copies.get(article_id)
        if cluster is not None and copy is not None:
            score = max(copy["jaccard"], copy["containment"])
            evidence = {"jaccard": round(copy["jaccard"], 4), "containment": round(copy["containment"], 4)}
            self.changes.join(article_id, cluster, "copy", score, copy["matched_article_id"], evidence)

    # Events

    def _settle(self, article_id: int, candidates: Sequence[int]) -> None:
        """Give an article its cluster, once it is known whether it is a copy."""
        canonical = self.window.canonical_of(article_id)
        if canonical == article_id:
            if self.window.cluster_of(article_id) is None:
                self._decide(article_id, candidates)
        else:
            if self.window.cluster_of(canonical) is None:  # it is being placed anew, and comes first
                self._place_anew(canonical)
            cluster = self.window.cluster_of(canonical)
            if cluster is not None:
                self._follow(article_id)
                self.changes.note("joined", cluster, article=article_id, copy_of=canonical)
        came_from, cluster = self._came_from.pop(article_id, None), self.window.cluster_of(article_id)
        if came_from is not None and cluster not in (None, came_from):
            self.changes.touched.add(came_from)
            if not self.window.members(came_from).size:
                self.changes.merge(came_from, cluster or 0)

    def _decide(self, article_id: int, near: Sequence[int]) -> None:
        originals = dict.fromkeys(self.window.canonical_of(other) for other in near)
        candidates = [c for c in originals if c in self.window and c != article_id]
        scores = self._scores(article_id, candidates)
        touched: dict[int, NDArray[np.int64]] = {}
        for other in sorted(candidates, key=lambda c: -scores[c]):
            if scores[other] < THRESHOLD * NEARLY:
                break
            cluster = self.window.cluster_of(other)
            if cluster is not None and cluster not in touched and self.window.open_for(cluster, article_id):
                # As many as can be decided again at once, which also bounds the cost of joining a giant.
                touched[cluster] = self.window.members(cluster, MOST_DECIDED)
        means = self._means(article_id, touched)
        parts = decide(article_id, touched, means, self.window.all_scores, self.window.outlets)
        self._carry_out(article_id, parts, touched)

    def _means(self, article_id: int, clusters: Mapping[int, NDArray[np.int64]]) -> dict[int, float]:
        """Return the mean score of an article with the members of each cluster."""
        self._scores(article_id, [member for ids in clusters.values() for member in ids.tolist()])
        return {cluster: self._mean(article_id, ids) for cluster, ids in clusters.items()}

    def _mean(self, article_id: int, others: NDArray[np.int64]) -> float:
        scores = self._scores(article_id, others.tolist())
        weights = shares(self.window.outlets(others).tolist())
        return sum(w * scores[other] for w, other in zip(weights, others.tolist(), strict=True)) / sum(weights)

    def _carry_out(self, newcomer: int, parts: Sequence[Part], touched: dict[int, NDArray[np.int64]]) -> None:
        before = {int(member): cluster for cluster, members in touched.items() for member in members}
        went: dict[int, Counter[int]] = {}
        for part in parts:
            cluster = part.cluster_id if part.cluster_id is not None else self._open(part, newcomer, before)
            for member in part.members:
                if member == newcomer:
                    self._join(newcomer, cluster, part)
                elif before[member] != cluster:
                    self.window.set_cluster(member, cluster)
                    self.changes.move(member, cluster)
                    self.changes.touched.add(before[member])
                    went.setdefault(before[member], Counter())[cluster] += 1
        for left, to in went.items():
            self._note_moves(left, to, newcomer)

    def _open(self, part: Part, newcomer: int, before: dict[int, int]) -> int:
        came_from = self._came_from.get(newcomer)
        if len(part.members) == 1 and came_from is not None and not self.window.members(came_from).size:
            return came_from  # its text has changed, and it is still alone: the same event
        cluster, self.next_cluster = self.next_cluster, self.next_cluster + 1
        self.changes.clusters.append(cluster)
        others = [member for member in part.members if member != newcomer]
        if others:
            self.changes.note("split", cluster, other=before[others[0]], article=newcomer, articles=others)
        else:
            self.changes.note("created", cluster, article=newcomer)
        return cluster

    def _join(self, newcomer: int, cluster: int, part: Part) -> None:
        self.window.set_cluster(newcomer, cluster)
        others = [member for member in part.members if member != newcomer]
        if not others:
            self.changes.join(newcomer, cluster, "seed", None, None, {})
            return
        scores = self._scores(newcomer, others)
        mean, best = self._mean(newcomer, np.array(others)), max(others, key=scores.__getitem__)
        evidence = {
            "mean_score": round(mean, 4),
            "best_score": round(scores[best], 4),
            "compared_with": len(others),
            "terms": self._shared_terms(newcomer, best),
        }
        self.changes.join(newcomer, cluster, "coverage", probability(mean), best, evidence)
        self.changes.note("joined", cluster, article=newcomer, mean_score=round(mean, 4))

    def _note_moves(self, left: int, to: Counter[int], newcomer: int) -> None:
        """Log what became of a cluster that members left; with nobody left it has merged into where most went."""
        if not self.window.members(left).size:
            self.changes.merge(left, max(to, key=lambda cluster: (to[cluster], -cluster)))
        else:
            for cluster, count in to.items():
                self.changes.note("left", left, other=cluster, article=newcomer, articles=count)

    def _shared_terms(self, one: int, other: int) -> dict[str, float]:
        """Return the words that made most of the score, with what each contributed to the cosine."""
        words = self.changes.terms.get(one)
        if words is None:
            return {}
        (terms, weights), (their_terms, their_weights) = self.window.terms(one), self.window.terms(other)
        at = np.minimum(their_terms.searchsorted(terms), their_terms.size - 1)
        product = np.where(their_terms[at] == terms, weights * their_weights[at], 0)
        top = np.argsort(-product, kind="stable")[:8]
        found = zip(words.words_of(terms[top]), product[top].tolist(), strict=True)
        return {word: round(p, 4) for word, p in found if word and p > 0}

    def _placed(self, article_id: int) -> Placed:
        copy = self.changes.copies.get(article_id)
        row: dict[str, Any] = self.changes.joined.get(article_id, {})
        return Placed(
            article_id=article_id,
            canonical_id=self.window.canonical_of(article_id),
            relation=copy["relation"] if copy else "original",
            cluster_id=self.window.cluster_of(article_id) or 0,
            score=row.get("score"),
        )


def _entry(arrival: Arrival) -> Entry:
    return Entry(
        article_id=arrival.article_id,
        published_at=arrival.article.published_at,
        day=arrival.day,
        n_words=arrival.fingerprint.n_words,
        outlet=arrival.article.outlet,
        copy_signature=arrival.fingerprint.copy_signature,
        sample=arrival.fingerprint.sample,
        event_sketch=arrival.fingerprint.event_sketch,
        terms=arrival.fingerprint.terms,
        canonical_id=arrival.article_id,
        cluster_id=None,
    )
