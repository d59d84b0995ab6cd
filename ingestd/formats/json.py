"""
JSON as scrapers write it: a record, an array of them, an object that holds such an array, or a record a line.

Which key means what is one table, `KEYS`: the first key present with a usable value wins.
"""

from __future__ import annotations

import json as standard
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from ingestd.core.article import Article, DateSource
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates, urls
from ingestd.formats.encoding import storable

# Names that news-please, trafilatura, fundus, newspaper4k, Scrapy spiders, schema.org, Media Cloud and the Telegram
# data clustering contest use.
KEYS: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "headline", "name"),
    "text": ("maintext", "text", "body", "content", "articleBody", "article_text", "full_text", "plaintext"),
    "published": (
        "date_publish", "publishing_date", "publish_date", "published", "published_at", "datePublished",
        "date_published", "publication_date", "pubDate", "pub_date", "timestamp", "date", "created_at",
    ),
    "url": ("url", "link", "canonical_url", "canonical_link", "source_url"),
    "outlet": (
        "outlet", "source_domain", "site_name", "sitename", "hostname", "domain", "media_name", "publisher", "source",
    ),
    "authors": ("authors", "author", "byline"),
    "lang": ("language", "lang", "inLanguage"),
    "external_id": ("id", "external_id", "article_id", "guid", "uuid", "_id", "identifier"),
}  # fmt: skip
_LISTS = ("articles", "items", "results", "docs", "documents", "data")  # keys of an object that holds the records
_ABSENT = {"", "none", "null", "nan", "n/a", "undefined"}
MAX_DEPTH = 1000
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def records(characters: str, *, lines: bool, most: int) -> Iterator[tuple[int, object]]:
    """
    Yield the records of a file with their numbers, from 1. A line that does not parse is yielded as its error.

    Args:
        characters: the file.
        lines: its name says that every line is a record.
        most: a file with more records than this is refused.

    Raises:
        UnusableError: the file as a whole does not parse.
    """
    if not lines:
        try:
            found = _listed(parse(characters))
        except UnusableError as error:
            if error.reason is not Reason.PARSE or not _looks_like_lines(characters):
                raise
        else:
            _limit(len(found), most)
            yield from enumerate(found, start=1)
            return
    rows = [(number, line) for number, line in enumerate(characters.split("\n"), start=1) if line.strip()]
    _limit(len(rows), most)
    for number, line in rows:
        try:
            yield number, parse(line)
        except UnusableError as error:
            yield number, error


def article(record: object, record_no: int, now: datetime, zone: ZoneInfo) -> Article:
    """
    Return the article that a record holds.

    Raises:
        UnusableError: it is no object, or holds neither a title nor a text.
    """
    if not isinstance(record, dict):
        raise UnusableError(Reason.SCHEMA, f"a record is a JSON object, not {type(record).__name__}")
    text = _text(_first(record, "text", _has_words))
    title = _string(_first(record, "title", _has_words))
    if not _has_words(text) and not title:
        raise UnusableError(
            Reason.SCHEMA, f"neither a title nor a text; keys: {', '.join(map(str, list(record)[:12]))}"
        )
    url = _string(_first(record, "url"))
    published = dates.from_value(_first(record, "published"), now, zone)
    lang = _string(_first(record, "lang"))
    return Article(
        title=title,
        text=text,
        outlet=_string(_first(record, "outlet")) or (urls.outlet(url) if url else None),
        url=url,
        url_canonical=urls.canonical(url) if url else None,
        external_id=_string(_first(record, "external_id")),
        authors=tuple(_authors(_first(record, "authors"))),
        lang=lang.lower().replace("_", "-").split("-")[0] if lang else None,
        published_at=published.at if published else None,
        published_source=DateSource.RECORD if published else None,
        published_precision=published.precision if published else None,
        record_no=record_no,
    )


def parse(characters: str) -> Any:
    """
    Return what a JSON text says.

    Raises:
        UnusableError: `parse`, or `depth` where it is nested too deeply to be an article.
    """
    try:
        return orjson.loads(characters)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error) or _depth(characters) > MAX_DEPTH:
            raise UnusableError(Reason.DEPTH, f"nested more than {MAX_DEPTH} deep") from error
        if "surrogate" not in str(error):
            raise UnusableError(Reason.PARSE, str(error)) from error
    # A lone surrogate is half a character: JSON allows it, UTF-8 does not. The standard library reads past it.
    try:
        return standard.loads(characters, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableError(Reason.PARSE, str(error)[:200]) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise UnusableError(Reason.SCHEMA, f"the file holds one {type(value).__name__}, not an article")
    if not any(key in value for key in (*KEYS["text"], *KEYS["title"])):
        for key in _LISTS:
            if isinstance(value.get(key), list):
                return list(value[key])
    return [value]


def _looks_like_lines(characters: str) -> bool:
    """Tell whether at least two lines are objects of their own. One object and garbage is a broken file."""
    objects = 0
    for line in characters.split("\n"):
        if line.lstrip().startswith("{"):
            try:
                parse(line)
            except UnusableError:
                continue
            objects += 1
            if objects == 2:
                return True
    return False


def _limit(found: int, most: int) -> None:
    if found > most:
        raise UnusableError(Reason.TOO_LARGE, f"{found} records, more than formats.max_records = {most}")


def _depth(characters: str) -> int:
    deepest = depth = 0
    for character in re.findall(r"[\[{\]}]", _STRING.sub("", characters)):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _has_words(value: object) -> bool:
    return bool(re.search(r"\w", _text(value)))


def _first(record: dict[str, Any], field: str, usable: Any = None) -> Any:
    for key in KEYS[field]:
        value = record.get(key)
        if value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT):
            continue
        if usable is None or usable(value):
            return value
    return None


def _string(value: object) -> str | None:
    """Return one line of text; of an object its name, of a list its first entry."""
    if isinstance(value, dict):
        value = next((value[k] for k in ("name", "title", "@id", "url", "$oid") if k in value), None)
    if isinstance(value, list):
        value = next(iter(value), None)
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    return storable(" ".join(str(value).split())) or None


def _text(value: object) -> str:
    """Return running text; nested bodies (fundus: summary, sections, paragraphs) in reading order."""
    if isinstance(value, str):
        return storable(value).replace("\r\n", "\n").strip()
    return "\n\n".join(part for part in map(_text, _parts(value)) if part)


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[k] for k in ("headline", "summary", "text", "sections", "paragraphs", "content") if k in value]
    return []


def _authors(value: object) -> Iterator[str]:
    if isinstance(value, str):
        value = [part for part in re.split(r"\s*(?:,|;|\band\b)\s*", value) if part]
    if isinstance(value, dict):
        value = [value]
    for author in value if isinstance(value, list) else []:
        name = _string(author)
        if name and name.lower() not in _ABSENT:
            yield name
