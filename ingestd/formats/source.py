"""Files as streams: a look at the first bytes, and reading within limits."""

from __future__ import annotations

import io
from typing import BinaryIO

from ingestd.errors import Reason, UnusableError
from ingestd.formats.budget import HARMLESS_BYTES
from ingestd.formats.record import ReadLimits

HEAD_BYTES = 1 << 16  # enough to recognise the format of a file
_PORTION_BYTES = 1 << 20  # of a large file, read at a time: a stream allocates the size of a request


def buffer_stream(raw: io.RawIOBase | io.BufferedIOBase) -> io.BufferedReader:
    """Return a stream for `peek_head`. `raw` must fill the buffers that a read passes in."""
    return io.BufferedReader(raw, HEAD_BYTES)


def peek_head(stream: io.BufferedReader) -> bytes:
    """Return the first `HEAD_BYTES` bytes of a stream without advancing the stream."""
    return stream.peek(HEAD_BYTES)[:HEAD_BYTES]


def read_article(stream: BinaryIO, limits: ReadLimits) -> bytes:
    """
    Return the whole content of a stream that holds a single article.

    Raises:
        UnusableError: the stream has more than `max_file_bytes` bytes, or more than an article can have.
    """
    most_bytes = limits.max_article_bytes
    if limits.max_file_bytes <= most_bytes:
        return read_all(stream, limits.max_file_bytes)
    data = _read_up_to(stream, most_bytes + 1)
    if len(data) > most_bytes:
        _skip(stream, HARMLESS_BYTES)  # if this is a bomb, the budget says so
        raise UnusableError(Reason.TOO_LARGE, f"an article of more than {most_bytes} bytes is not read")
    return data


def _skip(stream: BinaryIO, most_bytes: int) -> None:
    """Read up to so many bytes, and keep none."""
    left = most_bytes
    while left > 0 and (data := stream.read(_PORTION_BYTES)):
        left -= len(data)


def read_all(stream: BinaryIO, max_bytes: int) -> bytes:
    """
    Return the whole content of a stream.

    Raises:
        UnusableError: the stream has more than `max_bytes` bytes.
    """
    data = _read_up_to(stream, max_bytes + 1)
    if len(data) > max_bytes:
        raise UnusableError(Reason.TOO_LARGE, f"more than formats.max_file_bytes = {max_bytes} bytes in one piece")
    return data


def _read_up_to(stream: BinaryIO, most_bytes: int) -> bytes:
    """Return the first bytes of a stream, in memory once."""
    data = stream.read(min(HEAD_BYTES, most_bytes))  # most files end here
    if len(data) < HEAD_BYTES:
        return data
    whole = io.BytesIO()  # hands out the bytes without a copy
    while data:
        whole.write(data)
        data = stream.read(min(_PORTION_BYTES, most_bytes - whole.tell()))
    return whole.getvalue()
