"""Web archives, such as CC-NEWS: every page in a response is read as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats import html
from ingestd.formats.compressed import open_zstd
from ingestd.formats.record import ReadLimits, Record, Skipped

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_CODED_BYTES = 16 << 10  # of a page, decoded at a time
_CRAWL_TYPES = ("warcinfo", "request", "metadata")


def is_warc(head: bytes, _name: str) -> bool:
    """Return whether the first line belongs to a web archive."""
    return head.startswith(b"WARC/")


def read_warc(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record | Rejected | Skipped]:
    """
    Yield the pages of an archive, a page at a time.

    Raises:
        UnusableError: the rest of the archive cannot be read.
    """
    from warcio.archiveiterator import ArchiveIterator

    class Archive(ArchiveIterator):  # type: ignore[misc] # warcio has no types
        """Writes no warnings to standard error."""

        INC_RECORD = ""

    bounded = _BoundedStream(stream, limits.max_file_bytes)
    number = 0
    try:
        for record in Archive(bounded):
            if record.rec_type not in _CRAWL_TYPES:
                number += 1
                yield _classify_record(number, record, name, limits)
            bounded.extend_limit(_count_unread(record))
    except (UnusableError, MemoryError):
        raise
    except Exception as error:  # warcio lets errors of the decoders through
        raise UnusableError(Reason.WARC, f"after record {number}: {str(error)[:300]}") from error


class _BoundedStream:
    """Keeps warcio from reading any amount in search of the end of a line."""

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._stream: Any = stream
        self._max_bytes = max_bytes
        self._remaining = max_bytes

    def extend_limit(self, unread: int) -> None:
        """Allow the unread bytes of the present record, and `max_bytes` for the headers of the next."""
        self._remaining = max(0, unread) + self._max_bytes

    def read(self, n: int) -> bytes:
        """Return `n` bytes at most: what is there already, because damage behind it raises an error."""
        data: bytes = self._stream.read1(n)
        self._remaining -= len(data)
        if self._remaining < 0:
            raise UnusableError(Reason.WARC, f"no record within {self._max_bytes} bytes")
        return data


def _count_unread(record: Any) -> int:
    return int(getattr(record.raw_stream, "limit", 0))  # no limit if the record gives no length


def _classify_record(number: int, record: Any, name: str, limits: ReadLimits) -> Record | Rejected | Skipped:
    if record.rec_type == "revisit":
        return Skipped("revisit")
    if record.rec_type != "response" or record.http_headers is None:
        return Skipped("not a response")
    return _read_response(number, record, name, limits)


def _read_response(number: int, record: Any, name: str, limits: ReadLimits) -> Record | Rejected | Skipped:
    status = record.http_headers.get_statuscode()
    if status != "200":
        return Skipped(f"status {status if status.isdigit() else 'unknown'}")
    kind, _, parameters = (record.http_headers.get_header("Content-Type") or "").partition(";")
    if kind.strip().lower() not in _PAGE_TYPES:
        return Skipped("not HTML")
    most_bytes = min(limits.max_file_bytes, limits.max_article_bytes)
    try:
        data = _read_content(record, most_bytes + 1)
    except (UnusableError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - every decoder of pages raises other errors; the archive goes on behind the page
        return Rejected(number, Reason.WARC, f"the page cannot be decoded: {str(error)[:300]}")
    if limits.budget and record.http_headers.get_header("Content-Encoding"):
        limits.budget.spend_unpacked(len(data))
    if len(data) > most_bytes:
        return Rejected(number, Reason.TOO_LARGE, f"a page of more than {most_bytes} bytes")
    if _count_unread(record) > 0 and not record.raw_stream.read(1):
        return Rejected(number, Reason.WARC, "cut off")
    url = (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<>") or None
    charset = parameters.partition("charset=")[2].strip(" \"'") or None
    return Record(number, html.Page(data, url, charset), html.parse_page, len(data), name)


def _read_content(record: Any, most_bytes: int) -> bytes:
    """Return up to so many bytes of the content of a response, decoded."""
    from warcio.bufferedreaders import ChunkedDataReader

    headers = record.http_headers
    start_decoder = _DECODERS.get((headers.get_header("Content-Encoding") or "").strip().lower())
    if start_decoder is None:
        content: bytes = record.content_stream().read(most_bytes)  # plain, gzip and deflate
        return content
    chunked = headers.get_header("Transfer-Encoding") == "chunked"
    coded, decode = ChunkedDataReader(record.raw_stream) if chunked else record.raw_stream, start_decoder()
    decoded = bytearray()
    while len(decoded) < most_bytes and (data := coded.read(_CODED_BYTES)):
        decoded += decode(data, most_bytes - len(decoded))
    return bytes(decoded)


def _start_brotli() -> Callable[[bytes, int], bytes]:
    """Return a decoder of Brotli (RFC 7932): takes bytes, and how many to decode to at most."""
    import brotli  # type: ignore[import-untyped] # brotli has no types

    decoder = brotli.Decompressor()
    return lambda data, most_bytes: decoder.process(data, output_buffer_limit=most_bytes)


# Content codings that warcio does not decode: with Brotli it fails, and Zstandard it leaves as it is.
_DECODERS: Mapping[str, Callable[[], Callable[[bytes, int], bytes]]] = {
    "br": _start_brotli,
    "zstd": lambda: open_zstd().decompress,
}
