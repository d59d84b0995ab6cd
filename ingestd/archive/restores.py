"""Files on the way back from quarantine to the old names. Every step may be repeated after an interruption."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from ingestd.archive.links import is_same_content, link_or_copy, look_at_name
from ingestd.archive.moves import QUARANTINE, REASON_SUFFIX, sync_folder, sync_targets, try_step
from ingestd.inbox.beneath import OpenFolders


class RestoreResult(Enum):
    """The result of one way back."""

    RESTORED = "restored"  # the file has the old name, and no name in quarantine
    GONE = "gone"  # the file is in quarantine no longer
    NAME_TAKEN = "name taken"  # another file has the old name; the file stays in quarantine


@dataclass(frozen=True, slots=True)
class Restore:
    """A file in quarantine, and the old name."""

    root: str  # the watched folder
    quarantined: str  # below the root
    path: bytes  # below the root


def restore_files(
    restores: Sequence[Restore], *, sync: Callable[[str, bytes], None] = sync_folder
) -> list[RestoreResult | OSError]:
    """
    Move files from quarantine back to the old names, all together a step at a time.

    Args:
        restores: the files.
        sync: waits until the names in a folder, given by root and path, are on the disk.

    Returns:
        The result for each file; the error if the file stays in quarantine.
    """
    with OpenFolders() as folders:
        linked = [try_step(_link_back, folders, restore) for restore in restores]
        back = [(r.root, r.path) for r, result in zip(restores, linked, strict=True) if _is_restored(result)]
        synced = sync_targets(back, sync)
        results: list[RestoreResult | OSError] = []
        for restore, result in zip(restores, linked, strict=True):
            error = None
            if _is_restored(result):
                error = synced[restore.root, os.path.dirname(restore.path)]
                error = error or try_step(_leave_quarantine, folders, restore)
            results.append(error or result)
    return results


def _is_restored(result: RestoreResult | OSError) -> bool:
    return result is RestoreResult.RESTORED


def _link_back(folders: OpenFolders, restore: Restore) -> RestoreResult:
    """Give a file the old name again, beside the name in quarantine."""
    folders.open(restore.root, b"")  # an error where the whole folder is away: then nothing is known of the file
    quarantine, name = os.path.split(os.fsencode(restore.quarantined))
    folder, old_name = os.path.split(restore.path)
    try:
        source = folders.open(restore.root, quarantine)
    except FileNotFoundError:
        return RestoreResult.GONE
    if look_at_name(source, name) is None:
        return RestoreResult.GONE
    target = folders.open(restore.root, folder, create=True)
    try:
        link_or_copy(source, name, target, old_name)
    except FileNotFoundError:  # another process was as quick
        return RestoreResult.GONE
    except FileExistsError:
        if not is_same_content(source, name, target, old_name):
            return RestoreResult.NAME_TAKEN
    return RestoreResult.RESTORED


def _leave_quarantine(folders: OpenFolders, restore: Restore) -> None:
    """Remove the reason and then the name in quarantine: no reason is left without the file."""
    quarantine, name = os.path.split(os.fsencode(restore.quarantined))
    folder = folders.open(restore.root, quarantine)
    has_reason = quarantine.startswith(QUARANTINE)  # a file comes back from the archive as well
    for removed in (name + REASON_SUFFIX, name) if has_reason else (name,):
        with suppress(FileNotFoundError):
            os.unlink(removed, dir_fd=folder)
