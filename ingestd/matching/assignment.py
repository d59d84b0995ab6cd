"""The decision about one article."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """The group of copies and the cluster of an article."""

    article_id: int
    canonical_id: int
    relation: str  # original, or the relation of the copy to its canonical article
    cluster_id: int
    score: float | None  # mean with the members of the cluster; None: the article opened the cluster
