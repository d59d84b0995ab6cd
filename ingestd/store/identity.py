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
        self._load_revisions(connection, [*self._by_url.values(), *self._by_id.values()])
        self._connection = connection
        self._by_record: dict[tuple[int, ...], dict[int, tuple[str | None, KnownArticle]]] = {}

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

    def find_earlier_version(self, files: tuple[int, ...], article: Article) -> KnownArticle | None:
        """
        Return the stored article that is the beginning of an article: read before the writer of the file had finished.

        Only for an article without URL and id. The record has the same number, and the earlier title begins the present
        title; of a file of several articles no title is no sign.

        Args:
            files: ids of the earlier versions of the file.
            article: from the present version.
        """
        if not files or article.url_canonical or article.external_id:
            return None
        if files not in self._by_record:
            self._by_record[files] = self._load_records(files)
        records = self._by_record[files]
        title, known = records.get(article.record_no, (None, None))
        is_begun = (article.title or "").startswith(title or "") and bool(title or len(records) == 1)
        return known if is_begun else None

    def add(self, article_id: int, article: Article, sha256: str) -> None:
        """Remember an article that was just given an id."""
        self._remember(article_id, article.outlet, sha256, article.url_canonical, article.external_id)

    def _load_records(self, files: tuple[int, ...]) -> dict[int, tuple[str | None, KnownArticle]]:
        """Return title and article of each record of some files, without those that have a URL or an id."""
        a = _articles.c
        query = select(a.id, a.outlet, a.text_sha256, a.record_no, a.title).where(
            a.source_file_id.in_(files), a.url_canonical.is_(None), a.external_id.is_(None)
        )
        records = {
            row.record_no: (row.title, KnownArticle(row.id, row.outlet, {row.text_sha256}))
            for row in self._connection.execute(query.order_by(a.source_file_id, a.id))
        }
        self._load_revisions(self._connection, [known for _, known in records.values()])
        return records

    def _load_revisions(self, connection: Connection, articles: Sequence[KnownArticle]) -> None:
        by_article = {known.article_id: known for known in articles}
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
