"""
Bytes to articles, one file a family of formats. The content tells the format of a file first, and the name second.

    stream --read_records()--> Record | Rejected | Skipped   a record at a time; a file may be larger than memory
    Record --parse_record()--> Article | Rejected            in any process

A reader gets a stream and returns values: no reader opens a file or a connection.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points

from ingestd.core.article import Article, DateSource, bound_keys
from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats.budget import Budget
from ingestd.formats.compressed import DecompressedStream, find_codec, remove_ending
from ingestd.formats.dates import find_date_in_name
from ingestd.formats.feed import is_feed, read_feed
from ingestd.formats.foreign import refuse_foreign
from ingestd.formats.html import is_html, read_html
from ingestd.formats.json import is_json, is_json_lines, read_json, read_json_lines
from ingestd.formats.markdown import is_markdown, read_markdown
from ingestd.formats.newsml import is_newsml, read_newsml
from ingestd.formats.record import Format, ReadLimits, Record, Skipped
from ingestd.formats.source import buffer_stream, peek_head
from ingestd.formats.text import accepts_any, read_text
from ingestd.formats.warc import is_warc, read_warc
from ingestd.formats.xml import find_root_name
from ingestd.formats.zip_tar import is_tar, is_zip, read_tar, read_zip

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
# Asked in this order: the beginning of a file tells more than the names of formats that accept much.
_FORMATS = (
    Format("warc", is_warc, read_warc, streams=True),
    Format("feed", is_feed, read_feed),
    Format("newsml", is_newsml, read_newsml),
    Format("html", is_html, read_html),
    Format("jsonl", is_json_lines, read_json_lines, streams=True),
    Format("json", is_json, read_json),
    Format("markdown", is_markdown, read_markdown),
    Format("text", accepts_any, read_text),
)


def read_records(
    stream: io.RawIOBase | io.BufferedIOBase, name: str, limits: ReadLimits
) -> Iterator[Record | Rejected | Skipped]:
    """
    Yield the records of a file, numbered, and the records that cannot be used.

    Args:
        stream: the file from the beginning, buffered, as from `open(path, "rb")`.
        name: the name of the file; the ending decides if the content leaves a doubt.
        limits: the limits and settings of reading.

    Raises:
        UnusableError: the file, or the rest of the file, cannot be used. All records before the error are good.
    """
    buffered = buffer_stream(stream)
    budget = limits.start_budget(buffered.tell)
    try:
        for result in _read_stream(buffered, name, limits, budget, ()):
            if not isinstance(result, Skipped):
                budget.spend_record()
            yield result
    finally:
        if not stream.closed:
            buffered.detach()  # or `buffered` would close the stream, and the caller owns the stream


def parse_record(record: Record, limits: ReadLimits) -> Iterator[Article | Rejected]:
    """Yield the articles of a record, or the reason why there are none."""
    try:
        for article in record.understand(record.value, limits):
            dated = bound_keys(_add_date_from_name(article, record, limits))
            yield dated if dated.record_no == record.record_no else replace(dated, record_no=record.record_no)
    except UnusableError as error:
        yield Rejected(record.record_no, error.reason, error.detail)


def can_stream(head: bytes, name: str) -> bool:
    """Return whether a file with these first bytes can be read without the whole file in memory."""
    if find_codec(head) or is_zip(head) or is_tar(head):
        return True
    return any(known.streams for known in (*load_plugins(), *_FORMATS) if known.recognises(head, name))


@cache
def load_plugins() -> tuple[Format, ...]:
    """Return the formats of other packages; plug-ins are asked before our own formats."""
    loaded = (point.load() for point in entry_points(group=PLUGINS))
    return tuple(format_ for format_ in loaded if isinstance(format_, Format))


def _read_stream(
    stream: io.BufferedReader, name: str, limits: ReadLimits, budget: Budget, containers: tuple[str, ...]
) -> Iterator[Record | Rejected | Skipped]:
    """Yield the records of a file, or of a member inside `containers`."""
    head = peek_head(stream)
    if codec := find_codec(head):
        if containers[-1:] == ("compressed",):
            raise UnusableError(Reason.ARCHIVE, "compressed twice")
        inner = buffer_stream(DecompressedStream(stream, codec, budget))
        yield from _read_stream(inner, remove_ending(name, codec), limits, budget, (*containers, "compressed"))
    elif is_zip(head) or is_tar(head):
        if "archive" in containers:
            raise UnusableError(Reason.ARCHIVE, "an archive inside an archive is not unpacked")
        containers = (*containers, "archive")

        def read_member(member: io.BufferedReader, member_name: str) -> Iterator[Record | Rejected | Skipped]:
            return _read_stream(member, member_name, limits, budget, containers)

        yield from (
            read_zip(stream, limits, budget, read_member) if is_zip(head) else read_tar(stream, budget, read_member)
        )
    else:
        yield from _identify_format(head, name).records(stream, name, replace(limits, budget=budget))


def _identify_format(head: bytes, name: str) -> Format:
    """
    Return the format of a file.

    Raises:
        UnusableError: files of this format hold no articles.
    """
    for known in load_plugins():
        if known.recognises(head, name):
            return known
    refuse_foreign(head, name)
    if not head.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space" if head else "zero bytes")
    format_ = next(known for known in _FORMATS if known.recognises(head, name))
    if format_.name in ("text", "markdown") and head.lstrip().startswith(b"<?xml"):
        raise UnusableError(Reason.TYPE, f"XML with the root <{find_root_name(head)}> holds no article")
    return format_


def _add_date_from_name(article: Article, record: Record, limits: ReadLimits) -> Article:
    """Return an article with a date: without a date in the text, the address or the name of the file gives the day."""
    if article.published_at is not None:
        return article
    for source, name in ((DateSource.URL, article.url or ""), (DateSource.FILE, record.source.rpartition("/")[2])):
        if published := find_date_in_name(name, limits.now):
            return replace(
                article,
                published_at=published.at,
                published_source=source,
                published_precision=published.precision,
            )
    return article
