"""Files as streams: a look at the first bytes, and reading within limits."""

from __future__ import annotations

import io
from typing import BinaryIO

from ingestd.errors import Reason, UnusableError

HEAD_BYTES = 1 << 16  # enough to recognise the format of a file
# Bytes of one article: the limit of trafilatura for pages, and no article is a tenth of it. Reading and
# fingerprinting take up to 54 times the bytes of a plain text (measured: 4 MB of Chinese characters take 216 MB).
MOST_ARTICLE_BYTES = 20_000_000


def buffer_stream(raw: io.RawIOBase | io.BufferedIOBase) -> io.BufferedReader:
    """Return a stream for `peek_head`. `raw` must fill the buffers that a read passes in."""
    return io.BufferedReader(raw, HEAD_BYTES)


def peek_head(stream: io.BufferedReader) -> bytes:
    """Return the first `HEAD_BYTES` bytes of a stream without advancing the stream."""
    return stream.peek(HEAD_BYTES)[:HEAD_BYTES]


def read_article(stream: BinaryIO, max_bytes: int, *, most_bytes: int = MOST_ARTICLE_BYTES) -> bytes:
    """
    Return the whole content of a stream that holds a single article.

    Raises:
        UnusableError: the stream has more than `max_bytes` bytes, or more than an article can have.
    """
    data = read_all(stream, max_bytes)
    if len(data) > most_bytes:
        raise UnusableError(Reason.TOO_LARGE, f"{len(data)} bytes; an article of more than {most_bytes} is not read")
    return data


def read_all(stream: BinaryIO, max_bytes: int) -> bytes:
    """
    Return the whole content of a stream.

    Raises:
        UnusableError: the stream has more than `max_bytes` bytes.
    """
    data = stream.read(HEAD_BYTES)  # most files end here; for a larger request a stream allocates the full size
    if len(data) == HEAD_BYTES:
        data += stream.read(max(0, max_bytes + 1 - HEAD_BYTES))
    if len(data) > max_bytes:
        raise UnusableError(Reason.TOO_LARGE, f"more than formats.max_file_bytes = {max_bytes} bytes in one piece")
    return data
