"""
The question whether anybody has a file open for writing: the kernel refuses a read lease then (fcntl(2), F_SETLEASE).

The answer is trusted on local file systems alone. NFS and SMB refuse a lease for reasons of their own, and know nothing
of writers on other hosts. The kernel gives leases on files of the same user, and with CAP_LEASE on all files.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import signal
import sys
from collections.abc import Callable
from enum import Enum

_LIBC = ctypes.CDLL(None, use_errno=True)

# File systems of one host (linux/magic.h; zfs: include/sys/fs/zfs.h).
_LOCAL = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0xF2F52010,  # f2fs
        0x2FC12FC1,  # zfs
        0xCA451A4E,  # bcachefs
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0x794C7630,  # overlay, as in containers
    }
)
_STATFS_BYTES = 256  # more than struct statfs on any machine (120 bytes on 64 bits)


class Writers(Enum):
    """Whether anybody has a file open for writing."""

    SOME = "some"
    NONE = "none"
    UNKNOWN = "unknown"  # the system, the file system or the owner of the file does not allow the question


AskForWriters = Callable[[int], Writers]  # from a descriptor of the file, open for reading


def ask_for_writers(descriptor: int) -> Writers:
    """
    Ask whether anybody has a file open for writing. Never waits, and leaves nothing behind.

    The lease is held for some microseconds. A writer opening the file at that moment waits for as long; the kernel
    sends the holder a signal then: SIGURG here, which every process ignores by default (SIGIO would end the process).

    Args:
        descriptor: of the file, open for reading.
    """
    if sys.platform != "linux" or not _is_local(descriptor):
        return Writers.UNKNOWN
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN
    return Writers.NONE


def _is_local(descriptor: int) -> bool:
    """Tell whether an open file lies on a file system of this host alone."""
    status = ctypes.create_string_buffer(_STATFS_BYTES)
    if _LIBC.fstatfs(descriptor, status) != 0:
        return False
    # The first member of struct statfs is the type: a long, of which the magic numbers use 32 bits.
    return ctypes.c_long.from_buffer(status).value & 0xFFFFFFFF in _LOCAL
