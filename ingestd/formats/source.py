"""Files as streams: how their beginning is looked at, and how they are read within bounds."""

from __future__ import annotations

import io
from typing import BinaryIO

from ingestd.errors import Reason, UnusableError

HEAD_BYTES = 1 << 16  # that a file is recognised by


def peekable(raw: io.RawIOBase | io.BufferedIOBase) -> io.BufferedReader:
    """Return a stream whose `peek` shows all of its beginning. `raw` must fill what it is asked to fill."""
    return io.BufferedReader(raw, HEAD_BYTES)


def head(stream: io.BufferedReader) -> bytes:
    """Return the first bytes of a stream without taking them."""
    return stream.peek(HEAD_BYTES)[:HEAD_BYTES]


def whole(stream: BinaryIO, most: int) -> bytes:
    """
    Return all that a stream holds.

    Raises:
        UnusableError: it is more than `most` bytes.
    """
    data = stream.read(HEAD_BYTES)  # most files end here; asked for more, a stream sets that much memory aside
    if len(data) == HEAD_BYTES:
        data += stream.read(max(0, most + 1 - HEAD_BYTES))
    if len(data) > most:
        raise UnusableError(Reason.TOO_LARGE, f"more than formats.max_file_bytes = {most} bytes in one piece")
    return data
