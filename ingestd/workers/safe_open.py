"""
Files opened once, without following links or waiting for a pipe, and read from a single descriptor.

A file changed by the end of the reading is not used at all.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from ingestd.core.source_file import Reason, SeenFile
from ingestd.errors import DeferredError, IngestdError, UnsettledError, UnusableError, VanishedError
from ingestd.inbox.beneath import OpenFolders, open_file
from ingestd.inbox.scan import is_regular


@contextmanager
def open_unchanged(file: SeenFile, folders: OpenFolders | None = None) -> Iterator[io.FileIO]:
    """
    Open a regular file, unchanged since the sighting; `folders` hold the folder of the file open for the next file.

    Raises:
        UnusableError: a link, or no regular file.
        UnsettledError: replaced or changed meanwhile.
        VanishedError: removed meanwhile.
        DeferredError: cannot be opened now.
    """
    if stat.S_ISLNK(file.mode):
        raise UnusableError(Reason.SYMLINK, "links are not followed")
    if not is_regular(file):
        raise UnusableError(Reason.NOT_REGULAR, "a pipe, socket or device, not a file")
    try:
        descriptor = open_file(file.root, file.path, folders)
    except OSError as error:
        raise classify_os_error(error) from error
    with io.FileIO(descriptor) as stream:
        now = os.fstat(descriptor)
        if not stat.S_ISREG(now.st_mode) or (now.st_ino, now.st_size) != (file.inode, file.size):
            raise UnsettledError(f"{file.name}: replaced or changed since it was seen")
        yield stream


def check_unchanged(stream: io.FileIO, file: SeenFile, n_read: int | None = None) -> None:
    """
    Compare an open file with the file as seen.

    Raises:
        UnsettledError: size or time differ, or `n_read` bytes are not all of the file.
    """
    now = os.fstat(stream.fileno())
    if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns) or n_read not in (None, now.st_size):
        raise UnsettledError(f"{file.name}: changed while it was being read")


def read_content(file: SeenFile, max_bytes: int, folders: OpenFolders | None = None) -> tuple[bytes | None, str]:
    """
    Return the bytes of a file and the SHA-256; no bytes where the file has more than `max_bytes`.

    `folders` hold the folder of the file open for the next file.

    Raises:
        IngestdError: as `open_unchanged` and `check_unchanged`.
    """
    with open_unchanged(file, folders) as stream:
        if file.size > max_bytes:
            return None, ""
        try:
            data = b"".join(iter(partial(stream.read, max_bytes + 1), b""))
        except OSError as error:
            raise classify_os_error(error) from error
        check_unchanged(stream, file, len(data))
    return data, hashlib.sha256(data).hexdigest()


def classify_os_error(error: OSError) -> IngestdError:
    """Return the error of a file for an error of the system."""
    if error.errno == errno.ELOOP:
        return UnusableError(Reason.SYMLINK, "links are not followed")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return VanishedError(str(error))
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return UnusableError(Reason.NOT_REGULAR, str(error))
    return DeferredError(error.strerror or str(error))
