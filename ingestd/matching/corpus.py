"""The reads of matching from the stored corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ingestd.core.stored import Headline, MemberCounts, RowSelection, StoredAssignment, StoredText
from ingestd.core.window.columns import WindowColumns


class Corpus(Protocol):
    """All articles decided before the present batch. Implemented over a transaction of the store, and by lists."""

    def find_next_article_id(self) -> int:
        """Return the id after that of the newest stored article."""

    def count_rows(self, selection: RowSelection) -> int:
        """Return how many stored articles a selection holds."""

    def read_rows(self, selections: Sequence[RowSelection], count: int) -> Iterator[WindowColumns]:
        """Yield the articles of some selections, about `count`; an article may come twice."""

    def read_rows_of(self, article_ids: Sequence[int]) -> Iterator[WindowColumns]:
        """Yield stored articles by their ids."""

    def count_assignments_since(self, batch: int) -> int:
        """Return how many articles were decided after a batch."""

    def read_assignments_since(self, batch: int) -> list[StoredAssignment]:
        """Return all articles that were decided after a batch."""

    def read_assignments(self, article_ids: Sequence[int]) -> list[StoredAssignment]:
        """Return where articles belong."""

    def read_texts(self, article_ids: Iterable[int]) -> dict[int, StoredText]:
        """Return the texts of articles, by article id."""

    def read_last_texts(self, outlets: Iterable[str], n: int) -> dict[str, list[StoredText]]:
        """Return the n texts of each outlet that were stored last, oldest first."""

    def read_headlines(self, article_ids: Iterable[int]) -> dict[int, Headline]:
        """Return title and language of articles, by article id."""

    def find_inhabited_clusters(self, clusters: Sequence[int]) -> set[int]:
        """Return those of some clusters that have members, after the members of the batch were written."""

    def count_members(self, clusters: Sequence[int]) -> list[MemberCounts]:
        """Return the counts of the members of clusters, after the members of the batch were written."""
