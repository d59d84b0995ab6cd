"""
Bytes to articles, one file a family of formats. What a file is, its content says first and its name second.

    stream --read_records()--> Record | Rejected | Skipped   a record at a time; a file may be larger than memory
    Record --parse_record()--> Article | Rejected            in any process

Readers are given a stream and give back values: they open no file and no connection.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points

from ingestd.core.article import Article, DateSource
from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats import compressed, dates, feed, html, json, markdown, newsml, text, warc, xml, zip_tar
from ingestd.formats.record import Format, ReadLimits, Record, Skipped
from ingestd.formats.source import head, peekable

__all__ = [
    "Format",
    "ReadLimits",
    "Record",
    "Rejected",
    "Skipped",
    "can_stream",
    "load_plugins",
    "parse_record",
    "read_records",
]

PLUGINS = "ingestd.formats"  # the group of entry points
# In this order: what a file begins with tells more than what it might be besides.
_FORMATS = (
    Format("warc", warc.recognises, warc.records, streams=True),
    Format("feed", feed.recognises, feed.records),
    Format("newsml", newsml.recognises, newsml.records),
    Format("html", html.recognises, html.records),
    Format("jsonl", json.recognises_lines, json.line_records, streams=True),
    Format("json", json.recognises, json.records),
    Format("markdown", markdown.recognises, markdown.records),
    Format("text", text.recognises, text.records),
)
# What other kinds of file begin with. Reading them as text would store noise.
_MAGIC = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a RIFF file (WebP, WAV or AVI)",
    b"%PDF": "a PDF document",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet file",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
}
# Text files that hold something other than an article.
_OTHER_TEXT = (".csv", ".tsv", ".py", ".js", ".css", ".sql", ".sh", ".toml", ".yaml", ".yml", ".ini", ".log")


def read_records(
    stream: io.RawIOBase | io.BufferedIOBase, name: str, context: ReadLimits
) -> Iterator[Record | Rejected | Skipped]:
    """
    Yield the records of a file, numbered, and those that cannot be used.

    Args:
        stream: the file from its beginning, buffered, such as `open(path, "rb")` gives.
        name: its name; the ending tells apart what the content does not.
        context: what the reading depends on besides the bytes.

    Raises:
        UnusableError: the file, or the rest of it, cannot be used. What was yielded before is good.
    """
    count = 0
    buffered = peekable(stream)
    try:
        for found in _records(buffered, name, context, ()):
            if not isinstance(found, Skipped):
                count += 1
                if count > context.max_records:
                    detail = f"more than formats.max_records = {context.max_records} records"
                    raise UnusableError(Reason.TOO_LARGE, detail)
            yield found
    finally:
        if not stream.closed:
            buffered.detach()  # or it would close the stream, which is the caller's


def parse_record(record: Record, context: ReadLimits) -> Iterator[Article | Rejected]:
    """Yield the articles that a record holds, or why it holds none."""
    try:
        for article in record.understand(record.value, context):
            dated = _dated(article, record, context)
            yield dated if dated.record_no == record.record_no else replace(dated, record_no=record.record_no)
    except UnusableError as error:
        yield Rejected(record.record_no, error.reason, error.detail)


def can_stream(beginning: bytes, name: str) -> bool:
    """Tell from its first bytes whether a file can be read without holding all of it in memory."""
    if compressed.codec(beginning) or zip_tar.is_zip(beginning) or zip_tar.is_tar(beginning):
        return True
    return any(known.streams for known in (*load_plugins(), *_FORMATS) if known.recognises(beginning, name))


@cache
def load_plugins() -> tuple[Format, ...]:
    """Return the formats that other packages bring; they are asked before our own."""
    found = (point.load() for point in entry_points(group=PLUGINS))
    return tuple(format_ for format_ in found if isinstance(format_, Format))


def _records(
    stream: io.BufferedReader, name: str, context: ReadLimits, within: tuple[str, ...]
) -> Iterator[Record | Rejected | Skipped]:
    beginning = head(stream)
    if used := compressed.codec(beginning):
        if within[-1:] == ("compressed",):
            raise UnusableError(Reason.ARCHIVE, "compressed twice")
        inner = peekable(compressed.Unpacked(stream, used, context))
        yield from _records(inner, compressed.inner_name(name, used), context, (*within, "compressed"))
    elif zip_tar.is_zip(beginning) or zip_tar.is_tar(beginning):
        if "archive" in within:
            raise UnusableError(Reason.ARCHIVE, "an archive inside an archive is not unpacked")
        members = zip_tar.zip_members if zip_tar.is_zip(beginning) else zip_tar.tar_members
        within = (*within, "archive")
        yield from members(stream, context, lambda member, named: _records(member, named, context, within))
    else:
        yield from _format_of(beginning, name).records(stream, name, context)


def _format_of(beginning: bytes, name: str) -> Format:
    """
    Return the format of a file.

    Raises:
        UnusableError: it is none that holds articles.
    """
    for known in load_plugins():
        if known.recognises(beginning, name):
            return known
    if beginning.startswith(tuple(_MAGIC)):
        kind = next(kind for magic, kind in _MAGIC.items() if beginning.startswith(magic))
        raise UnusableError(Reason.TYPE, f"the file is {kind}")
    if name.lower().endswith(_OTHER_TEXT):
        raise UnusableError(Reason.TYPE, f"a file named {name} holds no article")
    if not beginning.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space" if beginning else "zero bytes")
    found = next(known for known in _FORMATS if known.recognises(beginning, name))
    if found.name in ("text", "markdown") and beginning.lstrip().startswith(b"<?xml"):
        raise UnusableError(Reason.TYPE, f"XML with the root <{xml.root_name(beginning)}> holds no article")
    return found


def _dated(article: Article, record: Record, context: ReadLimits) -> Article:
    """Date an article that says nothing of it by its address, or by the name of its file."""
    if article.published_at is not None:
        return article
    for source, name in ((DateSource.URL, article.url or ""), (DateSource.FILE, record.source.rpartition("/")[2])):
        if published := dates.from_name(name, context.now):
            return replace(
                article,
                published_at=published.at,
                published_source=source,
                published_precision=published.precision,
            )
    return article
