"""
The files in a folder: the truth behind the hints of events.

Names are bytes, as in the file system; not every name is valid text.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import structlog

from ingestd.core.source_file import SeenFile

log = structlog.get_logger()

OWN_FOLDER = b".ingestd"  # archive and quarantine, below each root
# Files that other programs are still writing, or leave behind for themselves.
_LEFT_ALONE = re.compile(
    rb"\..*|.*\.(?:part|tmp|crdownload|partial|swp|filepart)|.*~|Thumbs\.db|desktop\.ini|@eaDir",
    re.DOTALL | re.IGNORECASE,
)
_UNFINISHED = re.compile(rb".*\.(?:part|tmp|crdownload|partial|filepart)", re.DOTALL | re.IGNORECASE)


def find_files(
    root: Path, ignore: Sequence[str] = (), report_unfinished: Callable[[bytes], None] | None = None
) -> Iterator[SeenFile]:
    """
    Yield every file below a folder, also links and special files, but no folders and no file to be left alone.

    An unreadable folder is logged and passed over: the next scan tries again.

    Args:
        root: the folder.
        ignore: further name patterns to leave alone.
        report_unfinished: called with the path of every file still being written, by the name.
    """
    base = os.fsencode(root)
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(base, folder)) as entries:
                for entry in entries:
                    path = os.path.join(folder, entry.name)
                    if is_left_alone(entry.name, ignore):
                        if report_unfinished is not None and _UNFINISHED.fullmatch(entry.name):
                            report_unfinished(path)
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif (seen := look_at(root, path)) is not None:
                        yield seen
        except FileNotFoundError:
            continue  # moved away since its parent was read
        except OSError as error:
            log.warning("folder.not_readable", path=os.fsdecode(os.path.join(base, folder)), error=str(error))


def is_left_alone(name: bytes, ignore: Sequence[str]) -> bool:
    """Tell whether a file or folder of this name is none of ours."""
    if _LEFT_ALONE.fullmatch(name):
        return True
    return bool(ignore) and any(fnmatch(os.fsdecode(name), pattern) for pattern in ignore)


def look_at(root: str | Path, path: bytes) -> SeenFile | None:
    """
    Return the present state of a file, without following links; None: the file is gone, is a folder, or cannot be seen.

    A pipe, socket or device has neither size nor times: using a pipe changes the times, and makes no other version.
    """
    try:
        status = os.lstat(os.path.join(os.fsencode(root), path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # the folder may not be searched, the disk is damaged: the next scan tries again
        log.warning("file.not_seen", root=str(root), path=os.fsdecode(path), error=str(error))
        return None
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        return SeenFile(str(root), path, 0, 0, 0, status.st_ino, status.st_mode)
    return SeenFile(
        str(root), path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode
    )


def full_path(file: SeenFile) -> bytes:
    """Return the path to open."""
    return os.path.join(os.fsencode(file.root), file.path)


def is_regular(file: SeenFile) -> bool:
    """Tell whether a file is an ordinary file: no link, pipe, socket or device."""
    return stat.S_ISREG(file.mode)
