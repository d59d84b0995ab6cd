"""The texts of stored articles, read in bulk."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Select, select, union_all

from ingestd.core.stored import Headline, StoredText
from ingestd.store.sql import split_keys
from ingestd.store.tables import ArticleRow

_OUTLETS_A_QUERY = 40
_articles = ArticleRow.__table__


def read_texts(connection: Connection, article_ids: Iterable[int]) -> dict[int, StoredText]:
    """Return the texts of articles, by article id."""
    texts: dict[int, StoredText] = {}
    for chunk in split_keys(sorted(article_ids)):
        rows = connection.execute(_select_texts().where(_articles.c.id.in_(chunk)))
        texts.update({row.id: StoredText.from_article(row.title, row.text, row.outlet) for row in rows})
    return texts


def read_last_texts(connection: Connection, outlets: Iterable[str], n: int) -> dict[str, list[StoredText]]:
    """Return the n texts of each outlet that were stored last, oldest first."""
    texts: dict[str, list[StoredText]] = {outlet: [] for outlet in outlets}
    for chunk in split_keys(sorted(texts), _OUTLETS_A_QUERY):
        newest = (
            _select_texts().where(_articles.c.outlet == outlet).order_by(_articles.c.id.desc()).limit(n).subquery()
            for outlet in chunk
        )
        for row in sorted(connection.execute(union_all(*(select(one) for one in newest))), key=lambda row: row.id):
            texts[row.outlet].append(StoredText.from_article(row.title, row.text, row.outlet))
    return texts


def read_headlines(connection: Connection, article_ids: Iterable[int]) -> dict[int, Headline]:
    """Return title and language of articles, by article id."""
    headlines: dict[int, Headline] = {}
    for chunk in split_keys(sorted(article_ids)):
        query = select(_articles.c.id, _articles.c.title, _articles.c.lang).where(_articles.c.id.in_(chunk))
        headlines.update({row.id: Headline(row.title, row.lang) for row in connection.execute(query)})
    return headlines


def _select_texts() -> Select[tuple[int, str | None, str, str | None]]:
    return select(_articles.c.id, _articles.c.title, _articles.c.text, _articles.c.outlet)
