"""
A record of named fields to an article, whichever format the record was written in.

Which name means what is one table, `KEYS`: the first name present with a usable value wins. Settings add to it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ingestd.core.article import Article, DateSource
from ingestd.core.text.urls import canonicalise_url, find_domain
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates, markup
from ingestd.formats.encoding import readable
from ingestd.formats.record import ReadLimits

# Names that news-please, trafilatura, fundus, newspaper4k, Scrapy spiders, schema.org, Media Cloud, news APIs and the
# Telegram data clustering contest use.
KEYS: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "headline", "name", "webTitle"),
    "text": (
        "maintext", "text", "body", "content", "articleBody", "article_text", "full_text", "plaintext", "bodyText",
        "content_text", "content_html", "html", "raw_text",
    ),
    "published": (
        "date_publish", "publishing_date", "publish_date", "published", "published_at", "publishedAt", "datePublished",
        "date_published", "publication_date", "published_date", "pubDate", "pub_date", "webPublicationDate",
        "firstPublished", "timestamp", "date", "datetime", "created_at", "dateCreated",
    ),
    "url": ("url", "link", "canonical_url", "canonical_link", "webUrl", "source_url", "mainEntityOfPage"),
    "outlet": (
        "outlet", "source_domain", "site_name", "sitename", "hostname", "domain", "media_name", "publisher", "source",
    ),
    "authors": ("authors", "author", "byline", "creator"),
    "lang": ("language", "lang", "inLanguage"),
    "external_id": ("external_id", "id", "article_id", "guid", "uuid", "_id", "identifier"),
}  # fmt: skip
_ABSENT = {"", "none", "null", "nan", "n/a", "undefined"}
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|\w+);", re.IGNORECASE)
_MOST_NESTED = 100  # levels of a body; more is no text


def article(record: object, context: ReadLimits) -> Article:
    """
    Return the article that a record holds.

    Raises:
        UnusableError: it is no object, or holds neither a title nor a text.
    """
    if not isinstance(record, dict):
        raise UnusableError(Reason.SCHEMA, f"a record is an object of named fields, not {type(record).__name__}")
    named: dict[Any, Any] = record
    if isinstance(named.get("_source"), dict):  # as Elasticsearch hands out its documents
        named = {"_id": named.get("_id")} | named["_source"]
    find = _Finder(named, context.keys)
    text = markup.text_of(_text(find("text", _has_words)))
    title = _string(find("title", _has_words))
    if not _words(text) and not title:
        keys = ", ".join(str(key)[:40] for key in list(named)[:12])
        raise UnusableError(Reason.SCHEMA, f"neither a title nor a text; keys: {keys}")
    url = _string(find("url"))
    given = find("published")
    published = dates.from_value(given, context.now, context.timezone)
    lang = _string(find("lang"))
    return Article(
        title=title,
        text=text,
        outlet=_string(find("outlet")) or (find_domain(url) if url else None),
        url=url,
        url_canonical=canonicalise_url(url) if url else None,
        external_id=_string(find("external_id")),
        authors=tuple(authors(find("authors"))),
        lang=lang.lower().replace("_", "-").split("-")[0] if lang else None,
        published_at=published.at if published else None,
        published_source=DateSource.RECORD if published else None,
        published_precision=published.precision if published else None,
        refused_date=None if published or given is None else str(given)[:100],
    )


def authors(value: object) -> Iterator[str]:
    """Yield the names in a byline, a list of names or of objects with names."""
    if isinstance(value, str):
        value = [part for part in re.split(r"\s*(?:,|;|\band\b)\s*", value) if part]
    if isinstance(value, dict):
        value = [value]
    for author in value if isinstance(value, list) else []:
        name = _string(author)
        if name and name.lower() not in _ABSENT:
            yield name


class _Finder:
    """Looks fields up in a record."""

    def __init__(self, record: Mapping[Any, Any], further: Mapping[str, tuple[str, ...]]) -> None:
        self._record, self._further = record, further

    def __call__(self, field: str, usable: Any = None) -> Any:
        for key in (*self._further.get(field, ()), *KEYS[field]):
            value = self._record.get(key)
            if value is None and "." in key:
                value = self._inside(key)
            if value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT):
                continue
            if usable is None or usable(value):
                return value
        return None

    def _inside(self, path: str) -> Any:
        """Return what lies at `outer.inner`."""
        value: Any = self._record
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value


def _words(text: str) -> bool:
    return bool(re.search(r"\w", text))


def _has_words(value: object) -> bool:
    return _words(value if isinstance(value, str) else _text(value))


def _string(value: object) -> str | None:
    """Return one line of text; of an object its name, of a list its first entry."""
    if isinstance(value, dict):
        value = next((value[k] for k in ("name", "title", "@id", "url", "$oid") if k in value), None)
    if isinstance(value, list):
        value = next(iter(value), None)
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    line = readable(" ".join(str(value).split()))
    if "&" in line and _ENTITY.search(line):
        line = readable(html.unescape(line)).strip()
    return line or None


def _text(value: object, level: int = 0) -> str:
    """Return running text; nested bodies (fundus: summary, sections, paragraphs) in reading order."""
    if isinstance(value, str):
        return readable(value).replace("\r\n", "\n").replace("\r", "\n").strip()
    if level > _MOST_NESTED:
        return ""
    return "\n\n".join(part for part in (_text(part, level + 1) for part in _parts(value)) if part)


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[k] for k in ("headline", "summary", "text", "sections", "paragraphs", "content") if k in value]
    return []
