"""An article as read from a file of any format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

# PostgreSQL refuses an index entry of more than 2,704 bytes (a third of a page of 8 KiB, less the headers), and
# id and outlet stand in one index. The bounds hold on SQLite as well: a corpus can go from one to the other.
MAX_URL_BYTES = 2000
MAX_NAME_BYTES = 1000  # of an external id, and of an outlet
MAX_LANG_LENGTH = 35  # every language tag fits (RFC 5646, section 4.4.1)


class DateSource(Enum):
    """Source of the date of publication."""

    RECORD = "record"  # a field of a record
    JSON_LD = "json-ld"  # structured data in a page
    META = "meta"  # other metadata of a page
    URL = "url"  # a date in the address
    TEXT = "text"  # a dateline in the text
    FILE = "file"  # a date in the name of the file


class DatePrecision(Enum):
    """Precision of the date of publication."""

    SECOND = "second"
    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article as the source gave it; texts without characters that databases refuse (NUL, lone surrogates)."""

    title: str | None
    text: str  # paragraphs separated by line breaks
    outlet: str | None = None
    url: str | None = None
    url_canonical: str | None = None
    external_id: str | None = None  # the record's own id, where the format has one
    authors: tuple[str, ...] = ()
    lang: str | None = None  # ISO 639-1
    lang_confidence: float | None = None  # 0..1; None: the source named the language
    published_at: datetime | None = None  # UTC, with time zone
    published_source: DateSource | None = None
    published_precision: DatePrecision | None = None
    refused_date: str | None = None  # the given date, if impossible
    record_no: int = 1  # number in the file, from 1

    @property
    def body(self) -> str:
        """The text to compare: the headline if a record has no other text."""
        return self.text or self.title or ""

    def hash_text(self) -> str:
        """Return the SHA-256 of the body; equal texts have equal hashes."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def bound_keys(article: Article) -> Article:
    """Return an article with every indexed field within its bound: too long a field is cut as by `shorten_key`."""
    url = shorten_key(article.url_canonical, MAX_URL_BYTES)
    external_id = shorten_key(article.external_id, MAX_NAME_BYTES)
    outlet = shorten_key(article.outlet, MAX_NAME_BYTES)
    lang = article.lang if len(article.lang or "") <= MAX_LANG_LENGTH else None
    if (url, external_id, outlet, lang) == (article.url_canonical, article.external_id, article.outlet, article.lang):
        return article
    return replace(article, url_canonical=url, external_id=external_id, outlet=outlet, lang=lang)


def shorten_key(value: str | None, max_bytes: int) -> str | None:
    """Return a value of at most `max_bytes` in UTF-8: cut, with the SHA-256 of the whole, so unequal values stay so."""
    if value is None or len(value) * 4 <= max_bytes or len(data := value.encode()) <= max_bytes:
        return value
    suffix = f"#sha256:{hashlib.sha256(data).hexdigest()}"
    return data[: max_bytes - len(suffix)].decode("utf-8", "ignore") + suffix
