"""
A record of named fields to an article, whatever the format of the record.

The table `KEYS` gives the names of each field: the first name with a usable value wins. Settings add names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ingestd.core.article import Article, DateSource
from ingestd.core.text.languages import LANGUAGES
from ingestd.core.text.urls import canonicalise_url, find_domain
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates
from ingestd.formats.encoding import fix_text, unescape_references
from ingestd.formats.markup import strip_markup
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
_WORD = re.compile(r"\w")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|\w+);", re.IGNORECASE)
_MOST_NESTED = 100  # levels of a body; more is no text
# For lines without two blanks in a row: a run of blanks would be read from every blank of the run.
_AUTHOR_SEPARATOR = re.compile(rf" ?(?:,|;|\b(?:{'|'.join(LANGUAGES['en'].conjunctions)})\b) ?")


def build_article(record: object, limits: ReadLimits) -> Article:
    """
    Return the article in a record.

    Raises:
        UnusableError: the record is no object, or has neither a title nor a text.
    """
    if not isinstance(record, dict):
        raise UnusableError(Reason.SCHEMA, f"a record is an object of named fields, not {type(record).__name__}")
    named: dict[Any, Any] = record
    if isinstance(named.get("_source"), dict):  # as Elasticsearch hands out its documents
        named = {"_id": named.get("_id")} | named["_source"]
    fields = _FieldFinder(named, limits)
    text = _join_text(fields.find("text", _has_words))
    if len(text) > limits.max_article_bytes:
        detail = f"a text of {len(text)} characters; more than {limits.max_article_bytes} are not read"
        raise UnusableError(Reason.TOO_LARGE, detail)
    if (n_tags := text.count("<")) > limits.max_tags:
        raise UnusableError(Reason.TOO_LARGE, f"a text of {n_tags} tags; more than {limits.max_tags} are not read")
    text = strip_markup(text)
    title = _read_line(fields.find("title", _has_words))
    if not _WORD.search(text) and not title:
        keys = ", ".join(str(key)[:40] for key in list(named)[:12])
        raise UnusableError(Reason.SCHEMA, f"neither a title nor a text; keys: {keys}")
    url = _read_line(fields.find("url"))
    raw_date = fields.find("published")
    published = dates.parse_date(raw_date, limits.now, limits.timezone)
    lang = _read_line(fields.find("lang"))
    return Article(
        title=title,
        text=text,
        outlet=_read_line(fields.find("outlet")) or (find_domain(url) if url else None),
        url=url,
        url_canonical=canonicalise_url(url) if url else None,
        external_id=_read_line(fields.find("external_id")),
        authors=tuple(split_authors(fields.find("authors"))),
        lang=lang.lower().replace("_", "-").split("-")[0] if lang else None,
        published_at=published.at if published else None,
        published_source=DateSource.RECORD if published else None,
        published_precision=published.precision if published else None,
        refused_date=None if published or raw_date is None else str(raw_date)[:100],
    )


def split_authors(value: object) -> Iterator[str]:
    """Yield the names in a byline, in a list of names, or in a list of objects with names."""
    if isinstance(value, str):
        value = [part for part in _AUTHOR_SEPARATOR.split(" ".join(value.split())) if part]
    if isinstance(value, dict):
        value = [value]
    for author in value if isinstance(value, list) else []:
        name = _read_line(author)
        if name and name.lower() not in _ABSENT:
            yield name


class _FieldFinder:
    """Finds the fields of an article in a record."""

    def __init__(self, record: Mapping[Any, Any], limits: ReadLimits) -> None:
        """Search `record`, under the keys in the settings first."""
        self._record, self._further_keys, self._most_chars = record, limits.keys, limits.max_article_bytes

    def find(self, field: str, is_usable: Callable[[object], bool] | None = None) -> Any:
        """
        Return the first value that is present and usable, or None.

        Raises:
            UnusableError: the value is longer than an article can be.
        """
        for key in (*self._further_keys.get(field, ()), *KEYS[field]):
            value = self._record.get(key)
            if value is None and "." in key:
                value = self._find_nested(key)
            if isinstance(value, str) and len(value) > self._most_chars:
                detail = f"`{key[:40]}` has {len(value)} characters; more than {self._most_chars} are not read"
                raise UnusableError(Reason.TOO_LARGE, detail)
            if value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT):
                continue
            if is_usable is None or is_usable(value):
                return value
        return None

    def _find_nested(self, path: str) -> Any:
        """Return the value at `outer.inner`."""
        value: Any = self._record
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value


def _has_words(value: object) -> bool:
    return bool(_WORD.search(value if isinstance(value, str) else _join_text(value)))


def _read_line(value: object) -> str | None:
    """Return one line of text; of an object the name, of a list the first entry."""
    if isinstance(value, dict):
        value = next((value[k] for k in ("name", "title", "@id", "url", "$oid") if k in value), None)
    if isinstance(value, list):
        value = next(iter(value), None)
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    line = fix_text(" ".join(str(value).split()))
    if "&" in line and _ENTITY.search(line):
        line = fix_text(unescape_references(line)).strip()
    return line or None


def _join_text(value: object, level: int = 0) -> str:
    """Return running text; nested bodies (fundus: summary, sections, paragraphs) in reading order."""
    if isinstance(value, str):
        return fix_text(value).replace("\r\n", "\n").replace("\r", "\n").strip()
    if level > _MOST_NESTED:
        return ""
    return "\n\n".join(part for part in (_join_text(part, level + 1) for part in _list_parts(value)) if part)


def _list_parts(value: object) -> Iterable[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[k] for k in ("headline", "summary", "text", "sections", "paragraphs", "content") if k in value]
    return []
