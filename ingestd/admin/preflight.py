"""Find obstacles before the first file: folders, file systems, limits of inotify, database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingestd.errors import CannotStartError
from ingestd.inbox.beneath import OWN_FOLDER, check_own_folder, create_file, look_beneath, open_file, open_folder
from ingestd.inbox.open_writers import AskForWriters, Writers, ask_for_writers
from ingestd.inbox.scan import walk_folders
from ingestd.settings import Settings
from ingestd.store.database import Database

# File systems shared with other machines, whose writes raise no event here.
_REMOTE = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "fuse.s3fs",
    "ceph",
    "glusterfs",
    "afs",
    "virtiofs",
)
INOTIFY = Path("/proc/sys/fs/inotify")
_USUAL_QUEUE = 16_384  # events, the default of Linux since the first inotify


class Grade(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARNING = "warning"  # works, but slower or with less safety
    ERROR = "error"  # does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    grade: Grade
    what: str
    mend: str = ""  # the remedy


def check_surroundings(
    settings: Settings,
    roots: Sequence[Path],
    inotify: Path = INOTIFY,
    ask_for_writers: AskForWriters = ask_for_writers,
) -> Iterator[Finding]:
    """
    Check database and folders, in the order of their use by the daemon. No database is created.

    Args:
        settings: in force.
        roots: folders to watch.
        inotify: folder with the limits of the kernel.
        ask_for_writers: tells of an open file whether anybody has it open for writing.
    """
    yield _check_database(settings.database.url)
    if not roots:
        yield Finding(Grade.WARNING, "no folder to watch is set", "name one with --watch DIR or in watch.roots")
    for root in roots:
        yield from _check_folder(root.resolve(), settings.watch.after, inotify, ask_for_writers)


def _check_database(url: str) -> Finding:
    database = Database(url)
    try:
        if database.is_missing():
            return _check_missing_database(database)
        if database.is_empty():
            return Finding(Grade.OK, f"database {database.name} answers, and is empty: `ingestd run` makes the tables")
        database.prepare(create=False)
    except CannotStartError as error:
        return Finding(Grade.ERROR, str(error), "check that the server runs, the folder exists and the URL is right")
    except OSError as error:
        return Finding(Grade.ERROR, f"database {database.name}: {error}", "choose a folder that can be written to")
    finally:
        database.close()
    return Finding(Grade.OK, f"database {database.name} answers and is at this program's version")


def _check_missing_database(database: Database) -> Finding:
    """Tell whether the file of a SQLite database can be made, without making the file."""
    folder = Path(database.url.database or "").absolute().parent
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        what = f"database {database.name}: no such file, and none can be made in {existing}"
        return Finding(Grade.ERROR, what, "choose a folder that can be written to")
    return Finding(Grade.OK, f"database {database.name}: no such file yet; `ingestd run` or `ingestd ingest` makes it")


def _check_folder(root: Path, after: str, inotify: Path, ask_for_writers: AskForWriters) -> Iterator[Finding]:
    if not root.is_dir():
        yield Finding(Grade.ERROR, f"{root}: no such folder", f"mkdir -p {root}")
        return
    if not os.access(root, os.R_OK | os.X_OK):
        yield Finding(Grade.ERROR, f"{root}: cannot be read", f"chmod u+rx {root}, or run as its owner")
        return
    if after != "keep":
        yield _check_writable(root)
        if _is_on_other_device(root):
            yield Finding(
                Grade.WARNING,
                f"{root / os.fsdecode(OWN_FOLDER)}: on another file system than {root}",
                "files are copied instead of linked, which is slower",
            )
    yield _check_leases(root, ask_for_writers)
    yield _check_events(root, inotify)


def _is_on_other_device(root: Path) -> bool:
    try:
        return look_beneath(root, OWN_FOLDER).st_dev != root.stat().st_dev
    except OSError:
        return False


def _check_leases(root: Path, ask_for_writers: AskForWriters) -> Finding:
    """Ask about a file of the program's own, open for writing at first and then closed."""
    try:
        with _make_probe(root) as (descriptor, path):
            reading = open_file(root, path)
            try:
                while_open = ask_for_writers(reading)
                os.close(descriptor)
                answers = while_open, ask_for_writers(reading)
            finally:
                os.close(reading)
    except OSError:
        answers = Writers.UNKNOWN, Writers.UNKNOWN
    if answers == (Writers.SOME, Writers.NONE):
        whose = "" if os.geteuid() == 0 else f" by user {os.geteuid()}"
        return Finding(Grade.OK, f"{root}: a file held open for writing{whose} is recognised, and waited for")
    return Finding(
        Grade.WARNING,
        f"{root}: whether a file is open for writing cannot be asked here: the quiet time decides alone",
        "let writers rename complete files into the folder, or set watch.done_suffix",
    )


@contextmanager
def _make_probe(root: Path) -> Iterator[tuple[int, bytes]]:
    """Create a file in `.ingestd` for a moment; yield a descriptor for writing, to be closed, and the path."""
    folder = open_folder(root, OWN_FOLDER, create=True)
    name = f".check-{os.getpid()}".encode()
    try:
        descriptor = create_file(folder, name)
        try:
            yield descriptor, b"%s/%s" % (OWN_FOLDER, name)
        finally:
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)


def _check_writable(root: Path) -> Finding:
    probe = root / os.fsdecode(OWN_FOLDER)
    try:
        check_own_folder(root)
    except OSError as error:
        return Finding(Grade.ERROR, f"{root}: {error.strerror}", "the folder .ingestd is the program's own")
    try:
        with _make_probe(root) as (descriptor, _):
            os.close(descriptor)
    except OSError as error:
        return Finding(
            Grade.ERROR,
            f"{root}: finished files cannot be moved: {error}",
            f'make {root} writable, or set watch.after = "keep"',
        )
    return Finding(Grade.OK, f"{root}: readable, and finished files can be moved to {probe}")


def _check_events(root: Path, inotify: Path) -> Finding:
    kind = _read_file_system(root)
    if kind in _REMOTE:
        return Finding(
            Grade.WARNING,
            f"{root}: on {kind}, where changes made elsewhere raise no event",
            f'set [watch.modes] "{root}" = "poll"; until then the folder is read every 5 s when that shows',
        )
    return _check_limits(root, inotify)


def _read_file_system(root: Path) -> str:
    """Return the kernel's name for the file system of a folder; empty: unknown."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape", "replace")
        if root.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _check_limits(root: Path, inotify: Path) -> Finding:
    limit_file, queue_file = inotify / "max_user_watches", inotify / "max_queued_events"
    if not limit_file.exists():
        return Finding(
            Grade.WARNING, f"{root}: no inotify here", "the folder is read in full every watch.rescan_seconds"
        )
    limit = int(limit_file.read_text())
    folders = 1 + sum(entry.is_dir(follow_symlinks=False) for _, entry in walk_folders(root))
    if folders > limit:
        return Finding(
            Grade.WARNING,
            f"{root}: {folders} folders, but inotify allows {limit} watches",
            f"sysctl fs.inotify.max_user_watches={2 * folders}; until then new files wait for the next rescan",
        )
    queue_size = int(queue_file.read_text())
    if queue_size < _USUAL_QUEUE:
        return Finding(
            Grade.WARNING,
            f"{root}: inotify forgets events after {queue_size:,} that are not read yet",
            f"sysctl fs.inotify.max_queued_events={_USUAL_QUEUE}; until then files of a burst wait for the next rescan",
        )
    return Finding(Grade.OK, f"{root}: {folders} folders, inotify allows {limit} watches")
