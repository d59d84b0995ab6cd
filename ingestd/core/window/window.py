"""
The articles that a new one is compared with: indexes and memberships of the days in reach, held in arrays.

A cache of the database, never the truth: it is filled from stored signatures, a day at a time, and forgets the days
that were not asked for longest when it grows beyond its size.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.copies.star_groups import CanonicalRank
from ingestd.core.events.term_vectors import TermVectorStore, compute_time_penalty
from ingestd.core.fingerprint import EVENT_BANDS
from ingestd.core.lsh.copy_index import CopyIndex
from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex
from ingestd.core.text.term_weights import KEPT_TERMS, TERM_BITS
from ingestd.core.window.columns import DAY_S, WindowColumns

# Candidates looked at exactly, best first. For events the best 16 give the clusters that the best 64 give.
COPY_CANDIDATES = 32
EVENT_CANDIDATES = 16
_FILLED_AHEAD = 128  # batches of keys, 150 MB at most; meanwhile all else goes on while keys are merged


@dataclass(frozen=True, slots=True)
class CandidateIds:
    """The articles worth comparing with a new one, best first, by id."""

    copies: tuple[int, ...]  # share a band of their signatures, or a good part of their samples
    coverage: tuple[int, ...]  # share a band of their salient terms


class Window:
    """Articles of the days in reach. Asks for days it lacks (`missing`) and is given them (`add`, `holds`)."""

    def __init__(self, days: int, max_articles: int, quiet_days: int = 7) -> None:
        """Compare articles up to `days` apart; hold at most about `max_articles`."""
        self.days, self._max_articles, self.quiet_days = days, max_articles, quiet_days
        # An article without a date may belong to anything that came lately, of whatever day: so many are held anyway.
        self.recent = max_articles // 10
        self.primed = False  # whether those that came before this process have been added
        self._copies_index, self._event_bands = CopyIndex(), InvertedIndex()
        self._vectors = TermVectorStore()
        self._spread = np.zeros(1 << TERM_BITS, dtype=np.int32)  # articles that have a term
        self._ids = np.zeros(0, dtype=np.int64)
        self._published = np.zeros(0)  # days since 1970, NaN: unknown
        self._day = np.zeros(0, dtype=np.int32)  # ordinal
        self._n_words = np.zeros(0, dtype=np.int32)
        self._outlet = np.zeros(0, dtype=np.uint32)  # a hash of its name, 0: unknown
        self._cluster = np.zeros(0, dtype=np.int64)  # 0: not decided
        self._live = np.zeros(0, dtype=bool)
        self._size = 0
        self._position: dict[int, int] = {}
        self._canonical: dict[int, int] = {}  # who speaks for each copy
        self._copies: dict[int, list[int]] = {}  # ids of the copies of a canonical article
        self._members: dict[int, list[int]] = {}  # positions of the canonical articles of a cluster
        self._lowest: dict[int, float] = {}  # score of two of them, where it has been asked for
        self._asked: dict[int, int] = {}  # ordinal of a day held -> when it was last asked for
        self._clock = 0  # in articles that arrived

    def __len__(self) -> int:
        return len(self._position)

    def __contains__(self, article_id: int) -> bool:
        return article_id in self._position

    def has(self, article_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each of some articles whether it is held."""
        return np.array([article_id in self._position for article_id in article_ids.tolist()], dtype=bool)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        columns = sum(int(getattr(self, name).nbytes) for name in _COLUMNS)
        return self._copies_index.nbytes + self._event_bands.nbytes + self._vectors.nbytes + columns

    @property
    def truncated(self) -> int:
        """How often a bucket was too full to be read to its end."""
        return self._copies_index.truncated_lookups + self._event_bands.truncated_lookups

    @property
    def room(self) -> int:
        """How many more articles can be added before some must be forgotten."""
        return self._max_articles - len(self)

    # Days

    def missing(self, days: Iterable[date], arriving: int = 1) -> list[date]:
        """Return the days in reach of arriving articles that are not held, and note that those held are in use."""
        self._clock += arriving
        wanted = {d for day in days for d in range(day.toordinal() - self.days, day.toordinal() + self.days + 1)}
        for day in wanted & self._asked.keys():
            self._asked[day] = self._clock
        first, last = date.min.toordinal(), date.max.toordinal()
        return [date.fromordinal(d) for d in sorted(wanted - self._asked.keys()) if first <= d <= last]

    def holds(self, days: Iterable[date]) -> None:
        """Note that all stored articles of these days have been added."""
        self._asked |= {day.toordinal(): self._clock for day in days}

    def shrink(self) -> int:
        """
        Forget days, and return how many articles were forgotten.

        Those not asked for longest go while there are too many articles. Those that none of the last arrivals asked for
        go in any case: as time goes on, the window goes with it, and holds what is in reach.
        """
        excess, idle = len(self) - self._max_articles, self._clock - self.recent
        if excess <= 0 and min(self._asked.values(), default=idle) >= idle:
            return 0
        live = self._live[: self._size]
        days, counts = np.unique(self._day[: self._size][live], return_counts=True)
        held = dict(zip(days.tolist(), counts.tolist(), strict=True))
        gone: list[int] = []
        for day in sorted(held.keys() | self._asked.keys(), key=lambda d: (self._asked.get(d, 0), d)):
            asked = self._asked.get(day, 0)
            if asked == self._clock or (excess <= 0 and asked >= idle):
                break
            excess -= held.get(day, 0)
            gone.append(day)
            self._asked.pop(day, None)
        return self._drop_all(np.isin(self._day[: self._size], gone) & live)

    def forget(self, before: date) -> int:
        """Forget all articles of the days before one: some of them are gone. Those left are asked for again."""
        for day in [d for d in self._asked if d < before.toordinal()]:
            del self._asked[day]
        return self._drop_all((self._day[: self._size] < before.toordinal()) & self._live[: self._size])

    def _drop_all(self, which: NDArray[np.bool_]) -> int:
        leaving = np.flatnonzero(which)
        self._drop(leaving)
        self._compact()
        return int(leaving.size)

    # Articles

    def reserve(self, articles: int) -> None:
        """Make room for so many more articles at once: filling the window is several times quicker then."""
        self._grow(self._size + articles)
        self._copies_index.reserve(articles)
        self._event_bands.reserve(articles * EVENT_BANDS)
        self._vectors.reserve(articles, articles * KEPT_TERMS)

    def add(self, entries: WindowColumns) -> None:
        """Add articles; one that is known already is replaced (a revision)."""
        known = [self._position[article_id] for article_id in entries.ids.tolist() if article_id in self._position]
        if known:
            self._drop(np.array(known))
        self._event_bands.add(*_event_keys(entries))
        self._add_all_else(entries)

    def fill(self, batches: Iterable[WindowColumns]) -> None:
        """Add many articles; those that are known stay as they are. Two cores are busy with it, where there are two."""
        with ThreadPoolExecutor(1) as beside:
            going_on: deque[Future[None]] = deque()
            for entries in batches:
                new = entries.where(~self.has(entries.ids))
                # The larger half of the work.
                going_on.append(beside.submit(self._event_bands.add, *_event_keys(new)))
                self._add_all_else(new)
                if len(going_on) > _FILLED_AHEAD:
                    going_on.popleft().result()
            for work in going_on:
                work.result()

    def _add_all_else(self, entries: WindowColumns) -> None:
        ids = entries.ids.tolist()
        first = self._size
        self._grow(first + len(ids))
        self._copies_index.add(entries.copy_keys, entries.samples)
        np.add.at(self._spread, self._vectors.add(entries.terms, entries.weights), np.int32(1))
        these = slice(first, first + len(ids))
        self._ids[these] = entries.ids
        self._published[these] = entries.published
        self._day[these] = entries.days
        self._n_words[these] = entries.n_words
        self._outlet[these] = entries.outlets
        own = entries.canonical == entries.ids
        self._cluster[these] = np.where(own, entries.clusters, 0)
        self._live[these] = True
        self._size = these.stop
        self._position.update(zip(ids, range(first, self._size), strict=True))
        for at in np.flatnonzero(own & (entries.clusters > 0)).tolist():
            self._enter_cluster(first + at, int(entries.clusters[at]))
        for at in np.flatnonzero(~own).tolist():
            canonical = self._canonical[ids[at]] = int(entries.canonical[at])
            self._copies.setdefault(canonical, []).append(ids[at])

    def near(self, entries: WindowColumns, *, earlier: bool) -> list[CandidateIds]:
        """Return what each of some articles that are held is worth comparing with: all others, or those `earlier`."""
        own = self._positions(entries.ids)
        before = own if earlier else np.full(own.size, self._size)
        by_copy = self._copies_index.find_candidates(entries.copy_keys, entries.samples, own, before)
        by_event = self._event_bands.find_candidates(*_event_keys(entries), own, before)
        copies = self._proposals(by_copy, own, COPY_CANDIDATES)
        coverage = self._proposals(by_event, own, EVENT_CANDIDATES)
        return [CandidateIds(c, e) for c, e in zip(copies, coverage, strict=True)]

    def _proposals(self, found: Candidates, own: NDArray[np.int64], most: int) -> list[tuple[int, ...]]:
        """Return the ids of the best candidates of each article, of those that are in reach."""
        apart = np.abs(self._published[found.positions] - self._published[own[found.queries]])
        # An unknown date (NaN) is never too far away.
        good = self._live[found.positions] & ~(apart > self.days)
        queries, ids = found.queries[good], self._ids[found.positions[good]]
        edges = np.searchsorted(queries, np.arange(own.size + 1)).tolist()
        return [tuple(ids[a : min(b, a + most)].tolist()) for a, b in itertools.pairwise(edges)]

    # Copies

    def canonical_of(self, article_id: int) -> int:
        """Return who speaks for an article."""
        return self._canonical.get(article_id, article_id)

    def set_canonical(self, article_id: int, canonical_id: int) -> None:
        """Make an article a copy of another, or, with its own id, nobody's."""
        if canonical_id == self.canonical_of(article_id):
            return
        self._leave_group(article_id)
        if canonical_id != article_id:
            self._leave_cluster(self._position[article_id])
            self._copies.setdefault(canonical_id, []).append(article_id)
            self._canonical[article_id] = canonical_id

    def group(self, canonical_id: int) -> list[CanonicalRank]:
        """Return a canonical article, if it is held, and its copies."""
        ids = [canonical_id, *self._copies.get(canonical_id, ())]
        return [self.standing(article_id) for article_id in ids if article_id in self._position]

    def copies_of(self, article_id: int) -> list[int]:
        """Return the copies of an article that are held."""
        return [copy for copy in self._copies.get(article_id, ()) if copy in self._position]

    def standing(self, article_id: int) -> CanonicalRank:
        """Return what decides whether an article speaks for its group."""
        position = self._position[article_id]
        published = float(self._published[position])
        return CanonicalRank(
            article_id=article_id,
            published_at=None if np.isnan(published) else datetime.fromtimestamp(published * DAY_S, UTC),
            n_words=int(self._n_words[position]),
        )

    # Clusters

    def cluster_of(self, article_id: int) -> int | None:
        """Return the cluster of an article, by way of its canonical article; None: not decided, or not held."""
        position = self._position.get(self.canonical_of(article_id))
        return None if position is None else int(self._cluster[position]) or None

    def set_cluster(self, article_id: int, cluster_id: int) -> None:
        """Put a canonical article into a cluster, out of the one it was in."""
        position = self._position[article_id]
        if int(self._cluster[position]) != cluster_id:
            self._leave_cluster(position)
            self._cluster[position] = cluster_id
            self._enter_cluster(position, cluster_id)

    def lowest_score(self, cluster_id: int) -> float:
        """Return the lowest score of two members of a cluster, infinite of less than two; it is remembered."""
        if len(self._members.get(cluster_id, ())) < 2:
            return np.inf
        if cluster_id not in self._lowest:
            scores = self.all_scores(self.members(cluster_id))
            np.fill_diagonal(scores, np.inf)
            self._lowest[cluster_id] = float(scores.min())
        return self._lowest[cluster_id]

    def has_lowest_score(self, cluster_id: int, score: float) -> None:
        """Take note of the lowest score of two members of a cluster, which somebody knows already."""
        self._lowest[cluster_id] = score

    def open_for(self, cluster_id: int, article_id: int, member: int) -> bool:
        """
        Tell whether a cluster was being fed when an article came out, which has come near to a member of it.

        It is not where the nearest of its articles is more than `quiet_days` away: chapters of a saga are events of
        their own. Where no date is known of the article or of that member, it is: whichever of the two comes last, the
        outcome is the same then.
        """
        if np.isnan(self._published[self._position[member]]):
            return True
        day = self._published[self._position[article_id]]
        nearest = np.fmin.reduce(np.abs(self._published[self._members.get(cluster_id, [])] - day), initial=np.nan)
        return not nearest > self.quiet_days

    def members(self, cluster_id: int, most: int | None = None) -> NDArray[np.int64]:
        """Return the canonical articles of a cluster that are held, by id; of a large one the `most` that came last."""
        members = self._members.get(cluster_id, [])
        return self._ids[members if most is None else members[-most:]]

    def outlets(self, articles: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return a number for the outlet of each article (by id), 0 where it is unknown."""
        return self._outlet[self._positions(articles)]

    def scores(self, article_id: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how surely an article covers the same event as each of the others (by id)."""
        return self.pair_scores(np.array([article_id]), others, np.zeros(others.size, dtype=np.int64))

    def pair_scores(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], of: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the scores of pairs (by id); `of` tells which of `articles` each of `others` goes with, ascending."""
        own, theirs = self._positions(articles), self._positions(others)
        apart = compute_time_penalty(self._published[own][of], self._published[theirs])
        return self._vectors.compute_cosines(own, theirs, of) - apart

    def all_scores(self, articles: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of all pairs of some articles (by id), shape (n, n)."""
        positions = self._positions(articles)
        days = self._published[positions]
        return self._vectors.compute_gram(positions) - compute_time_penalty(days[:, np.newaxis], days)

    def terms_of(
        self, articles: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]]:
        """Return the salient terms of articles (by id) in a row: hashes, weights, and whose each is (index)."""
        return self._vectors.gather_terms(self._positions(articles))

    def published(self, articles: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when each article (by id) came out, in days since 1970; NaN: unknown."""
        return self._published[self._positions(articles)]

    def precedence(self, articles: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return what `CanonicalRank.sort_key` orders articles by, a column for each: the most important first."""
        at = self._positions(articles)
        published, unknown = self._published[at], np.isnan(self._published[at])
        return unknown, np.where(unknown, 0, published), -self._n_words[at], articles

    def shared_terms(
        self, articles: NDArray[np.int64], others: NDArray[np.int64], most: int
    ) -> list[tuple[NDArray[np.uint32], NDArray[np.float32]]]:
        """Return, for pairs (by id), hashes of `TERM_BITS` bits and weight of the terms that make most of the score."""
        return self._vectors.find_shared_terms(self._positions(articles), self._positions(others), most)

    def spread(self, terms: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Return how many of the articles held have each of some terms (hashes of `TERM_BITS` bits)."""
        counts: NDArray[np.int32] = self._spread[terms]
        return counts

    # Inside

    def _positions(self, article_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([self._position[a] for a in article_ids.tolist()], dtype=np.int64)

    def _enter_cluster(self, position: int, cluster: int) -> None:
        self._members.setdefault(cluster, []).append(position)
        self._lowest.pop(cluster, None)

    def _leave_cluster(self, position: int) -> None:
        cluster = int(self._cluster[position])
        if cluster:
            self._lowest.pop(cluster, None)
            members = self._members[cluster]
            members.remove(position)
            if not members:
                del self._members[cluster]
            self._cluster[position] = 0

    def _leave_group(self, article_id: int) -> None:
        if article_id in self._canonical:
            self._copies[self._canonical.pop(article_id)].remove(article_id)

    def _drop(self, positions: NDArray[np.int64]) -> None:
        np.subtract.at(self._spread, self._vectors.gather_hashes(positions), np.int32(1))
        self._live[positions] = False
        for position, article_id in zip(positions.tolist(), self._ids[positions].tolist(), strict=True):
            self._leave_cluster(position)
            self._leave_group(article_id)
            del self._position[article_id]

    def _compact(self) -> None:
        """Give back the room of the articles forgotten, once that is worth the work."""
        if len(self) > self._size // 2:
            return
        keep = np.flatnonzero(self._live[: self._size])
        renumbered = dict(zip(keep.tolist(), range(keep.size), strict=True))
        self._copies_index.compact(keep)
        self._event_bands.compact(keep)
        self._vectors.compact(keep)
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[keep])
        self._size = keep.size
        self._position = {article: renumbered[p] for article, p in self._position.items()}
        self._members = {c: [renumbered[p] for p in members] for c, members in self._members.items()}

    def _grow(self, size: int) -> None:
        if size > self._ids.size:
            more = max(size, self._ids.size * 3 // 2, 1024) - self._ids.size
            for name in _COLUMNS:
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros(more, dtype=column.dtype)]))


def _event_keys(entries: WindowColumns) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return the bands of the sketches in a row, and how many each article has: none without a term."""
    telling = entries.terms.counts > 0
    return entries.event_keys[telling].ravel(), np.where(telling, EVENT_BANDS, 0)


_COLUMNS = ("_ids", "_published", "_day", "_n_words", "_outlet", "_cluster", "_live")
