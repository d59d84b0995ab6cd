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
from ingestd.formats.record import ReadLimits

_READ_BYTES = 1 << 16
_MOST_MEMORY = 1 << 28  # bytes for unpacking: twice the largest dictionary of common settings
_HARMLESS_BYTES = 64 * 1024 * 1024  # a file that unpacks to less is no bomb


class _Gzip:
    """The decompressor of zlib with the interface of the other codecs."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)  # 31: a gzip header, and a checksum at the end

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


def _open_zstd() -> Any:
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
    Codec(b"\x28\xb5\x2f\xfd", (".zst", ".zstd"), Reason.ZSTD, _open_zstd),
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

    A read raises UnusableError if the stream is damaged, cut off, or larger than the limits allow. All later reads
    raise the same error: a reader must not take the damage for the end of the file.
    """

    def __init__(self, stream: BinaryIO, codec: Codec, limits: ReadLimits) -> None:
        """Read from `stream` on demand."""
        self._stream, self._codec, self._limits = stream, codec, limits
        self._decompressor = codec.open()
        self._at_start = True  # of a member
        self._n_packed = self._n_unpacked = 0  # bytes so far
        self._failure: UnusableError | None = None

    def readable(self) -> bool:
        """Return whether the stream can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, completely before the end of the stream, and return the number of bytes."""
        filled = 0
        while filled < len(buffer):
            piece = self._read_piece(len(buffer) - filled)
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
                self._n_packed += len(data)
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
                self._n_unpacked += len(piece)
                self._check_size()
                return piece

    def _check_size(self) -> None:
        if self._n_unpacked > self._limits.max_unpacked_bytes:
            most = self._limits.max_unpacked_bytes
            raise UnusableError(Reason.BOMB, f"unpacks to more than formats.max_unpacked_bytes = {most}")
        if self._n_unpacked > _HARMLESS_BYTES and self._n_unpacked > self._limits.max_unpack_ratio * self._n_packed:
            raise UnusableError(
                Reason.BOMB, f"unpacks to more than formats.max_unpack_ratio = {self._limits.max_unpack_ratio} times"
            )


def check_sizes(members: list[int], packed: int, limits: ReadLimits) -> None:
    """
    Refuse an archive if the directory gives the sizes of a bomb.

    Args:
        members: the unpacked size of every member, in bytes.
        packed: the size of the archive, in bytes.
        limits: the largest size and ratio.

    Raises:
        UnusableError: the members unpack to more than the limits allow.
    """
    unpacked = sum(members)
    if unpacked > limits.max_unpacked_bytes or (
        unpacked > _HARMLESS_BYTES and unpacked > limits.max_unpack_ratio * packed
    ):
        raise UnusableError(Reason.BOMB, f"{packed} bytes unpack to {unpacked}")
