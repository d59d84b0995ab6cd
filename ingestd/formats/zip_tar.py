"""ZIP and tar: the members in order, read inside the archive. Nothing is written to disk."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO, cast

from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats.budget import Budget
from ingestd.formats.foreign import refuse_document
from ingestd.formats.record import ReadLimits, Record, Skipped

_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_DIRECTORY_BYTES_A_MEMBER = 1024  # a name, its attributes, and room to spare
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_END_BYTES = 22  # of the record at the end, without a comment (APPNOTE 4.3.16)
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA may allocate any amount of memory
_METADATA = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_MOST_METADATA = 1 << 20  # bytes; tarfile reads them into memory
_MOST_GLOBAL_NAMES = 100  # of metadata for all members, which tarfile applies to each; archivers write a few
_HIDDEN = ("__MACOSX/", ".")  # added by archivers

ReadResult = Record | Rejected | Skipped
ReadMember = Callable[[io.BufferedReader, str], Iterator[ReadResult]]


def is_zip(head: bytes) -> bool:
    """Return whether the first bytes belong to a ZIP archive."""
    return head.startswith((_ZIP, _EMPTY_ZIP))


def is_tar(head: bytes) -> bool:
    """Return whether the first bytes belong to a tar archive."""
    return head[257:262] == b"ustar"


def read_zip(stream: BinaryIO, limits: ReadLimits, budget: Budget, read: ReadMember) -> Iterator[ReadResult]:
    """
    Yield the records of all members of a ZIP archive, with consecutive numbers.

    Raises:
        UnusableError: the archive is damaged, or larger than the limits allow.
    """
    if not stream.seekable():
        raise UnusableError(Reason.ARCHIVE, "a ZIP archive inside another file is not unpacked")
    _check_directory(stream, limits)
    try:
        archive = zipfile.ZipFile(stream)
    except MemoryError:
        raise
    except Exception as error:  # damage raises errors of many kinds
        raise _make_damage_error(error) from error
    refuse_document(archive.NameToInfo)
    members = [info for info in archive.infolist() if not info.filename.endswith("/")]
    budget.spend_members(len(members))
    size = stream.seek(0, io.SEEK_END)
    budget.count_packed = lambda: size  # the position in the file says nothing: the directory is at the end
    budget.check_unpacked(sum(info.file_size for info in members))
    if sum(info.compress_size for info in members) > size:
        raise UnusableError(Reason.BOMB, "members share the same bytes")
    reader = _MemberReader(budget)
    for info in members:
        problem = _describe_unsafe_name(info.filename)
        if info.flag_bits & 1:
            problem = "encrypted"
        elif info.compress_type not in _PLAIN:
            problem = f"compressed by method {info.compress_type}, which is not read"
        yield from reader.read(info.filename, problem, partial(_read_zip_member, archive, info, budget, read))


def read_tar(stream: io.BufferedReader, budget: Budget, read: ReadMember) -> Iterator[ReadResult]:
    """
    Yield the records of all members of a tar archive, with consecutive numbers.

    Raises:
        UnusableError: the archive is damaged, or larger than the limits allow.
    """
    reader = _MemberReader(budget)
    source = _TarSource(stream)
    archive = _open_tar(source)
    while info := _find_next(archive, source):
        if info.isdir():
            continue
        budget.spend_members(1)
        problem = _describe_unsafe_name(info.name) or ("" if info.isreg() else "not a regular file")
        yield from reader.read(info.name, problem, partial(_read_tar_member, archive, info, budget, read))


class _TarSource:
    """
    The bytes of an archive for tarfile, which drops a block that an error interrupts.

    To tarfile the damage looks like the end of the file; `failure` is the error afterwards.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self.failure: UnusableError | None = None
        self._stream = stream

    def read(self, n: int) -> bytes:
        """Return `n` bytes at most; empty at the end and at the damage."""
        try:
            return self._stream.read(min(n, len(self._stream.peek(1))))
        except UnusableError as error:
            self.failure = error
            return b""


def _open_tar(stream: _TarSource) -> tarfile.TarFile:
    try:
        # tarfile only reads from the stream, and only in this way.
        return tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|", tarinfo=_BoundedHeader)
    except (UnusableError, MemoryError):
        raise
    except Exception as error:  # damage raises errors of many kinds
        raise stream.failure or _make_damage_error(error) from error


def _find_next(archive: tarfile.TarFile, source: _TarSource) -> tarfile.TarInfo | None:
    archive.members = []  # type: ignore[attr-defined] # not in the stubs; tarfile remembers all members
    try:
        info = archive.next()
    except (UnusableError, MemoryError):
        raise
    except Exception as error:  # as above
        raise source.failure or _make_damage_error(error) from error
    if source.failure and info is None:
        raise source.failure
    if len(archive.pax_headers) > _MOST_GLOBAL_NAMES:
        raise UnusableError(Reason.ARCHIVE, f"more than {_MOST_GLOBAL_NAMES} names of metadata for all members")
    return info


