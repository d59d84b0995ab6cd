"""Web archives, such as those of CC-NEWS: each page that was answered with is read as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats import html
from ingestd.formats.record import ReadLimits, Record, Skipped

_PAGES = ("text/html", "application/xhtml+xml")
_ABOUT_THE_CRAWL = ("warcinfo", "request", "metadata")


def recognises(head: bytes, _name: str) -> bool:
    """Tell a web archive by its first line."""
    return head.startswith(b"WARC/")


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record | Rejected | Skipped]:
    """
    Yield the pages of an archive as they come.

    Raises:
        UnusableError: what follows cannot be read.
    """
    from warcio.archiveiterator import ArchiveIterator

    class Archive(ArchiveIterator):  # type: ignore[misc] # warcio has no types
        """Without what it would write to standard error."""

        INC_RECORD = ""

    bounded = _Bounded(stream, context.max_file_bytes)
    number = 0
    try:
        for record in Archive(bounded):
            if record.rec_type not in _ABOUT_THE_CRAWL:
                number += 1
                yield _record(number, record, name, context)
            bounded.next_record(_unread(record))
    except UnusableError:
        raise
    except Exception as error:  # warcio lets through what its decoders raise
        raise UnusableError(Reason.WARC, f"after record {number}: {str(error)[:300]}") from error


class _Bounded:
    """Keeps warcio from reading any amount in search of the end of a line."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream, self._most = stream, most
        self._left = most

    def next_record(self, unread: int) -> None:
        """Allow what is left of the present record, and the headers of the next."""
        self._left = max(0, unread) + self._most

    def read(self, n: int) -> bytes:
        data = self._stream.read(n)
        self._left -= len(data)
        if self._left < 0:
            raise UnusableError(Reason.WARC, f"no record within {self._most} bytes")
        return data


def _unread(record: Any) -> int:
    return int(getattr(record.raw_stream, "limit", 0))  # none where the record does not say how long it is


def _record(number: int, record: Any, name: str, context: ReadLimits) -> Record | Rejected | Skipped:
    if record.rec_type == "revisit":
        return Skipped("revisit")
    if record.rec_type != "response" or record.http_headers is None:
        return Skipped("not a response")
    return _response(number, record, name, context)


def _response(number: int, record: Any, name: str, context: ReadLimits) -> Record | Rejected | Skipped:
    status = record.http_headers.get_statuscode()
    if status != "200":
        return Skipped(f"status {status if status.isdigit() else 'unknown'}")
    kind, _, parameters = (record.http_headers.get_header("Content-Type") or "").partition(";")
    if kind.strip().lower() not in _PAGES:
        return Skipped("not HTML")
    data = record.content_stream().read(context.max_file_bytes + 1)
    if len(data) > context.max_file_bytes:
        detail = f"a page of more than formats.max_file_bytes = {context.max_file_bytes} bytes"
        return Rejected(number, Reason.TOO_LARGE, detail)
    if _unread(record) > 0 and not record.raw_stream.read(1):
        return Rejected(number, Reason.WARC, "cut off")
    url = (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<>") or None
    charset = parameters.partition("charset=")[2].strip(" \"'") or None
    return Record(number, html.Page(data, url, charset), html.understand, len(data), name)
