"""An article about to be placed, and where it has come to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ingestd.core.article import Article
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.window.columns import WindowRow
from ingestd.store.articles import StoredText


@dataclass(frozen=True, slots=True)
class NewArticle:
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

    @property
    def entry(self) -> WindowRow:
        """The article as the window holds it."""
        return WindowRow(
            article_id=self.article_id,
            published_at=self.article.published_at,
            day=self.day,
            n_words=self.fingerprint.n_words,
            outlet=self.article.outlet,
            copy_signature=self.fingerprint.copy_signature,
            sample=self.fingerprint.sample,
            event_sketch=self.fingerprint.event_sketch,
            terms=self.fingerprint.terms,
            canonical_id=self.article_id,
            cluster_id=None,
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where an article has come to be."""

    article_id: int
    canonical_id: int
    relation: str  # original, or what it is to its canonical article
    cluster_id: int
    score: float | None  # mean with the members of its cluster; None: it opened the cluster
