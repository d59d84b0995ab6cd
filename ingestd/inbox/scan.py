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
from ingestd.inbox.beneath import OpenFolders, look_beneath

log = structlog.get_logger()

# The longest path that Linux takes in one piece (linux/limits.h, PATH_MAX). By descriptors a path may be longer, but no
# other program could use the file.
_LONGEST_PATH = 4096
# Files that other programs are still writing, or leave behind for themselves.
_LEFT_ALONE = re.compile(
    rb"\..*|.*\.(?:part|tmp|crdownload|partial|swp|filepart)|.*~|Thumbs\.db|desktop\.ini|@eaDir",
    re.DOTALL | re.IGNORECASE,
)
_UNFINISHED = re.compile(rb".*\.(?:part|tmp|crdownload|partial|filepart)", re.DOTALL | re.IGNORECASE)


def find_files(
    root: str | Path,
    ignore: Sequence[str] = (),
    report_unfinished: Callable[[bytes], None] | None = None,
    folder: bytes = b"",
) -> Iterator[SeenFile]:
    """
    Yield every file below a folder, also links and special files, but no folders and no file to be left alone.

    Args:
        root: the watched folder.
        ignore: further name patterns to leave alone.
        report_unfinished: called with the path of every file still being written, by the name.
        folder: below the root, to begin at.
    """

    def is_wanted(name: bytes, path: bytes) -> bool:
        if not is_left_alone(name, ignore):
            return True
        if report_unfinished is not None and _UNFINISHED.fullmatch(name):
            report_unfinished(path)
        return False

    for path, entry in walk_folders(root, folder, is_wanted):
        if entry.is_dir(follow_symlinks=False):
            continue
        try:
            seen = describe_file(root, path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue  # moved away since the folder was read
        except OSError as error:
            log.warning("file.not_seen", root=str(root), path=os.fsdecode(path), error=str(error))
            continue
        if seen is not None:
            yield seen


def walk_folders(
    root: str | Path, folder: bytes = b"", is_wanted: Callable[[bytes, bytes], bool] = lambda _name, _path: True
) -> Iterator[tuple[bytes, os.DirEntry[str]]]:
    """
    Yield the path below the root of every name in a folder and the folders below, folders as well.

    No link is followed, also where a folder is exchanged with a link meanwhile. A bounded number of descriptors is held
    at a time. An unreadable folder is logged and passed over: the next scan tries again.

    Args:
        root: the watched folder.
        folder: below the root, to begin at.
        is_wanted: tells from name and path whether to yield a name, and to enter a folder.
    """
    waiting = [folder]
    with OpenFolders(readable=True) as folders:
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folders.open(root, folder)) as entries:
                    for entry in entries:
                        name = os.fsencode(entry.name)
                        path = os.path.join(folder, name)
                        if not is_wanted(name, path):
                            continue
                        if len(path) >= _LONGEST_PATH:
                            log.warning("path.too_long", path=os.fsdecode(path), most_bytes=_LONGEST_PATH)
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(path)
                        yield path, entry
            except (FileNotFoundError, NotADirectoryError):
                continue  # moved away or exchanged since its parent was read
            except OSError as error:
                log.warning(
                    "folder.not_readable", path=os.fsdecode(os.path.join(os.fsencode(root), folder)), error=str(error)
                )


def is_left_alone(name: bytes, ignore: Sequence[str]) -> bool:
    """Tell whether a file or folder of this name is none of ours."""
    if _LEFT_ALONE.fullmatch(name):
        return True
    return bool(ignore) and any(fnmatch(os.fsdecode(name), pattern) for pattern in ignore)


def look_at(root: str | Path, path: bytes, folders: OpenFolders | None = None) -> SeenFile | None:
    """
    Return the present state of a file, without following links; None: the file is gone, is a folder, or cannot be seen.

    Args:
        root: the watched folder.
        path: below the root.
        folders: hold the folder of the file open for the next file.
    """
    try:
        return describe_file(root, path, look_beneath(root, path, folders))
    except (FileNotFoundError, NotADirectoryError):  # also where a folder was exchanged with a link
        return None
    except OSError as error:  # the folder may not be searched, the disk is damaged: the next scan tries again
        log.warning("file.not_seen", root=str(root), path=os.fsdecode(path), error=str(error))
        return None


def describe_file(root: str | Path, path: bytes, status: os.stat_result) -> SeenFile | None:
    """
    Return a file as seen, from its status; None: the name is a folder.

    A pipe, socket or device has neither size nor times: using a pipe changes the times, and makes no other version.
    """
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        return SeenFile(str(root), path, 0, 0, 0, status.st_ino, status.st_mode)
    return SeenFile(
        str(root), path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode
    )


def is_regular(file: SeenFile) -> bool:
    """Tell whether a file is an ordinary file: no link, pipe, socket or device."""
    return stat.S_ISREG(file.mode)
