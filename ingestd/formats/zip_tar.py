"""ZIP and tar: the members one after the other, read where they lie. Nothing is ever written to disk."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats.compressed import total_size
from ingestd.formats.record import ReadLimits, Record, Skipped

_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_DIRECTORY_BYTES_A_MEMBER = 1024  # a name, its attributes, and room to spare
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA may ask for any amount of memory
_METADATA = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_MOST_METADATA = 1 << 20  # bytes; tarfile reads them into memory
_LEFT_ALONE = ("__MACOSX/", ".")  # what archivers add

Found = Record | Rejected | Skipped
ReadMember = Callable[[io.BufferedReader, str], Iterator[Found]]


def is_zip(head: bytes) -> bool:
    """Tell a ZIP archive by its first bytes."""
    return head.startswith((_ZIP, _EMPTY_ZIP))


def is_tar(head: bytes) -> bool:
    """Tell a tar archive by its first bytes."""
    return head[257:262] == b"ustar"


def zip_members(stream: BinaryIO, context: ReadLimits, read: ReadMember) -> Iterator[Found]:
    """
    Yield the records of all members of a ZIP archive, numbered through.

    Raises:
        UnusableError: the archive is damaged, or out of bounds.
    """
    if not stream.seekable():
        raise UnusableError(Reason.ARCHIVE, "a ZIP archive inside another file is not unpacked")
    _check_directory(stream, context)
    try:
        archive = zipfile.ZipFile(stream)
    except Exception as error:  # damage shows in many ways
        raise _damage(error) from error
    members = [info for info in archive.infolist() if not info.filename.endswith("/")]
    _limit(len(members), context)
    total_size([info.file_size for info in members], stream.seek(0, io.SEEK_END), context)
    numbers = _Numbers(context)
    for info in members:
        problem = _outside(info.filename)
        if info.flag_bits & 1:
            problem = "encrypted"
        elif info.compress_type not in _PLAIN:
            problem = f"compressed by method {info.compress_type}, which is not read"
        yield from numbers.of(info.filename, problem, partial(_read_zip, archive, info, read))


def tar_members(stream: BinaryIO, context: ReadLimits, read: ReadMember) -> Iterator[Found]:
    """
    Yield the records of all members of a tar archive, numbered through.

    Raises:
        UnusableError: the archive is damaged, or out of bounds.
    """
    numbers = _Numbers(context)
    count = 0
    archive = _open_tar(stream)
    while info := _next(archive):
        if info.isdir():
            continue
        count += 1
        _limit(count, context)
        problem = _outside(info.name) or ("" if info.isreg() else "not a regular file")
        yield from numbers.of(info.name, problem, partial(_read_tar, archive, info, read))


def _open_tar(stream: BinaryIO) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r|", tarinfo=_Bounded)
    except UnusableError:
        raise
    except Exception as error:  # damage shows in many ways
        raise _damage(error) from error


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    archive.members = []  # type: ignore[attr-defined] # not in the stubs; it would remember all members
    try:
        return archive.next()
    except UnusableError:
        raise
    except Exception as error:  # as above
        raise _damage(error) from error


def _damage(error: Exception) -> UnusableError:
    return UnusableError(Reason.ARCHIVE, str(error) or type(error).__name__)


class _Numbers:
    """Numbers the records of an archive through all its members, and keeps what is wrong with one to that one."""

    def __init__(self, context: ReadLimits) -> None:
        self._context = context
        self._last = 0

    def of(self, name: str, problem: str, read: Callable[[], Iterator[Found]]) -> Iterator[Found]:
        if name.rpartition("/")[2].startswith(_LEFT_ALONE) or name.startswith(_LEFT_ALONE[0]):
            yield Skipped("hidden member")
            return
        printable = name.encode("utf-8", "backslashreplace").decode()[:200]
        if problem:
            self._last += 1
            yield Rejected(self._last, Reason.ARCHIVE, f"{printable}: {problem}")
            return
        try:
            for found in read():
                if isinstance(found, Skipped):
                    yield found
                    continue
                self._last += 1
                if isinstance(found, Rejected):
                    detail = f"{printable}, record {found.record_no}: {found.detail}"
                    yield Rejected(self._last, found.reason, detail)
                else:
                    yield replace(found, record_no=self._last)
        except UnusableError as error:
            # Damage of the archive itself shows again when the next member is looked for.
            self._last += 1
            yield Rejected(self._last, error.reason, f"{printable}: {error.detail}")


class _Bounded(tarfile.TarInfo):
    """A header that does not make tarfile read any amount of metadata into memory."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _Bounded:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _METADATA and info.size > _MOST_METADATA:
            raise UnusableError(Reason.ARCHIVE, f"{info.size} bytes of metadata for one member")
        return info


class _Member(io.RawIOBase):
    """A member as a stream; damage in it is an UnusableError."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except UnusableError:
            raise
        except Exception as error:  # BadZipFile, zlib.error, EOFError, TarError, ...
            raise _damage(error) from error
        buffer[: len(data)] = data
        return len(data)


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, read: ReadMember) -> Iterator[Found]:
    try:
        member = archive.open(info)
    except Exception as error:  # as above
        raise _damage(error) from error
    return read(io.BufferedReader(_Member(member), 1 << 16), info.filename)


def _read_tar(archive: tarfile.TarFile, info: tarfile.TarInfo, read: ReadMember) -> Iterator[Found]:
    return read(io.BufferedReader(_Member(archive.extractfile(info)), 1 << 16), info.name)


def _outside(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    return "named outside of the archive" if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0] else ""


def _limit(count: int, context: ReadLimits) -> None:
    if count > context.max_members:
        raise UnusableError(Reason.TOO_LARGE, f"more than formats.max_members = {context.max_members} members")


def _check_directory(stream: BinaryIO, context: ReadLimits) -> None:
    """Refuse a list of members that is too long to be read into memory, which is what zipfile does first."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - (1 << 16) - 128))
    tail = stream.read()
    stream.seek(0)
    directory = 0
    if (at := tail.rfind(_END)) >= 0 and len(tail) >= at + 16:
        directory = struct.unpack_from("<L", tail, at + 12)[0]
    if (at := tail.rfind(_END64)) >= 0 and len(tail) >= at + 48:
        directory = struct.unpack_from("<Q", tail, at + 40)[0]
    if min(directory, size) > _DIRECTORY_BYTES_A_MEMBER * context.max_members:
        raise UnusableError(Reason.TOO_LARGE, f"{directory} bytes of names: too many members")
