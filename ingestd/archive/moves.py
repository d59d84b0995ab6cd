"""
Where files go once their fate is in the database: the archive, quarantine with the reason beside them, or nowhere.

A file is linked to its new name before its old one is removed, so that at every moment it has at least one; a name
that is taken is never overwritten, and a newer version of a file that has meanwhile appeared under the old name is
never removed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import orjson

from ingestd.core.source_file import FileStamp
from ingestd.inbox.scan import OWN_FOLDER

_T = TypeVar("_T")
_NAME_BYTES = 255  # the longest name that Linux file systems take
REASON_SUFFIX = b".reason.json"
# What a file system without hard links answers, or another file system than the target's.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)


@dataclass(frozen=True, slots=True)
class Move:
    """A finished file, and where it is to go."""

    root: str  # the watched folder
    path: bytes  # of the file below it
    stamp: FileStamp  # how it looked when it was read
    sha256: str | None  # of what was read; None: it was not read
    folder: bytes | None  # below the root; None: it is removed
    beside: bytes | None = None  # is written into NAME.reason.json


def to_archive(root: str, path: bytes, stamp: FileStamp, sha256: str | None, day: datetime) -> Move:
    """Return the move of a finished file to `.ingestd/archive/YYYY-MM-DD/` below its root."""
    return Move(root, path, stamp, sha256, os.path.join(OWN_FOLDER, b"archive", day.strftime("%Y-%m-%d").encode()))


def to_quarantine(root: str, path: bytes, stamp: FileStamp, sha256: str | None, reason: Mapping[str, Any]) -> Move:
    """Return the move of an unusable file to `.ingestd/quarantine/` below its root, with NAME.reason.json."""
    beside = orjson.dumps(dict(reason), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Move(root, path, stamp, sha256, os.path.join(OWN_FOLDER, b"quarantine"), beside)


def removal(root: str, path: bytes, stamp: FileStamp, sha256: str | None) -> Move:
    """Return the move of a finished file to nowhere."""
    return Move(root, path, stamp, sha256, None)


def move(moves: Sequence[Move]) -> list[str | OSError | None]:
    """
    Move files, all of them a step at a time, so that the disk is waited for once for many.

    Returns:
        For each its new path below the root ("" of one that was removed), also where it was moved before and that was
        not noted; None where it is no longer there as it was read; the error where it could not be moved, and is where
        it was.
    """
    linked = [_tried(_linked, one) for one in moves]
    places = {
        (m.root, os.path.dirname(to)) for m, to in zip(moves, linked, strict=True) if to and isinstance(to, bytes)
    }
    synced = {place: _tried(_sync_folder, *place) for place in places}
    done: list[str | OSError | None] = []
    for one, to in zip(moves, linked, strict=True):
        error = synced.get((one.root, os.path.dirname(to))) if isinstance(to, bytes) else None
        if error is None and isinstance(to, bytes):
            error = _tried(_unlinked, one)
        done.append(error or (os.fsdecode(to) if isinstance(to, bytes) else to))
    return done


def restore(root: str, quarantined: str, path: bytes) -> bool:
    """Move a file from quarantine back to its old name; return False where that name is taken or the file is gone."""
    source = os.path.join(os.fsencode(root), os.fsencode(quarantined))
    target = os.path.join(os.fsencode(root), path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        return False
    os.unlink(source)
    Path(os.fsdecode(source + REASON_SUFFIX)).unlink(missing_ok=True)
    return True


def _tried(step: Callable[..., _T], *arguments: Any) -> _T | OSError:
    try:
        return step(*arguments)
    except OSError as error:
        return error


def _linked(one: Move) -> bytes | None:
    """Give a file its new name beside the old one; return that, or None where it is no longer there as it was read."""
    base = os.fsencode(one.root)
    source = os.path.join(base, one.path)
    if one.folder is None:
        return b"" if _unchanged(source, one.stamp, one.sha256) else None
    named = _as_text(one.path)
    below = os.path.join(one.folder, os.path.dirname(named))
    spare = len(REASON_SUFFIX) if one.beside is not None else 0
    if not _unchanged(source, one.stamp, one.sha256):
        return _moved_before(base, below, os.path.basename(named), one.stamp, spare)
    number = 0
    while True:
        target = os.path.join(below, _name(os.path.basename(named), number, spare))
        try:
            _link(source, os.path.join(base, target))
            break
        except FileExistsError:
            if _same_file(source, os.path.join(base, target)):
                break  # a move that was interrupted between its two steps
            number += 1
        except FileNotFoundError:
            if not os.path.lexists(source):
                return None
            # Mostly once a day: to ask beforehand, for every file, costs as much as to link it.
            os.makedirs(os.path.join(base, below), exist_ok=True)
    if one.beside is not None:  # before the old name is gone: a file in quarantine is never without its reason
        _write(os.path.join(base, target) + REASON_SUFFIX, one.beside)
    return target


def _unlinked(one: Move) -> None:
    """Take the old name away, unless something newer has it by now."""
    source = os.path.join(os.fsencode(one.root), one.path)
    if _unchanged(source, one.stamp, None):
        with suppress(FileNotFoundError):  # another process on the same folder was as quick
            os.unlink(source)


def _moved_before(base: bytes, below: bytes, name: bytes, stamp: FileStamp, spare: int) -> bytes | None:
    """Return where a file lies that was moved by a process which ended before it could note that."""
    for number in count():
        target = os.path.join(below, _name(name, number, spare))
        try:
            status = os.lstat(os.path.join(base, target))
        except FileNotFoundError:
            return None
        if (status.st_size, status.st_mtime_ns) == (stamp.size, stamp.mtime_ns):  # a copy has another inode
            return target
    return None


def _unchanged(source: bytes, stamp: FileStamp, sha256: str | None) -> bool:
    """Tell whether a name still holds what was read: the same file, the same size and time, the same content."""
    try:
        status = os.lstat(source)
        if FileStamp(status.st_size, status.st_mtime_ns, status.st_ino) != stamp:
            return False
        if sha256 is None or not stat.S_ISREG(status.st_mode):
            return True
        with open(source, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _link(source: bytes, target: bytes) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy(source, target)


def _copy(source: bytes, target: bytes) -> None:
    """Copy to a name that must be free, complete on the disk before it appears."""
    partial = (
        target[: -len(b".part") or None] + b".part"
        if len(os.path.basename(target)) > _NAME_BYTES - 5
        else target + b".part"
    )
    shutil.copy2(source, partial, follow_symlinks=False)
    with open(partial, "rb") as copied:
        os.fsync(copied.fileno())
    try:
        os.link(partial, target, follow_symlinks=False)
    finally:
        os.unlink(partial)


def _same_file(one: bytes, other: bytes) -> bool:
    first, second = os.lstat(one), os.lstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _as_text(path: bytes) -> bytes:
    """Return a path that is valid UTF-8, for the ledger: bytes that are not are written as %FF."""
    characters = path.decode("utf-8", "surrogateescape")
    if characters.isascii():
        return path
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in characters).encode()


def _name(name: bytes, number: int, spare: int) -> bytes:
    """Return a name for the new place: shortened where a suffix would make it too long, numbered where it is taken."""
    suffix = b"" if not number else b".%d" % number
    room = _NAME_BYTES - len(suffix) - spare
    if len(name) > room:
        stem, dot, ending = name.rpartition(b".")
        keep = dot + ending if stem and len(ending) < 10 else b""
        # Cut between characters, not inside one.
        name = name[: room - len(keep)].decode("utf-8", "ignore").encode() + keep
    return name + suffix


def _write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(root: str, folder: bytes) -> None:
    descriptor = os.open(os.path.join(os.fsencode(root), folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
