"""An article as read from a file of any format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


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
