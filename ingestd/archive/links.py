"""Single names in open folders: linked or copied, compared, never followed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import suppress

from ingestd.core.source_file import FileStamp
from ingestd.inbox.beneath import create_partial

NAME_BYTES = 255  # the longest name that Linux file systems take
# The answers of a file system without hard links, or for a target on another file system.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def look_at_name(folder: int, name: bytes) -> os.stat_result | None:
    """Return the status of a name in a folder, without following a link; None: there is no such name."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_unchanged(folder: int, name: bytes, stamp: FileStamp, sha256: str | None) -> bool:
    """Tell whether a name still holds the file as read: same inode, size, time and content."""
    status = look_at_name(folder, name)
    if status is None or FileStamp(status.st_size, status.st_mtime_ns, status.st_ino) != stamp:
        return False
    if sha256 is None or not stat.S_ISREG(status.st_mode):
        return True
    return _hash_content(folder, name) == sha256


def is_same_content(folder: int, name: bytes, other_folder: int, other: bytes, *, by_inode: bool = False) -> bool:
    """Tell whether two names mean one file; unless `by_inode`, also whether one is a copy of the other."""
    first, second = look_at_name(folder, name), look_at_name(other_folder, other)
    if first is None or second is None:
        return False
    if (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
        return True
    if by_inode or not (stat.S_ISREG(first.st_mode) and stat.S_ISREG(second.st_mode)):
        return False
    if (first.st_size, first.st_mtime_ns) != (second.st_size, second.st_mtime_ns):
        return False
    return _hash_content(folder, name) == _hash_content(other_folder, other)


def link_or_copy(folder: int, name: bytes, target_folder: int, target: bytes) -> None:
    """
    Give a file a second name, or copy the file where there are no links.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(name, target, src_dir_fd=folder, dst_dir_fd=target_folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy(folder, name, target_folder, target)


def _copy(folder: int, name: bytes, target_folder: int, target: bytes) -> None:
    """Copy to a free name, complete on the disk before the name appears."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), target, dir_fd=target_folder)
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EXDEV, "a pipe, socket or device is not copied", os.fsdecode(name))
    with (
        open(os.open(name, _READ, dir_fd=folder), "rb") as source,
        create_partial(target_folder, target, NAME_BYTES) as (descriptor, partial),
    ):
        with open(descriptor, "wb", closefd=False) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        with suppress(PermissionError):  # a file system without modes
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(descriptor)
        os.link(partial, target, src_dir_fd=target_folder, dst_dir_fd=target_folder, follow_symlinks=False)


def _hash_content(folder: int, name: bytes) -> str | None:
    """Return the SHA-256 of a regular file; None: the name is a link, or gone."""
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT):
            return None
        raise
    with open(descriptor, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
