"""Folders that are hardly meant to be watched. The daemon moves every file that it takes in, so `run` asks back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ingestd.errors import SettingsError

if TYPE_CHECKING:  # imported when a command runs: --help stays quick
    from ingestd.settings import Settings

# Of the Filesystem Hierarchy Standard 3.0 and of hier(7). A folder below one of these may well be an inbox.
_SYSTEM_FOLDERS = frozenset({
    "/", "/dev", "/home", "/opt", "/root", "/run", "/tmp", "/usr", "/usr/local", "/var", "/var/cache", "/var/lib",  # noqa: S108 - names only
    "/var/log", "/var/spool", "/var/tmp",  # noqa: S108 - names only
})  # fmt: skip
_SYSTEM_TREES = tuple(map(Path, (
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/lib", "/usr/lib64",
    "/usr/sbin", "/usr/share",
)))  # fmt: skip


def find_unmeant(settings: Settings) -> dict[Path, str]:
    """Return the folders of the settings that are hardly meant, with the reason of each."""
    home = _find_home()
    reasons = {root: explain_unmeant(root, settings.database.file, home) for root in settings.watch.roots}
    return {root: reason for root, reason in reasons.items() if reason}


def refuse_unmeant(settings: Settings) -> None:
    """
    Check that every folder of the settings may be meant.

    Raises:
        SettingsError: names the first folder that is hardly meant, and the reason.
    """
    for root, reason in find_unmeant(settings).items():
        raise SettingsError(f"watch.roots: {root}: {reason}; every file in it would be taken in. If so, say --yes")


def explain_unmeant(root: Path, database: Path | None, home: Path | None) -> str | None:
    """
    Return why a folder is hardly meant to be watched; None: nothing speaks against the folder.

    Args:
        root: the folder; links are followed.
        database: the file of the database; None: no file.
        home: the home folder of the user; None: unknown.
    """
    from ingestd.inbox.beneath import OWN_FOLDER

    root = root.resolve()
    if str(root) in _SYSTEM_FOLDERS or any(root.is_relative_to(tree) for tree in _SYSTEM_TREES):
        return "a folder of the system"
    if home is not None and home.resolve().is_relative_to(root):
        return "the home folder, or one above it"
    if OWN_FOLDER.decode() in root.parts:
        return "inside the folder that ingestd keeps for a watched folder"
    if database is not None and _is_in_reach(database.resolve(), root):
        return "the database is in it"
    return None


def _is_in_reach(file: Path, root: Path) -> bool:
    """Return whether a scan of the folder finds the file. Names that begin with a dot are left alone."""
    return file.is_relative_to(root) and not any(part.startswith(".") for part in file.relative_to(root).parts)


def _find_home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the user is unknown, as in a container
        return None
