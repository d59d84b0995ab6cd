"""The place of a file after the commit: archive, quarantine with the reason, or nowhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ingestd.archive import moves
from ingestd.core.source_file import FileState
from ingestd.inbox.scan import look_at
from ingestd.store.claims import CompletedFile, FileResult

After = Literal["archive", "keep", "delete"]
_MARKER = 0  # in the place of a ledger id: the ledger has no row for a marker


@dataclass(frozen=True, slots=True)
class MovePolicy:
    """The place of files after the commit."""

    after: After  # of a finished file
    done_suffix: str  # of markers, which follow their files; empty if there are none


@dataclass(frozen=True, slots=True)
class FinishedMoves:
    """The results of some moves."""

    names: Sequence[tuple[int, str]]  # ledger id and new name ("": none) of each file gone from the old place
    failed: Sequence[tuple[CompletedFile, OSError]]  # files and markers to be tried again


def plan_move(file: CompletedFile, after: After) -> moves.Move:
    """Return the move of a finished file; an unusable file goes to quarantine in any case."""
    if file.state is FileState.QUARANTINED:
        reason = {
            "reason": file.reason,
            "detail": file.detail,
            "sha256": file.sha256,
            "quarantined_at": file.finished_at,
        }
        return moves.plan_quarantine(file.root, file.path, file.stamp, file.sha256, reason)
    if after == "delete":
        return moves.plan_removal(file.root, file.path, file.stamp, file.sha256)
    return moves.plan_archive(file.root, file.path, file.stamp, file.sha256, file.finished_at)


def finish_moves(
    files: Sequence[CompletedFile], results: Sequence[str | OSError | None], policy: MovePolicy
) -> FinishedMoves:
    """
    Move the markers of moved files, and sort out the failed moves.

    Args:
        files: the files.
        results: of `moves.move_files`, in the order of the files.
        policy: the place of finished files and markers.
    """
    markers = [
        marker
        for file, result in zip(files, results, strict=True)
        if isinstance(result, str) and (marker := _find_marker(file, os.fsencode(policy.done_suffix)))
    ]
    marker_results = moves.move_files([plan_move(marker, policy.after) for marker in markers])
    moved = list(zip([*files, *markers], [*results, *marker_results], strict=True))
    return FinishedMoves(
        [(file.id, result) for file, result in moved if isinstance(result, str) and file.id != _MARKER],
        [(file, result) for file, result in moved if isinstance(result, OSError)],
    )


def describe_completed(result: FileResult, now: datetime) -> CompletedFile:
    """Return a file in the form for the archive, from the result for the ledger."""
    file = result.claim.file
    reason = result.reason.value if result.reason else None
    return CompletedFile(
        result.claim.id, file.root, file.path, file.stamp, result.sha256, result.state, reason, result.detail, now
    )


def _find_marker(file: CompletedFile, suffix: bytes) -> CompletedFile | None:
    """Return the marker of a finished file; the marker of a quarantined file waits for the return of the file."""
    if not suffix or file.id == _MARKER or file.state is FileState.QUARANTINED:
        return None
    seen = look_at(file.root, file.path + suffix)
    return replace(file, id=_MARKER, path=seen.path, stamp=seen.stamp, sha256=None) if seen else None
