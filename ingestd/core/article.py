"""What an article is once it has been read from a file, whatever the file's format was."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class DateSource(Enum):
    """Where the date of publication was found."""

    RECORD = "record"  # a field of a record
    JSON_LD = "json-ld"  # structured data in a page
    META = "meta"  # what a page says of itself otherwise
    URL = "url"  # a date in the address
    TEXT = "text"  # a dateline in the text
    FILE = "file"  # a date in the name of the file


class DatePrecision(Enum):
    """How much of the date of publication was given."""

    SECOND = "second"
    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One article as its source gave it. Texts are cleaned of what no database keeps (NUL, lone surrogates)."""

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
    refused_date: str | None = None  # what was given as the date and cannot be one
    record_no: int = 1  # place in the file, from 1

    @property
    def body(self) -> str:
        """What there is to compare: the text, or the headline where a record holds nothing else."""
        return self.text or self.title or ""

    def hash_text(self) -> str:
        """Return the key by which equal texts are recognised."""
        return hashlib.sha256(self.body.encode()).hexdigest()
