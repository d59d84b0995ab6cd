"""gzip, bzip2, xz and Zstandard: unpacked as a stream, within bounds, and checked to the end."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from ingestd.errors import Reason, UnusableError
from ingestd.formats.record import ReadLimits

_PIECE = 1 << 16
_MEMORY = 1 << 28  # bytes that unpacking may take: the largest dictionary that common settings write, twice over
_SMALL = 64 * 1024 * 1024  # bytes: unpacked to less than this, nothing is a bomb


class _Gzip:
    """zlib's decompressor with the interface of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)  # 31: a gzip header, and its checksum at the end

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _zstd() -> Any:
    from backports.zstd import DecompressionParameter, ZstdDecompressor

    return ZstdDecompressor(options={DecompressionParameter.window_log_max: 27})  # 2^27: what its own tools take


@dataclass(frozen=True, slots=True)
class _Codec:
    magic: bytes
    endings: tuple[str, ...]
    reason: Reason  # what damage is called
    new: Callable[[], Any]  # eof, needs_input, unused_data, decompress(data, max_length), as in the standard library


_CODECS = (
    _Codec(b"\x1f\x8b", (".gz", ".gzip"), Reason.GZIP, _Gzip),
    _Codec(b"BZh", (".bz2",), Reason.BZIP2, bz2.BZ2Decompressor),
    _Codec(b"\xfd7zXZ\x00", (".xz",), Reason.XZ, lambda: lzma.LZMADecompressor(memlimit=_MEMORY)),
    _Codec(b"\x28\xb5\x2f\xfd", (".zst", ".zstd"), Reason.ZSTD, _zstd),
)


def codec(head: bytes) -> _Codec | None:
    """Return how a file is compressed, by its first bytes."""
    return next((c for c in _CODECS if head.startswith(c.magic)), None)


def inner_name(name: str, used: _Codec) -> str:
    """Return the name without the ending of the compression; .tgz becomes .tar."""
    stem, dot, ending = name.rpartition(".")
    if f".{ending.lower()}" in used.endings:
        return stem
    return f"{stem}.tar" if dot and ending.lower() in ("tgz", "tbz", "tbz2", "txz", "tzst") else name


class Unpacked(io.RawIOBase):
    """
    What a compressed stream unpacks to. Several members in a row are one stream, as their tools define it.

    Reading raises UnusableError where the stream is damaged, cut off, or unpacks to more than the bounds allow, and
    goes on raising it: whoever reads the rest of it must not take the damage for an end.
    """

    def __init__(self, stream: BinaryIO, used: _Codec, context: ReadLimits) -> None:
        """Read from `stream` as it is asked for."""
        self._stream, self._codec, self._context = stream, used, context
        self._decompressor = used.new()
        self._at_start = True  # of a member
        self._taken = self._given = 0
        self._failure: UnusableError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; less than all of it means the end."""
        filled = 0
        while filled < len(buffer):
            piece = self._next(len(buffer) - filled)
            if not piece:
                break
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _next(self, most: int) -> bytes:
        if self._failure is not None:
            raise self._failure
        try:
            return self._decompressed(most)
        except UnusableError as error:
            self._failure = error
            raise
        except Exception as error:  # each codec has its own kind
            self._failure = UnusableError(self._codec.reason, str(error) or type(error).__name__)
            raise self._failure from error

    def _decompressed(self, most: int) -> bytes:
        while True:
            data, ended = b"", False
            if self._decompressor.eof:
                data = self._decompressor.unused_data
                self._decompressor, self._at_start = self._codec.new(), True
            if not data and self._decompressor.needs_input:
                data = self._stream.read(_PIECE)
                self._taken += len(data)
                if not data and self._at_start:
                    return b""
                ended = not data
            if self._at_start and not data.strip(b"\0"):
                continue  # padding after the last member
            piece: bytes = self._decompressor.decompress(data, most)
            self._at_start = False
            if ended and not piece and not self._decompressor.eof:
                raise UnusableError(self._codec.reason, "the compressed data end in the middle")
            if piece:
                self._given += len(piece)
                self._check()
                return piece

    def _check(self) -> None:
        if self._given > self._context.max_unpacked_bytes:
            most = self._context.max_unpacked_bytes
            raise UnusableError(Reason.BOMB, f"unpacks to more than formats.max_unpacked_bytes = {most}")
        if self._given > _SMALL and self._given > self._context.max_unpack_ratio * self._taken:
            raise UnusableError(
                Reason.BOMB, f"unpacks to more than formats.max_unpack_ratio = {self._context.max_unpack_ratio} times"
            )


def total_size(members: list[int], packed: int, context: ReadLimits) -> None:
    """
    Refuse an archive that says of itself that it is a bomb.

    Raises:
        UnusableError: what its members unpack to is out of bounds.
    """
    unpacked = sum(members)
    if unpacked > context.max_unpacked_bytes or (unpacked > _SMALL and unpacked > context.max_unpack_ratio * packed):
        raise UnusableError(Reason.BOMB, f"{packed} bytes unpack to {unpacked}")
