"""
Bytes to articles, one file a family of formats. What a file is, its content says first and its name second.

Readers are given bytes and give back values: they open no file and no connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ingestd.core.article import Article
from ingestd.errors import Reason, UnusableError
from ingestd.formats import json, text
from ingestd.formats.encoding import decode


@dataclass(frozen=True, slots=True)
class Context:
    """What reading needs to know besides the bytes."""

    now: datetime  # a date later than this is a mistake of the source
    timezone: ZoneInfo  # of dates that name none
    max_records: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be used, and why."""

    record_no: int  # from 1; the line number in JSONL
    reason: Reason
    detail: str


# What other kinds of file begin with. Reading them as text would store noise.
_MAGIC = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a RIFF file (WebP, WAV or AVI)",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
}


# Text files that hold something other than an article.
_OTHER_TEXT = (".csv", ".tsv", ".py", ".js", ".css", ".sql", ".sh", ".toml", ".yaml", ".yml", ".ini", ".log")


def read(data: bytes, name: str, context: Context) -> Iterator[Article | Rejected]:
    """
    Yield the articles in a file, and the records of it that cannot be used.

    Args:
        data: the whole file.
        name: its name; the ending tells apart what the content does not.
        context: what the reading depends on besides the bytes.

    Raises:
        UnusableError: nothing in the file can be used.
    """
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            raise UnusableError(Reason.TYPE, f"the file is {kind}, not text or JSON")
    if name.lower().endswith(_OTHER_TEXT):
        raise UnusableError(Reason.TYPE, f"a file named {name} holds no article")
    characters = decode(data)
    if not characters.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space" if data else "zero bytes")
    start = characters.lstrip()[:1]
    if start == "<":
        raise UnusableError(Reason.TYPE, "the file is HTML or XML, which is not read yet")
    if start in "{[" or name.lower().endswith((".json", ".jsonl", ".ndjson")):
        lines = name.lower().endswith((".jsonl", ".ndjson"))
        for record_no, record in json.records(characters, lines=lines, most=context.max_records):
            yield _article(record_no, record, context)
    else:
        yield text.article(characters, context.now, context.timezone)


def _article(record_no: int, record: object, context: Context) -> Article | Rejected:
    try:
        if isinstance(record, UnusableError):
            raise record
        return json.article(record, record_no, context.now, context.timezone)
    except UnusableError as error:
        return Rejected(record_no, error.reason, error.detail)
