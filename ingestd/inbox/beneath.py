"""
Folders and files below a root, by directory descriptors.

No link is followed in any part of a path, and no file that exists is opened for writing. Everybody who may write to the
root may exchange a folder with a link at any moment. Only the root may be reached through links: the
administrator named the root.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType

from ingestd.inbox.scan import OWN_FOLDER

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_HELD = 64  # descriptors held at a time; a process has 1,024 by default


def open_folder(root: str | Path | bytes, folder: bytes, *, create: bool = False) -> int:
    """
    Return a descriptor of a folder below a root, to be closed by the caller.

    Args:
        root: the watched folder.
        folder: the path below the root; empty: the root.
        create: make the folders that are missing, but never the root.

    Raises:
        FileNotFoundError: a folder is missing.
        OSError: a part of the path is a link or no folder, or `.ingestd` belongs to another user.
    """
    descriptor = os.open(root, _FOLDER)
    for name in filter(None, folder.split(b"/")):
        parent = descriptor
        try:
            descriptor = _open_child(parent, name, create=create)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise NotADirectoryError(errno.ENOTDIR, "a link, or no folder", os.fsdecode(folder)) from error
        finally:
            os.close(parent)
        if name == OWN_FOLDER:
            _check_owner(descriptor, os.path.join(os.fsencode(root), OWN_FOLDER))
    return descriptor


def check_own_folder(root: str | Path) -> None:
    """
    Make sure that `.ingestd` below a root, if there is one, is a folder of ours.

    Raises:
        OSError: a link, no folder, or a folder of another user; the text says how to mend it.
    """
    path = os.path.join(os.fsencode(root), OWN_FOLDER)
    try:
        os.close(open_folder(root, OWN_FOLDER))
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        mend = f"{os.fsdecode(path)} is a link, or no folder: remove it, the program makes a folder of its own"
        raise NotADirectoryError(errno.ENOTDIR, mend) from error


def create_file(folder: int, name: bytes, mode: int = 0o666) -> int:
    """Create a file in a folder, and return the descriptor for writing; FileExistsError where there is the name."""
    return os.open(name, _NEW_FILE, mode, dir_fd=folder)


def write_new(folder: int, name: bytes, data: bytes) -> None:
    """
    Write a file that appears under its name complete and on the disk.

    Raises:
        FileExistsError: the name is taken.
    """
    with create_partial(folder, name) as (descriptor, partial):
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
        os.fsync(descriptor)
        os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)


@contextmanager
def create_partial(folder: int, name: bytes, name_bytes: int = 255) -> Iterator[tuple[int, bytes]]:
    """
    Create an empty file `NAME.part` beside a name, or a numbered one; the file is removed at the end.

    Args:
        folder: descriptor of the folder.
        name: the name to come.
        name_bytes: the longest name that the file system takes.
    """
    for number in count():
        suffix = b".%d.part" % number if number else b".part"
        partial = name[: name_bytes - len(suffix)] + suffix
        with suppress(FileExistsError):
            descriptor = create_file(folder, partial, 0o600)
            break
    try:
        yield descriptor, partial
    finally:
        os.close(descriptor)
        os.unlink(partial, dir_fd=folder)


class OpenFolders:
    """Descriptors of folders that many files lie in: each is opened once, and a bounded number is held."""

    def __init__(self, most_held: int = _MOST_HELD) -> None:
        """Hold no folder."""
        self._held: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._most_held = most_held

    def __enter__(self) -> OpenFolders:
        """Return the folders, to be closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all descriptors."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def open(self, root: str, folder: bytes, *, create: bool = False) -> int:
        """Return a descriptor as `open_folder` does; valid until two more folders were opened, and longer as a rule."""
        key = (root, folder)
        descriptor = self._held.get(key)
        if descriptor is None:
            descriptor = self._held[key] = open_folder(root, folder, create=create)
            if len(self._held) > self._most_held:
                os.close(self._held.popitem(last=False)[1])
        else:
            self._held.move_to_end(key)
        return descriptor


def _open_child(parent: int, name: bytes, *, create: bool) -> int:
    flags = _FOLDER | os.O_NOFOLLOW
    if name in (b"..", b"."):
        raise NotADirectoryError(errno.ENOTDIR, "a path does not lead upwards")
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
    return os.open(name, flags, dir_fd=parent)


def _check_owner(descriptor: int, path: bytes) -> None:
    owner = os.fstat(descriptor).st_uid
    if owner not in (0, os.geteuid()):
        os.close(descriptor)
        mend = (
            f"{os.fsdecode(path)} belongs to user {owner}, not to user {os.geteuid()} of this program nor to root: "
            f"remove it, or change the owner (chown -R {os.geteuid()})"
        )
        raise PermissionError(errno.EPERM, mend)
