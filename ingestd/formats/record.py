"""What every format is made of: records that a stream is cut into, and what comes of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What reading needs to know besides the bytes."""

    now: datetime  # a date later than this is a mistake of the source
    timezone: ZoneInfo  # of dates that name none
    max_file_bytes: int = 256 * 1024 * 1024  # of what has to be in memory as a whole
    max_records: int = 1_000_000
    max_unpacked_bytes: int = 64 * 1024 * 1024 * 1024
    max_unpack_ratio: int = 200
    max_members: int = 100_000
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # further names of fields, tried first


@dataclass(frozen=True, slots=True)
class Record:
    """A record that has been cut out of its file and is still to be understood, in whatever process."""

    record_no: int  # from 1; the line number in JSONL
    value: Any
    understand: Callable[[Any, ReadLimits], Iterable[Article]]  # a function of a module: it travels between processes
    size: int  # bytes, roughly: how much of a batch it is
    source: str = ""  # name of the file, or of the member of an archive, that it is from


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is not meant to be an article. It is counted, not listed."""

    why: str


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file."""

    name: str
    recognises: Callable[[bytes, str], bool]  # given the first bytes of a file, 64 KiB at most, and its name
    records: Callable[[BinaryIO, str, ReadLimits], Iterator[Record | Rejected | Skipped]]
    streams: bool = False  # a record at a time: the file may be larger than memory
