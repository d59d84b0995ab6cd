"""gzip, bzip2, xz and Zstandard: unpacked as a stream, within limits, and checked to the end."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from ingestd.errors import Reason, UnusableError
from ingestd.formats.budget import Budget

_READ_BYTES = 1 << 16
_MOST_MEMORY = 1 << 28  # bytes for unpacking: twice the largest dictionary of common settings


class _Gzip:
    """The decompressor of zlib with the interface of the other codecs; all bytes before a damage come out."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)  # 31: a gzip header, and a checksum at the end
        self._held = b""  # the input from the damage on

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not (self._inner.unconsumed_tail or self._held)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        packed = self._inner.unconsumed_tail + self._held + data
        before = self._inner.copy()
        try:
            return self._inner.decompress(packed, max_length)
        except zlib.error:
            # zlib keeps to itself what came before the damage: the same input is read again, up to the damage.
            n_good = _count_good(before, packed, max_length)
            self._inner, self._held = before, packed[n_good:]
            if piece := before.decompress(packed[:n_good], max_length):
                return piece
            raise


def _count_good(inner: Any, packed: bytes, max_length: int) -> int:
    """Return how many bytes zlib reads without an error, found by bisection: fewer bytes of good input are good."""
    good, bad = 0, len(packed)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            inner.copy().decompress(packed[:middle], max_length)
            good = middle
        except zlib.error:
            bad = middle
    return good


def open_zstd() -> Any:
    """Return a decoder of Zstandard."""
    from backports.zstd import DecompressionParameter, ZstdDecompressor

    return ZstdDecompressor(options={DecompressionParameter.window_log_max: 27})  # 2^27: the limit of the zstd tools


@dataclass(frozen=True, slots=True)
class Codec:
    """A kind of compression, and the decompressor."""

    magic: bytes
    endings: tuple[str, ...]
    reason: Reason  # of damaged files
    # A decompressor of the standard library: eof, needs_input, unused_data, decompress(data, max_length).
    open: Callable[[], Any]


_CODECS = (
    Codec(b"\x1f\x8b", (".gz", ".gzip"), Reason.GZIP, _Gzip),
    Codec(b"BZh", (".bz2",), Reason.BZIP2, bz2.BZ2Decompressor),
    Codec(b"\xfd7zXZ\x00", (".xz",), Reason.XZ, lambda: lzma.LZMADecompressor(memlimit=_MOST_MEMORY)),
    Codec(b"\x28\xb5\x2f\xfd", (".zst", ".zstd"), Reason.ZSTD, open_zstd),
)


def find_codec(head: bytes) -> Codec | None:
    """Return the codec of a compressed file, recognised by the first bytes."""
    return next((c for c in _CODECS if head.startswith(c.magic)), None)


def remove_ending(name: str, codec: Codec) -> str:
    """Return the name of the unpacked file, without the ending of the compression; .tgz becomes .tar."""
    stem, dot, ending = name.rpartition(".")
    if f".{ending.lower()}" in codec.endings:
        return stem
    return f"{stem}.tar" if dot and ending.lower() in ("tgz", "tbz", "tbz2", "txz", "tzst") else name


class DecompressedStream(io.RawIOBase):
    """
    The unpacked bytes of a compressed stream. Several members in a row are a single stream, as in the usual tools.

    A read raises UnusableError if the stream is damaged, cut off, or larger than the budget allows, after all bytes
    before the damage have been read. All later reads raise the same error: a reader must not take the damage for the
    end of the file.
    """

    def __init__(self, stream: BinaryIO, codec: Codec, budget: Budget) -> None:
        """Read from `stream` on demand, and spend the unpacked bytes."""
        self._stream, self._codec, self._budget = stream, codec, budget
        self._decompressor = codec.open()
        self._at_start = True  # of a member
        self._failure: UnusableError | None = None

    def readable(self) -> bool:
        """Return whether the stream can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, completely before the end of the stream or the damage; return the number of bytes."""
        filled = 0
        while filled < len(buffer):
            try:
                piece = self._read_piece(len(buffer) - filled)
            except UnusableError:
                if not filled:
                    raise
                break  # the next read raises the error
            if not piece:
                break
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _read_piece(self, max_bytes: int) -> bytes:
        if self._failure is not None:
            raise self._failure
        try:
            return self._decompress(max_bytes)
        except UnusableError as error:
            self._failure = error
            raise
        except MemoryError:
            raise
        except Exception as error:  # every codec raises other errors
            self._failure = UnusableError(self._codec.reason, str(error) or type(error).__name__)
            raise self._failure from error

    def _decompress(self, max_bytes: int) -> bytes:
        while True:
            data, ended = b"", False
            if self._decompressor.eof:
                data = self._decompressor.unused_data
                self._decompressor, self._at_start = self._codec.open(), True
            if not data and self._decompressor.needs_input:
                data = self._stream.read(_READ_BYTES)
                if not data and self._at_start:
                    return b""
                ended = not data
            if self._at_start and not data.strip(b"\0"):
                continue  # padding after the last member
            piece: bytes = self._decompressor.decompress(data, max_bytes)
            self._at_start = False
            if ended and not piece and not self._decompressor.eof:
                raise UnusableError(self._codec.reason, "the compressed data end in the middle")
            if piece:
                self._budget.spend_unpacked(len(piece))
                return piece
