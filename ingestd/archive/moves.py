"""
Moves of files out of the folder: into the archive, into quarantine with the reason beside the file, or to nowhere.

A file is linked to the new name before the old name is removed, so the file has a name at every moment. A taken name is
never overwritten, and a newer version of the file under the old name is never removed.
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
# The answers of a file system without hard links, or for a target on another file system.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)


@dataclass(frozen=True, slots=True)
class Move:
    """A finished file, and the new place."""

    root: str  # the watched folder
    path: bytes  # of the file below it
    stamp: FileStamp  # when the file was read
    sha256: str | None  # of the content; None: not read
    folder: bytes | None  # below the root; None: the file is removed
    beside: bytes | None = None  # content of NAME.reason.json


def plan_archive(root: str, path: bytes, stamp: FileStamp, sha256: str | None, day: datetime) -> Move:
    """Return the move of a finished file to `.ingestd/archive/YYYY-MM-DD/` below the root."""
    return Move(root, path, stamp, sha256, os.path.join(OWN_FOLDER, b"archive", day.strftime("%Y-%m-%d").encode()))


def plan_quarantine(root: str, path: bytes, stamp: FileStamp, sha256: str | None, reason: Mapping[str, Any]) -> Move:
    """Return the move of an unusable file to `.ingestd/quarantine/` below the root, with NAME.reason.json."""
    beside = orjson.dumps(dict(reason), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Move(root, path, stamp, sha256, os.path.join(OWN_FOLDER, b"quarantine"), beside)


def plan_removal(root: str, path: bytes, stamp: FileStamp, sha256: str | None) -> Move:
    """Return the move of a finished file to nowhere."""
    return Move(root, path, stamp, sha256, None)


def sync_folder(root: str, folder: bytes) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(os.path.join(os.fsencode(root), folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_files(
    moves: Sequence[Move], *, sync: Callable[[str, bytes], None] = sync_folder
) -> list[str | OSError | None]:
    """
    Move files, all together a step at a time: a single wait for the disk serves many files.

    Args:
        moves: the files and the new places.
        sync: waits until the names in a folder, given by root and path, are on the disk.

    Returns:
        For each file the new path below the root ("" of a removed file), also after an earlier move without a record;
        None if the file has changed or is gone; the error if the file could not be moved and keeps the old name.
    """
    targets = [_try_step(_link_to_target, move) for move in moves]
    folders = {
        (move.root, os.path.dirname(target))
        for move, target in zip(moves, targets, strict=True)
        if target and isinstance(target, bytes)
    }
    synced = {folder: _try_step(sync, *folder) for folder in folders}
    results: list[str | OSError | None] = []
    for move, target in zip(moves, targets, strict=True):
        error = synced.get((move.root, os.path.dirname(target))) if isinstance(target, bytes) else None
        if error is None and isinstance(target, bytes):
            error = _try_step(_unlink_source, move)
        results.append(error or (os.fsdecode(target) if isinstance(target, bytes) else target))
    return results


def restore_file(root: str, quarantined: str, path: bytes) -> bool:
    """Move a file from quarantine back to the old name; return False where the name is taken or the file is gone."""
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


def _try_step(step: Callable[..., _T], *arguments: Any) -> _T | OSError:
    try:
        return step(*arguments)
    except OSError as error:
        return error


def _link_to_target(move: Move) -> bytes | None:
    """Give a file the new name beside the old name; return the new name, or None if the file has changed."""
    base = os.fsencode(move.root)
    source = os.path.join(base, move.path)
    if move.folder is None:
        return b"" if _is_unchanged(source, move.stamp, move.sha256) else None
    path = _escape_undecodable(move.path)
    folder = os.path.join(move.folder, os.path.dirname(path))
    spare = len(REASON_SUFFIX) if move.beside is not None else 0
    if not _is_unchanged(source, move.stamp, move.sha256):
        return _find_earlier_target(base, folder, os.path.basename(path), move.stamp, spare)
    number = 0
    while True:
        target = os.path.join(folder, _fit_name(os.path.basename(path), number, spare))
        try:
            _link_or_copy(source, os.path.join(base, target))
            break
        except FileExistsError:
            if _is_same_file(source, os.path.join(base, target)):
                break  # a move that was interrupted between its two steps
            number += 1
        except FileNotFoundError:
            if not os.path.lexists(source):
                return None
            # Mostly once a day: to ask beforehand, for every file, costs as much as to link it.
            os.makedirs(os.path.join(base, folder), exist_ok=True)
    if move.beside is not None:  # before the old name is gone: a file in quarantine is never without its reason
        _write_synced(os.path.join(base, target) + REASON_SUFFIX, move.beside)
    return target


def _unlink_source(move: Move) -> None:
    """Remove the old name, unless something newer has the name by now."""
    source = os.path.join(os.fsencode(move.root), move.path)
    if _is_unchanged(source, move.stamp, None):
        with suppress(FileNotFoundError):  # another process on the same folder was as quick
            os.unlink(source)


def _find_earlier_target(base: bytes, folder: bytes, name: bytes, stamp: FileStamp, spare: int) -> bytes | None:
    """Return the place of a file moved by a process without time to record the move."""
    for number in count():
        target = os.path.join(folder, _fit_name(name, number, spare))
        try:
            status = os.lstat(os.path.join(base, target))
        except FileNotFoundError:
            return None
        if FileStamp(status.st_size, status.st_mtime_ns, stamp.inode) == stamp:  # a copy has another inode
            return target
    return None


def _is_unchanged(source: bytes, stamp: FileStamp, sha256: str | None) -> bool:
    """Tell whether a name still holds the file as read: same inode, size, time and content."""
    try:
        status = os.lstat(source)
        if FileStamp(status.st_size, status.st_mtime_ns, status.st_ino) != stamp:
            return False
        if sha256 is None or not stat.S_ISREG(status.st_mode):
            return True
        with open(source, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _link_or_copy(source: bytes, target: bytes) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy_synced(source, target)


def _copy_synced(source: bytes, target: bytes) -> None:
    """Copy to a free name, complete on the disk before the name appears."""
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


def _is_same_file(path: bytes, other: bytes) -> bool:
    first, second = os.lstat(path), os.lstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _escape_undecodable(path: bytes) -> bytes:
    """Return a path in valid UTF-8, for the ledger: other bytes are written as %FF."""
    characters = path.decode("utf-8", "surrogateescape")
    if characters.isascii():
        return path
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in characters).encode()


def _fit_name(name: bytes, number: int, spare: int) -> bytes:
    """Return a name for the new place: shortened to leave room for a suffix, numbered where the name is taken."""
    suffix = b"" if not number else b".%d" % number
    room = _NAME_BYTES - len(suffix) - spare
    if len(name) > room:
        stem, dot, ending = name.rpartition(b".")
        keep = dot + ending if stem and len(ending) < 10 else b""
        # Cut between characters, not inside one.
        name = name[: room - len(keep)].decode("utf-8", "ignore").encode() + keep
    return name + suffix


def _write_synced(path: bytes, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
