"""Files as streams: a look at the first bytes, and reading within limits."""

from __future__ import annotations

import io
from typing import BinaryIO

from ingestd.errors import Reason, UnusableError

HEAD_BYTES = 1 << 16  # enough to recognise the format of a file


def buffer_stream(raw: io.RawIOBase | io.BufferedIOBase) -> io.BufferedReader:
    """Return a stream for `peek_head`. `raw` must fill the buffers that a read passes in."""
    return io.BufferedReader(raw, HEAD_BYTES)


def peek_head(stream: io.BufferedReader) -> bytes:
    """Return the first `HEAD_BYTES` bytes of a stream without advancing the stream."""
    return stream.peek(HEAD_BYTES)[:HEAD_BYTES]


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
