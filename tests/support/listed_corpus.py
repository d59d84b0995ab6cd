"""A corpus in plain lists: what matching reads, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ingestd.core.changeset import ChangeSet, ClusterMembership, ClusterSummary, NewArticle
from ingestd.core.stored import (
    CorpusVersion,
    Headline,
    MemberCounts,
    RowSelection,
    StoredAssignment,
    StoredText,
)
from ingestd.core.window.columns import WindowColumns
from ingestd.core.window.window import Window
from ingestd.matching.batch_matcher import Decision
from ingestd.matching.cluster_summary import keep_inhabited, summarise_opened, summarise_touched
from ingestd.matching.copy_groups import MOST_COPIES
from ingestd.matching.matcher import Matcher


@dataclass
class ListedCorpus:
    """Articles, copies and members as dictionaries by article id; every change of a batch is applied to them."""

    articles: dict[int, NewArticle] = field(default_factory=dict)
    canonical: dict[int, int] = field(default_factory=dict)  # of copies
    members: dict[int, ClusterMembership] = field(default_factory=dict)
    batches: dict[int, int] = field(default_factory=dict)  # article -> batch of the decision
    revised: set[int] = field(default_factory=set)
    clusters: dict[int, ClusterSummary] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)

    def find_next_article_id(self) -> int:
        return max(self.articles, default=0) + 1

    def count_rows(self, selection: RowSelection) -> int:
        return len(self._select(selection))

    def read_rows(self, selections: Sequence[RowSelection], count: int) -> Iterator[WindowColumns]:
        for selection in selections:
            yield from self.read_rows_of(self._select(selection))

    def read_rows_of(self, article_ids: Sequence[int]) -> Iterator[WindowColumns]:
        rows = [
            replace(
                self.articles[a].window_row,
                canonical_id=self.canonical.get(a, a),
                cluster_id=self.members[a].cluster_id if a in self.members else None,
            )
            for a in article_ids
            if a in self.articles
        ]
        if rows:
            yield WindowColumns.from_rows(rows)

    def count_assignments_since(self, batch: int) -> int:
        return len(self.read_assignments_since(batch))

    def read_assignments_since(self, batch: int) -> list[StoredAssignment]:
        return self.read_assignments([a for a, decided in sorted(self.batches.items()) if decided > batch])

    def read_assignments(self, article_ids: Sequence[int]) -> list[StoredAssignment]:
        return [
            StoredAssignment(a, self.canonical.get(a, a), self.members[a].cluster_id, a in self.revised)
            for a in article_ids
        ]

    def read_texts(self, article_ids: Iterable[int]) -> dict[int, StoredText]:
        return {a: self.articles[a].stored_text for a in sorted(article_ids)}

    def read_last_texts(self, outlets: Iterable[str], n: int) -> dict[str, list[StoredText]]:
        by_outlet = {outlet: [a for a in self.articles.values() if a.article.outlet == outlet] for outlet in outlets}
        return {outlet: [a.stored_text for a in articles[-n:]] for outlet, articles in by_outlet.items()}

    def read_headlines(self, article_ids: Iterable[int]) -> dict[int, Headline]:
        return {a: Headline(self.articles[a].article.title, self.articles[a].article.lang) for a in article_ids}

    def find_inhabited_clusters(self, clusters: Sequence[int]) -> set[int]:
        return {membership.cluster_id for membership in self.members.values()} & set(clusters)

    def count_members(self, clusters: Sequence[int]) -> list[MemberCounts]:
        return [counts for cluster in clusters if (counts := self._count(cluster)) is not None]

    def apply_members(self, changes: ChangeSet, opened: Sequence[ClusterSummary]) -> None:
        """Do to the lists what `store.writer.write_members` does to the tables."""
        for new in changes.articles:
            if new.revised:
                self.revised.add(new.article_id)
            self.articles[new.article_id] = new
        self.clusters |= {summary.cluster_id: summary for summary in opened}
        for article_id, link in changes.copies.items():
            self.canonical.pop(article_id, None)
            if link is not None:
                self.canonical[article_id] = link.canonical_id
        self.members |= changes.joined
        moved = dict(changes.moved)
        moved |= {a: moved[c] for a, c in self.canonical.items() if c in moved}
        for article_id, cluster in moved.items():
            self.members[article_id] = replace(self.members[article_id], cluster_id=cluster)
        self.batches |= dict.fromkeys([*changes.joined, *moved], changes.batch)

    def apply_clusters(self, changes: ChangeSet, summaries: Sequence[ClusterSummary]) -> None:
        """Do to the lists what `store.writer.write_clusters` does to the tables."""
        self.merged |= {cluster: changes.resolve_merge(cluster) for cluster in changes.merged}
        for summary in summaries:
            kept = self.clusters[summary.cluster_id].keywords if summary.keywords is None else summary.keywords
            self.clusters[summary.cluster_id] = replace(summary, keywords=kept)

    def _select(self, selection: RowSelection) -> list[int]:
        return [
            a
            for a, new in sorted(self.articles.items())
            if (selection.first_id is None or a >= selection.first_id)
            and (selection.before_id is None or a < selection.before_id)
            and (selection.days is None or new.day in selection.days)
        ]

    def _count(self, cluster: int) -> MemberCounts | None:
        ids = sorted(a for a, membership in self.members.items() if membership.cluster_id == cluster)
        if not ids:
            return None
        dates = [when for a in ids if (when := self.articles[a].article.published_at) is not None]
        outlets = {outlet for a in ids if (outlet := self.articles[a].article.outlet) is not None}
        originals = sum(self.members[a].relation != "copy" for a in ids)
        return MemberCounts(
            cluster, len(ids), originals, len(outlets), min(dates, default=None), max(dates, default=None), ids[0],
            self.clusters[cluster].canonical_id,
        )  # fmt: skip


@dataclass
class ListedRun:
    """Decides batches over lists, one after the other."""

    make_window: Callable[[], Window] = lambda: Window(days=30, max_articles=10_000)
    most_copies: int = MOST_COPIES
    corpus: ListedCorpus = field(default_factory=ListedCorpus)
    batch: int = 0
    next_cluster: int = 1

    def __post_init__(self) -> None:
        self.matcher = Matcher(self.make_window, self.most_copies)

    def decide(self, batch: Sequence[NewArticle], now: datetime) -> Decision:
        self.batch += 1
        version = CorpusVersion(self.batch, 0, None, 0)
        decision = self.matcher.decide(batch, self.corpus, version, self.next_cluster, now)
        changes, window = decision.changes, self.matcher.window
        self.corpus.apply_members(changes, summarise_opened(decision, window))
        keep_inhabited(changes, self.corpus)
        self.corpus.apply_clusters(changes, summarise_touched(decision, self.corpus, window))
        self.next_cluster += len(changes.opened)
        return decision
