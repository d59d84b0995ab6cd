"""
Moves of files out of the folder: into the archive, into quarantine with the reason beside the file, or to nowhere.

A file is linked to the new name before the old name is removed, so the file has a name at every moment. A taken name is
never overwritten, and a newer version of the file under the old name is never removed. No link is followed, neither in
the old path nor in the new.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

from ingestd.archive.links import NAME_BYTES, is_same_content, is_unchanged, link_or_copy, look_at_name
from ingestd.core.source_file import FileStamp
from ingestd.inbox.beneath import OWN_FOLDER, OpenFolders, open_folder, write_new

_T = TypeVar("_T")
REASON_SUFFIX = b".reason.json"
QUARANTINE = os.path.join(OWN_FOLDER, b"quarantine")
_MOST_NUMBERS = 100_000  # names tried for a file; more files of one name in a folder are a fault


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
    return Move(root, path, stamp, sha256, QUARANTINE, beside)


def plan_removal(root: str, path: bytes, stamp: FileStamp, sha256: str | None) -> Move:
    """Return the move of a finished file to nowhere."""
    return Move(root, path, stamp, sha256, None)


def sync_folder(root: str, folder: bytes) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = open_folder(root, folder)
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
    with OpenFolders() as folders:
        targets = [try_step(_link_to_target, folders, move) for move in moves]
        synced = sync_targets([(move.root, target) for move, target in zip(moves, targets, strict=True)], sync)
        results: list[str | OSError | None] = []
        for move, target in zip(moves, targets, strict=True):
            error = synced.get((move.root, os.path.dirname(target))) if isinstance(target, bytes) else None
            if error is None and isinstance(target, bytes):
                error = try_step(_unlink_source, folders, move)
            results.append(error or (os.fsdecode(target) if isinstance(target, bytes) else target))
    return results


def find_quarantined(root: str, path: bytes, stamp: FileStamp) -> str | None:
    """Return the place of a file in quarantine that no row names, by the name and the stamp."""
    with OpenFolders() as folders:
        target = _find_earlier_target(folders, plan_quarantine(root, path, stamp, None, {}), QUARANTINE)
    return None if target is None else os.fsdecode(target)


def sync_targets(
    targets: Sequence[tuple[str, bytes | OSError | None]], sync: Callable[[str, bytes], None]
) -> dict[tuple[str, bytes], OSError | None]:
    """Wait once for each folder of some new names, given by root and path; return the error of each folder."""
    folders = {(root, os.path.dirname(target)) for root, target in targets if target and isinstance(target, bytes)}
    return {folder: try_step(sync, *folder) for folder in folders}


def try_step(step: Callable[..., _T], *arguments: Any) -> _T | OSError:
    """Return the result of a step, or the error of the system."""
    try:
        return step(*arguments)
    except OSError as error:
        return error


def _link_to_target(folders: OpenFolders, move: Move) -> bytes | None:
    """Give a file the new name beside the old name; return the new name, or None if the file has changed."""
    folder, name = os.path.split(move.path)
    try:
        source = folders.open(move.root, folder)
        unchanged = is_unchanged(source, name, move.stamp, move.sha256)
    except (FileNotFoundError, NotADirectoryError):  # also where a folder was exchanged with a link
        unchanged = False
    if move.folder is None:
        return b"" if unchanged else None
    if not unchanged:
        return _find_earlier_target(folders, move, move.folder)
    path = _escape_undecodable(move.path)
    target_folder = os.path.join(move.folder, os.path.dirname(path))
    target = folders.open(move.root, target_folder, create=True)
    for number in range(_MOST_NUMBERS):
        new_name = _fit_name(os.path.basename(path), number, _count_spare(move))
        try:
            if _take_name(source, name, target, new_name, move.beside):
                return os.path.join(target_folder, new_name)
        except FileNotFoundError:
            if look_at_name(source, name) is None:
                return None
            raise
    raise FileExistsError(errno.EEXIST, "all names are taken", os.fsdecode(move.path))


def _take_name(source: int, name: bytes, target: int, new_name: bytes, reason: bytes | None) -> bool:
    """Give a file a second name, with the reason beside it; return False where one of the names is taken."""
    try:
        link_or_copy(source, name, target, new_name)
        is_new = True
    except FileExistsError:
        if not is_same_content(source, name, target, new_name, by_inode=True):
            return False
        is_new = False  # a move that was interrupted between its two steps
    # Before the old name is gone: a file in quarantine is never without its reason.
    if reason is None or _write_reason(target, new_name + REASON_SUFFIX, reason):
        return True
    if is_new:
        os.unlink(new_name, dir_fd=target)
    return False


def _write_reason(folder: int, name: bytes, reason: bytes) -> bool:
    """Write a reason file; return False where the name is taken by anything but the same reason."""
    try:
        write_new(folder, name, reason)
    except FileExistsError:
        return _read_small(folder, name, len(reason)) == reason
    return True


def _read_small(folder: int, name: bytes, size: int) -> bytes | None:
    """Return the content of a regular file of a certain size; None: the name is anything else."""
    status = look_at_name(folder, name)
    if status is None or status.st_size != size:
        return None
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    with open(descriptor, "rb") as stream:
        return stream.read(size + 1)


def _unlink_source(folders: OpenFolders, move: Move) -> None:
    """Remove the old name, unless something newer has the name by now."""
    folder, name = os.path.split(move.path)
    source = folders.open(move.root, folder)
    if is_unchanged(source, name, move.stamp, None):
        with suppress(FileNotFoundError):  # another process on the same folder was as quick
            os.unlink(name, dir_fd=source)


def _find_earlier_target(folders: OpenFolders, move: Move, into: bytes) -> bytes | None:
    """Return the place of a file moved by a process without time to record the move."""
    path = _escape_undecodable(move.path)
    folder = os.path.join(into, os.path.dirname(path))
    try:
        target = folders.open(move.root, folder)
    except FileNotFoundError:
        return None
    for number in range(_MOST_NUMBERS):
        name = _fit_name(os.path.basename(path), number, _count_spare(move))
        status = look_at_name(target, name)
        if status is None:
            return None
        stamp = FileStamp(status.st_size, status.st_mtime_ns, move.stamp.inode)  # a copy has another inode
        if stamp == move.stamp:
            return os.path.join(folder, name)
    return None


def _count_spare(move: Move) -> int:
    """Return the length to leave free for the name of a reason."""
    return 0 if move.beside is None else len(REASON_SUFFIX)


def _escape_undecodable(path: bytes) -> bytes:
    """Return a path in valid UTF-8, for the ledger: other bytes are written as %FF."""
    characters = path.decode("utf-8", "surrogateescape")
    if characters.isascii():
        return path
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in characters).encode()


def _fit_name(name: bytes, number: int, spare: int) -> bytes:
    """Return a name for the new place: shortened to leave room for a suffix, numbered where the name is taken."""
    suffix = b"" if not number else b".%d" % number
    room = NAME_BYTES - len(suffix) - spare
    if len(name) > room:
        stem, dot, ending = name.rpartition(b".")
        keep = dot + ending if stem and len(ending) < 10 else b""
        # Cut between characters, not inside one.
        name = name[: room - len(keep)].decode("utf-8", "ignore").encode() + keep
    return name + suffix
