"""
Folders and files below a root, by directory descriptors.

No link is followed in any part of a path, and no file that exists is opened for writing. Everybody who may write to the
root may exchange a folder with a link at any moment. Only the root may be reached through links: the
administrator named the root. Looks, readings and moves of the whole program begin here.
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

OWN_FOLDER = b".ingestd"  # archive and quarantine, below each root
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A folder on the way to a name has to be searched, but not to be read (open(2); O_PATH is of Linux).
_PASSAGE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_HELD = 64  # descriptors held at a time; a process has 1,024 by default
_PATHS_HELD = 8  # a path takes at most an eighth of the descriptors: some more paths displace no folder in use


Root = str | Path | bytes
_Place = tuple[Root, bytes]  # a folder: the root, and the path below


def open_folder(root: Root, folder: bytes, *, create: bool = False) -> int:
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
    parent, name = os.path.split(folder)
    if not name:
        return os.open(root, _FOLDER)
    with OpenFolders() as folders:
        return _open_child(folders.open(root, parent, create=create), name, (root, folder), _FOLDER, create=create)


def open_file(root: Root, path: bytes, folders: OpenFolders | None = None) -> int:
    """
    Return a descriptor of a file for reading, to be closed by the caller; a pipe is not waited for.

    Args:
        root: the watched folder.
        path: below the root.
        folders: hold the folder of the file open for the next file.

    Raises:
        FileNotFoundError: the file or a folder is missing.
        NotADirectoryError: a folder is a link or no folder.
        OSError: the file is a link (ELOOP), or cannot be opened.
    """
    if folders is None:
        with OpenFolders() as own_folders:
            return open_file(root, path, own_folders)
    folder, name = _split(path)
    return os.open(name, _FILE, dir_fd=folders.open(root, folder))


def look_beneath(root: Root, path: bytes, folders: OpenFolders | None = None) -> os.stat_result:
    """Return the status of a name, without following a link; arguments and errors as `open_file`."""
    if folders is None:
        with OpenFolders() as own_folders:
            return look_beneath(root, path, own_folders)
    folder, name = _split(path)
    return os.stat(name, dir_fd=folders.open(root, folder), follow_symlinks=False)


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

    def __init__(self, most_held: int = _MOST_HELD, *, readable: bool = False) -> None:
        """Hold no folder; with `readable`, folders are opened to be listed as well."""
        self._held: OrderedDict[_Place, int] = OrderedDict()
        self._most_held, self._flags = most_held, _FOLDER if readable else _PASSAGE

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

    def open(self, root: Root, folder: bytes, *, create: bool = False) -> int:
        """
        Return a descriptor as `open_folder` does, to reach names; valid until two more folders were opened, at least.

        The way begins at the nearest folder that is held, and the last folders of the way are held from then on: a walk
        through deep folders does not begin at the root each time.
        """
        if (descriptor := self._held.get((root, folder))) is not None:
            self._held.move_to_end((root, folder))
            return descriptor
        place, missing = folder, []
        while place and (root, place) not in self._held:
            place, _, name = place.rpartition(b"/")
            if name:
                missing.append(name)
        to_hold = self._most_held // _PATHS_HELD or 1
        is_held = (root, place) in self._held
        if is_held:
            descriptor = self._held[root, place]
            self._held.move_to_end((root, place))
        else:
            descriptor = os.open(root, self._flags)
            is_held = len(missing) < to_hold
            if is_held:
                self._hold((root, place), descriptor)
        while missing:
            name = missing.pop()
            place = os.path.join(place, name)
            parent = descriptor
            try:
                descriptor = _open_child(parent, name, (root, place), self._flags, create=create)
            finally:
                if not is_held:
                    os.close(parent)
            is_held = len(missing) < to_hold
            if is_held:
                self._hold((root, place), descriptor)
        return descriptor

    def _hold(self, place: _Place, descriptor: int) -> None:
        self._held[place] = descriptor
        if len(self._held) > self._most_held:
            os.close(self._held.popitem(last=False)[1])


def _open_child(parent: int, name: bytes, place: _Place, flags: int, *, create: bool) -> int:
    """Return a descriptor of a folder in a folder; the place is for messages."""
    _refuse_upwards(name, place[1])
    flags |= os.O_NOFOLLOW
    try:
        descriptor = _open_or_create(parent, name, flags) if create else os.open(name, flags, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise NotADirectoryError(errno.ENOTDIR, "a link, or no folder", os.fsdecode(place[1])) from error
    if name == OWN_FOLDER:
        _check_owner(descriptor, os.path.join(os.fsencode(place[0]), place[1]))
    return descriptor


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Return folder and name of a path."""
    folder, name = os.path.split(path)
    _refuse_upwards(name, path)
    return folder, name


def _refuse_upwards(name: bytes, path: bytes) -> None:
    if name in (b"..", b"."):
        raise NotADirectoryError(errno.ENOTDIR, "a path does not lead upwards", os.fsdecode(path))


def _open_or_create(parent: int, name: bytes, flags: int) -> int:
    with suppress(FileNotFoundError):
        return os.open(name, flags, dir_fd=parent)
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
