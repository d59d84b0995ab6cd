"""Find arriving articles that are in the database already, in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ingestd.core.article import Article
from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRevision, ArticleRow

_articles = ArticleRow.__table__


@dataclass(slots=True)
class KnownArticle:
    """An article that is in the database."""

    article_id: int
    outlet: str | None
    texts: set[str]  # SHA-256 of every text that the article has or had


class Identities:
    """
    Finds the stored article that an arriving article is.

    Same canonical URL: the same article. No URL: the same id from the same outlet. Neither: equal text, unless the
    outlet names another article. A text that the article had before is a repeat too: scrapers come upon old pages,
    and a file that was interrupted half-way is read again from its beginning.
    """

    def __init__(self, connection: Connection, articles: Sequence[tuple[Article, str]]) -> None:
        """Look all articles up at once; each comes with the SHA-256 of its text."""
        self._by_url: dict[str, KnownArticle] = {}
        self._by_id: dict[tuple[str, str], KnownArticle] = {}
        self._by_text: dict[str, list[KnownArticle]] = {}
        columns = (
            _articles.c.id,
            _articles.c.outlet,
            _articles.c.text_sha256,
            _articles.c.url_canonical,
            _articles.c.external_id,
        )
        for column, keys in (
            (_articles.c.url_canonical, {a.url_canonical for a, _ in articles if a.url_canonical}),
            (_articles.c.external_id, {a.external_id for a, _ in articles if a.external_id and not a.url_canonical}),
            (_articles.c.text_sha256, {sha256 for a, sha256 in articles if not a.url_canonical and not a.external_id}),
        ):
            for chunk in split_keys(sorted(keys)):
                for row in connection.execute(select(*columns).where(column.in_(chunk)).order_by(_articles.c.id)):
                    self._remember(row.id, row.outlet, row.text_sha256, row.url_canonical, row.external_id)
        self._load_revisions(connection)

    def find(self, article: Article, sha256: str) -> KnownArticle | None:
        """Return the stored article that an article with this text is; None: a new article."""
        if article.url_canonical:
            return self._by_url.get(article.url_canonical)
        if article.external_id:
            return self._by_id.get((article.outlet or "", article.external_id))
        for known in self._by_text.get(sha256, ()):
            if article.outlet is None or known.outlet is None or article.outlet == known.outlet:
                return known
        return None

    def add(self, article_id: int, article: Article, sha256: str) -> None:
        """Remember an article that was just given an id."""
        self._remember(article_id, article.outlet, sha256, article.url_canonical, article.external_id)

    def _load_revisions(self, connection: Connection) -> None:
        by_article = {known.article_id: known for known in (*self._by_url.values(), *self._by_id.values())}
        revisions = ArticleRevision.__table__.c
        for chunk in split_keys(sorted(by_article)):
            query = select(revisions.article_id, revisions.text_sha256).where(revisions.article_id.in_(chunk))
            for row in connection.execute(query):
                by_article[row.article_id].texts.add(row.text_sha256)

    def _remember(
        self, article_id: int, outlet: str | None, sha256: str, url: str | None, external_id: str | None
    ) -> None:
        known = KnownArticle(article_id, outlet, {sha256})
        if url:
            self._by_url.setdefault(url, known)
        elif external_id:
            self._by_id.setdefault((outlet or "", external_id), known)
        self._by_text.setdefault(sha256, []).append(known)
