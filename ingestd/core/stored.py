"""Values of the stored corpus, as matching reads them: no row of a table leaves the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class CorpusVersion:
    """The number of a batch, and the events that concern the corpus as a whole."""

    batch: int
    generation: int  # rises when all articles are decided anew
    pruned_before: date | None
    pruned_batch: int


@dataclass(frozen=True, slots=True)
class StoredAssignment:
    """The group of copies and the cluster of an article in the database."""

    article_id: int
    canonical_id: int
    cluster_id: int
    revised: bool  # whether the article had another text before


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text, its headline and its outlet."""

    text: str
    headline: str  # the first line of a text without a title
    outlet: str | None

    @classmethod
    def from_article(cls, title: str | None, text: str, outlet: str | None) -> StoredText:
        """Return the text of an article that is compared: the headline where the article holds nothing else."""
        body = text or title or ""
        return cls(body, title or body.partition("\n")[0], outlet)


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Stored articles to read into the window: by id, by day, or both."""

    first_id: int | None = None  # articles from this id on
    before_id: int | None = None  # articles with lower ids
    days: tuple[date, ...] | None = None  # articles of these days, ascending


@dataclass(frozen=True, slots=True)
class MemberCounts:
    """The stored members of a cluster, counted."""

    cluster_id: int
    n_articles: int
    n_originals: int  # members that are no copies
    n_outlets: int
    first_published_at: datetime | None
    last_published_at: datetime | None
    lowest_article_id: int
    canonical_id: int | None  # the canonical article before the batch


@dataclass(frozen=True, slots=True)
class Headline:
    """Title and language of an article."""

    title: str | None
    lang: str | None
