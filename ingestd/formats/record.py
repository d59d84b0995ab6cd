"""The values of every format: the limits, the records of a stream, and the format as three functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected
from ingestd.formats.budget import Budget

# Bytes of `max_file_bytes` for each value of a document: then all values take three times `max_file_bytes` at most.
# Articles have a value in some 60 bytes, commas in the text counted too.
_BYTES_A_VALUE = 48
# One article: reading and fingerprinting take up to 30 times the bytes, and so less than three times `max_file_bytes`
# (measured: 565 MB for 20 MB of lines of two letters). The most bytes are the limit of trafilatura for pages.
_MOST_ARTICLE_BYTES, _ARTICLE_PART = 20_000_000, 12
_MOST_TAGS, _BYTES_A_TAG = 200_000, 1280  # of one article: ten times a long page; the parsers take up to 2 kB for each
# Fewer are no danger, and small limits of a user should not refuse small documents.
_FEW_VALUES, _FEW_TAGS, _FEW_BYTES = 100_000, 20_000, 1_000_000


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits of reading, and the settings that change the result."""

    now: datetime  # a later date is a mistake of the source
    timezone: ZoneInfo  # of dates without a time zone
    max_file_bytes: int = 256 * 1024 * 1024  # of a file or record that has to be in memory as a whole
    max_records: int = 1_000_000
    max_unpacked_bytes: int = 64 * 1024 * 1024 * 1024
    max_unpack_ratio: int = 200
    max_members: int = 100_000
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # further names of fields, tried first
    budget: Budget | None = field(default=None, compare=False, repr=False)  # of the file that is being read

    @property
    def max_values(self) -> int:
        """Values of a JSON or XML document in memory; each takes up to some 150 bytes (estimated)."""
        return max(_FEW_VALUES, self.max_file_bytes // _BYTES_A_VALUE)

    @property
    def max_article_bytes(self) -> int:
        """Bytes of a single article: a text, a page, a field of a record."""
        return min(_MOST_ARTICLE_BYTES, max(_FEW_BYTES, self.max_file_bytes // _ARTICLE_PART))

    @property
    def max_tags(self) -> int:
        """Tags of a single article."""
        return min(_MOST_TAGS, max(_FEW_TAGS, self.max_file_bytes // _BYTES_A_TAG))

    def start_budget(self, count_packed: Callable[[], int]) -> Budget:
        """Return the budget of a file; `count_packed` returns the bytes of the file read so far."""
        return Budget(
            count_packed,
            max_unpacked_bytes=self.max_unpacked_bytes,
            max_unpack_ratio=self.max_unpack_ratio,
            max_members=self.max_members,
            max_records=self.max_records,
        )


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a file, to be parsed in any process."""

    record_no: int  # from 1; the line number in JSONL
    value: Any
    # Parses the value. A function of a module, because pickle sends the record to other processes.
    understand: Callable[[Any, ReadLimits], Iterable[Article]]
    size: int  # bytes, roughly: the share of a batch
    source: str = ""  # name of the file, or of the member of an archive


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is not meant to be an article. Such records are counted, not listed."""

    why: str


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. The names of the fields are a contract with plug-ins."""

    name: str
    recognises: Callable[[bytes, str], bool]  # of the first bytes, 64 KiB at most, and the name
    records: Callable[[BinaryIO, str, ReadLimits], Iterator[Record | Rejected | Skipped]]
    streams: bool = False  # a record at a time: the file may be larger than memory