def _make_damage_error(error: Exception) -> UnusableError:
    return UnusableError(Reason.ARCHIVE, str(error) or type(error).__name__)


class _MemberReader:
    """
    Numbers the records of an archive through all members.

    A problem of a member rejects only this member; the end of the budget ends the reading.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._last_number = 0

    def read(self, name: str, problem: str, read_member: Callable[[], Iterator[ReadResult]]) -> Iterator[ReadResult]:
        """Yield the records of a member with numbers in the archive."""
        if name.rpartition("/")[2].startswith(_HIDDEN) or name.startswith(_HIDDEN[0]):
            yield Skipped("hidden member")
            return
        printable = name.encode("utf-8", "backslashreplace").decode()[:200]
        if problem:
            self._last_number += 1
            yield Rejected(self._last_number, Reason.ARCHIVE, f"{printable}: {problem}")
            return
        try:
            for record in read_member():
                if isinstance(record, Skipped):
                    yield record
                    continue
                self._last_number += 1
                if isinstance(record, Rejected):
                    detail = f"{printable}, record {record.record_no}: {record.detail}"
                    yield Rejected(self._last_number, record.reason, detail)
                else:
                    yield replace(record, record_no=self._last_number)
        except UnusableError as error:
            if self._budget.failure:
                raise self._budget.failure from error
            # Damage of the archive raises another error at the next member.
            self._last_number += 1
            yield Rejected(self._last_number, error.reason, f"{printable}: {error.detail}")


class _BoundedHeader(tarfile.TarInfo):
    """A header that limits the metadata in memory."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _BoundedHeader:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _METADATA and info.size > _MOST_METADATA:
            raise UnusableError(Reason.ARCHIVE, f"{info.size} bytes of metadata for one member")
        return info


class _TarMember:
    """The bytes of a member without holes. The stream of tarfile drops what comes before the end of a cut archive."""

    def __init__(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._stream: Any = archive.fileobj
        self._stream.seek(info.offset_data)
        self._remaining = info.size

    def read1(self, n: int) -> bytes:
        """Return `n` bytes at most; empty at the end of the member."""
        data: bytes = self._stream.read(min(n, self._remaining))
        if self._remaining and not data:
            raise tarfile.ReadError("the archive is cut off")
        self._remaining -= len(data)
        return data


class _MemberStream(io.RawIOBase):
    """A member as a stream; damage raises UnusableError."""

    def __init__(self, inner: Any, count: Callable[[int], None] | None) -> None:
        self._inner, self._count = inner, count
        self._failure: UnusableError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, completely before the end of the member or the damage; return the number of bytes."""
        filled = 0
        while filled < len(buffer):
            data = self._read_piece(len(buffer) - filled, raises=not filled)
            if not data:
                break
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def _read_piece(self, max_bytes: int, *, raises: bool) -> bytes:
        """Return the next bytes; at the damage nothing, or the error if `raises`."""
        try:
            if self._failure is None:
                data: bytes = self._inner.read1(max_bytes)
                if self._count:
                    self._count(len(data))
                return data
        except UnusableError as error:
            self._failure = error
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - BadZipFile, zlib.error, EOFError, TarError, ...
            self._failure = _make_damage_error(error)
            self._failure.__cause__ = error
        if raises and self._failure:
            raise self._failure
        return b""


def _read_zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, read: ReadMember
) -> Iterator[ReadResult]:
    try:
        member = archive.open(info)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise _make_damage_error(error) from error
    return read(io.BufferedReader(_MemberStream(member, budget.spend_unpacked), 1 << 16), info.filename)


def _read_tar_member(
    archive: tarfile.TarFile, info: tarfile.TarInfo, budget: Budget, read: ReadMember
) -> Iterator[ReadResult]:
    # The bytes of a member are bytes of the archive, unless the member is sparse: zeros that stand nowhere.
    sparse = info.issparse()
    member = archive.extractfile(info) if sparse else _TarMember(archive, info)
    stream = _MemberStream(member, budget.spend_unpacked if sparse else None)
    return read(io.BufferedReader(stream, 1 << 16), info.name)


def _describe_unsafe_name(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    return "named outside of the archive" if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0] else ""


def _check_directory(stream: BinaryIO, limits: ReadLimits) -> None:
    """Refuse a long list of members: zipfile reads the whole list into memory."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - (1 << 16) - 128))
    tail = stream.read()
    stream.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise UnusableError(Reason.ARCHIVE, "no list of members at the end: the archive is cut off")
    directory = struct.unpack_from("<L", tail, at + 12)[0]
    if (at := tail.rfind(_END64)) >= 0 and len(tail) >= at + 48:
        directory = struct.unpack_from("<Q", tail, at + 40)[0]
    if min(directory, size) > _DIRECTORY_BYTES_A_MEMBER * limits.max_members:
        raise UnusableError(Reason.TOO_LARGE, f"{directory} bytes of names: too many members")
