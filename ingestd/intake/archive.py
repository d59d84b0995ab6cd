"""
Where files go once their fate is in the database: the archive, or quarantine with the reason beside them.

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
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from ingestd.core.stability import Look
from ingestd.intake.scan import OWN_FOLDER

_NAME_BYTES = 255  # the longest name that Linux file systems take
REASON_SUFFIX = b".reason.json"
# What a file system without hard links answers, or another file system than the target's.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)


def archive(root: str, path: bytes, look: Look, sha256: str | None, day: datetime) -> str | None:
    """
    Move a finished file to `.ingestd/archive/YYYY-MM-DD/` below its root.

    Args:
        root: the watched folder.
        path: of the file below it.
        look: how it looked when it was read.
        sha256: of what was read; None: it was not read.
        day: names the folder.

    Returns:
        Its new path below the root, also where it was moved before and that was not noted; None where it is no longer
        there as it was read.
    """
    return _move(root, path, os.path.join(OWN_FOLDER, b"archive", day.strftime("%Y-%m-%d").encode()), look, sha256)


def quarantine(root: str, path: bytes, look: Look, sha256: str | None, reason: Mapping[str, Any]) -> str | None:
    """Move an unusable file to `.ingestd/quarantine/` below its root, with NAME.reason.json; return its new path."""
    beside = orjson.dumps(dict(reason), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return _move(root, path, os.path.join(OWN_FOLDER, b"quarantine"), look, sha256, beside)


def delete(root: str, path: bytes, look: Look, sha256: str | None) -> bool:
    """Remove a finished file; return whether it was still there as it was read."""
    source = os.path.join(os.fsencode(root), path)
    if not _unchanged(source, look, sha256):
        return False
    os.unlink(source)
    return True


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


def _move(  # noqa: PLR0913 - where from, where to, and what it must be
    root: str, path: bytes, folder: bytes, look: Look, sha256: str | None, beside: bytes | None = None
) -> str | None:
    base = os.fsencode(root)
    source = os.path.join(base, path)
    named = _as_text(path)
    below = os.path.join(folder, os.path.dirname(named))
    spare = len(REASON_SUFFIX) if beside is not None else 0
    if not _unchanged(source, look, sha256):
        return _moved_before(base, below, os.path.basename(named), look, spare)
    os.makedirs(os.path.join(base, below), exist_ok=True)
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
            return None
    if beside is not None:  # before the old name is gone: a file in quarantine is never without its reason
        _write(os.path.join(base, target) + REASON_SUFFIX, beside)
    _sync_folder(os.path.join(base, below))
    if _unchanged(source, look, sha256):
        with suppress(FileNotFoundError):  # another process on the same folder was as quick
            os.unlink(source)
    return os.fsdecode(target)


def _moved_before(base: bytes, below: bytes, name: bytes, look: Look, spare: int) -> str | None:
    """Return where a file lies that was moved by a process which ended before it could note that."""
    for number in count():
        target = os.path.join(below, _name(name, number, spare))
        try:
            status = os.lstat(os.path.join(base, target))
        except FileNotFoundError:
            return None
        if (status.st_size, status.st_mtime_ns) == (look.size, look.mtime_ns):  # a copy has another inode
            return os.fsdecode(target)
    return None


def _unchanged(source: bytes, look: Look, sha256: str | None) -> bool:
    """Tell whether a name still holds what was read: the same file, the same size and time, the same content."""
    try:
        status = os.lstat(source)
        if Look(status.st_size, status.st_mtime_ns, status.st_ino) != look:
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


def _sync_folder(folder: bytes) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
