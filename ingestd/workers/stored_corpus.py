"""The stored corpus as matching reads it: `matching.corpus.Corpus` over a transaction, in parallel where large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from ingestd.core.stored import Headline, MemberCounts, RowSelection, StoredAssignment, StoredText
from ingestd.core.window.columns import WindowColumns
from ingestd.store import assignments, corpus_state, texts, window_rows
from ingestd.workers.row_readers import ReadRows, read_rows_in_turn


class StoredCorpus:
    """The reads of one transaction."""

    def __init__(self, connection: Connection, read_rows: ReadRows = read_rows_in_turn) -> None:
        """Read through a connection; `read_rows` reads many articles at once."""
        self._connection, self._read_rows = connection, read_rows

    def find_next_article_id(self) -> int:
        """Return the id after that of the newest stored article."""
        return corpus_state.find_next_ids(self._connection)[0]

    def count_rows(self, selection: RowSelection) -> int:
        """Return how many stored articles a selection holds."""
        return window_rows.count_rows(self._connection, selection)

    def read_rows(self, selections: Sequence[RowSelection], count: int) -> Iterator[WindowColumns]:
        """Yield the articles of some selections, about `count`; an article may come twice."""
        return self._read_rows(self._connection, selections, count)

    def read_rows_of(self, article_ids: Sequence[int]) -> Iterator[WindowColumns]:
        """Yield stored articles by their ids."""
        return window_rows.read_rows_of(self._connection, article_ids)

    def count_assignments_since(self, batch: int) -> int:
        """Return how many articles were decided after a batch."""
        return assignments.count_assignments_since(self._connection, batch)

    def read_assignments_since(self, batch: int) -> list[StoredAssignment]:
        """Return all articles that were decided after a batch."""
        return assignments.read_assignments_since(self._connection, batch)

    def read_assignments(self, article_ids: Sequence[int]) -> list[StoredAssignment]:
        """Return where articles belong."""
        return assignments.read_assignments(self._connection, article_ids)

    def read_texts(self, article_ids: Iterable[int]) -> dict[int, StoredText]:
        """Return the texts of articles, by article id."""
        return texts.read_texts(self._connection, article_ids)

    def read_last_texts(self, outlets: Iterable[str], n: int) -> dict[str, list[StoredText]]:
        """Return the n texts of each outlet that were stored last, oldest first."""
        return texts.read_last_texts(self._connection, outlets, n)

    def read_headlines(self, article_ids: Iterable[int]) -> dict[int, Headline]:
        """Return title and language of articles, by article id."""
        return texts.read_headlines(self._connection, article_ids)

    def find_inhabited_clusters(self, clusters: Sequence[int]) -> set[int]:
        """Return those of some clusters that have members."""
        return assignments.find_inhabited_clusters(self._connection, clusters)

    def count_members(self, clusters: Sequence[int]) -> list[MemberCounts]:
        """Return the counts of the members of clusters."""
        return assignments.count_members(self._connection, clusters)
