"""The group of copies and the cluster of each article in the window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestd.core.copies.star_groups import CanonicalRank
from ingestd.core.window.article_table import ArticleTable
from ingestd.core.window.columns import WindowColumns


class Memberships:
    """
    Groups of copies and clusters.

    Only canonical articles are members of a cluster; a copy is in the cluster of its canonical article. A canonical
    article that is not held still names its group.
    """

    def __init__(self, articles: ArticleTable) -> None:
        """Begin empty, over the rows of a table."""
        self._articles = articles
        self._cluster = np.zeros(0, dtype=np.int64)  # by position, 0: not decided
        self._members: dict[int, list[int]] = {}  # positions of the canonical articles of a cluster
        self._canonical: dict[int, int] = {}  # canonical article of each copy
        self._copies: dict[int, list[int]] = {}  # ids of the copies of a canonical article
        # The lowest score between two members of a cluster, where somebody computed it; dropped when members change.
        self.lowest_scores: dict[int, float] = {}

    @property
    def nbytes(self) -> int:
        """Memory of the column, in bytes."""
        return self._cluster.nbytes

    def add(self, columns: WindowColumns, first: int) -> None:
        """Take in the memberships of articles that were added at positions from `first` on."""
        if self._cluster.size < self._articles.ids.size:
            more = self._articles.ids.size - self._cluster.size
            self._cluster = np.concatenate([self._cluster, np.zeros(more, dtype=np.int64)])
        ids = columns.ids.tolist()
        is_canonical = columns.canonical == columns.ids
        self._cluster[first : first + len(ids)] = np.where(is_canonical, columns.clusters, 0)
        for at in np.flatnonzero(is_canonical & (columns.clusters > 0)).tolist():
            self._enter_cluster(first + at, int(columns.clusters[at]))
        for at in np.flatnonzero(~is_canonical).tolist():
            canonical = self._canonical[ids[at]] = int(columns.canonical[at])
            self._copies.setdefault(canonical, []).append(ids[at])

    def remove(self, positions: NDArray[np.int64]) -> None:
        """Take articles that leave the window out of their groups and clusters."""
        for position, article_id in zip(positions.tolist(), self._articles.ids[positions].tolist(), strict=True):
            self._leave_cluster(position)
            self._leave_group(article_id)

    def compact(self, positions: NDArray[np.int64], renumbered: dict[int, int]) -> None:
        """Follow the table, of which only the rows at `positions` are left."""
        self._cluster = self._cluster[positions]
        self._members = {c: [renumbered[p] for p in members] for c, members in self._members.items()}

    # Groups of copies

    def get_canonical(self, article_id: int) -> int:
        """Return the canonical article of an article."""
        return self._canonical.get(article_id, article_id)

    def set_canonical(self, article_id: int, canonical_id: int) -> None:
        """Make an article a copy of another, or, with the article's own id, canonical."""
        if canonical_id == self.get_canonical(article_id):
            return
        self._leave_group(article_id)
        if canonical_id != article_id:
            position = self._articles.get_position(article_id)
            if position is not None:
                self._leave_cluster(position)
            self._copies.setdefault(canonical_id, []).append(article_id)
            self._canonical[article_id] = canonical_id

    def list_group(self, canonical_id: int) -> list[CanonicalRank]:
        """Return the ranks of a canonical article and its copies, of those that are held."""
        ids = [canonical_id, *self._copies.get(canonical_id, ())]
        return [self._articles.rank(article_id) for article_id in ids if article_id in self._articles]

    def list_copies(self, article_id: int) -> list[int]:
        """Return the copies of an article that are held."""
        return [copy for copy in self._copies.get(article_id, ()) if copy in self._articles]

    # Clusters

    def get_cluster(self, article_id: int) -> int | None:
        """Return the cluster of an article, by way of its canonical article; None: not decided, or not held."""
        position = self._articles.get_position(self.get_canonical(article_id))
        return None if position is None else int(self._cluster[position]) or None

    def set_cluster(self, article_id: int, cluster_id: int) -> None:
        """Move a canonical article to a cluster."""
        position = self._articles.find_position(article_id)
        if int(self._cluster[position]) != cluster_id:
            self._leave_cluster(position)
            self._cluster[position] = cluster_id
            self._enter_cluster(position, cluster_id)

    def list_members(self, cluster_id: int, most: int | None = None) -> NDArray[np.int64]:
        """Return the ids of the canonical articles of a cluster that are held; of a large one the `most` latest."""
        positions = self._members.get(cluster_id, [])
        return self._articles.ids[positions if most is None else positions[-most:]]

    def has_members(self, cluster_id: int) -> bool:
        """Tell whether a canonical article of a cluster is held."""
        return cluster_id in self._members

    def accepts(self, cluster_id: int, article_id: int, member: int, quiet_days: int) -> bool:
        """
        Tell whether a cluster was being fed when an article came out that is near to a member.

        A cluster whose nearest article is more than `quiet_days` away is not: chapters of a saga are events of their
        own. Where the article or that member has no date, the cluster accepts: the outcome is then the same whichever
        of the two arrives last.
        """
        published = self._articles.published
        if np.isnan(published[self._articles.find_position(member)]):
            return True
        own_date = published[self._articles.find_position(article_id)]
        distances = np.abs(published[self._members.get(cluster_id, [])] - own_date)
        nearest = np.fmin.reduce(distances, initial=np.nan)
        return not nearest > quiet_days

    def _enter_cluster(self, position: int, cluster: int) -> None:
        self._members.setdefault(cluster, []).append(position)
        self.lowest_scores.pop(cluster, None)

    def _leave_cluster(self, position: int) -> None:
        cluster = int(self._cluster[position])
        if cluster:
            self.lowest_scores.pop(cluster, None)
            members = self._members[cluster]
            members.remove(position)
            if not members:
                del self._members[cluster]
            self._cluster[position] = 0

    def _leave_group(self, article_id: int) -> None:
        if article_id in self._canonical:
            self._copies[self._canonical.pop(article_id)].remove(article_id)
