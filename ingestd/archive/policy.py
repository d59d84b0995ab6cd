"""What becomes of a file whose fate is in the database: it is archived, quarantined with the reason, or deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import structlog

from ingestd.archive import moves
from ingestd.core.source_file import FileState
from ingestd.inbox.scan import look_at
from ingestd.store.ledger import CompletedFile, FileResult

log = structlog.get_logger()

After = Literal["archive", "keep", "delete"]


def move_of(f: CompletedFile, after: After) -> moves.Move:
    """Return where a file is to go; one that cannot be used goes to quarantine in any case."""
    if f.state is FileState.QUARANTINED:
        why = {"reason": f.reason, "detail": f.detail, "sha256": f.sha256, "quarantined_at": f.finished_at}
        return moves.to_quarantine(f.root, f.path, f.stamp, f.sha256, why)
    if after == "delete":
        return moves.removal(f.root, f.path, f.stamp, f.sha256)
    return moves.to_archive(f.root, f.path, f.stamp, f.sha256, f.finished_at)


def gone(
    leaving: Sequence[CompletedFile], moved: Sequence[str | OSError | None], after: After, done_suffix: str
) -> list[tuple[int, str]]:
    """
    See to what is left to do for files that were moved; what could not be moved now is when it is seen again.

    Args:
        leaving: the files.
        moved: what became of each: its new name, None if it was another by then, or what prevented the move.
        after: what becomes of a file.
        done_suffix: of markers that go the way of their files; empty if there are none.

    Returns:
        Ledger id and new name ("": none) of each file that is gone from where it was.
    """
    went = list(zip(leaving, moved, strict=True))
    markers = [m for f, to in went if isinstance(to, str) and (m := _marker(f, os.fsencode(done_suffix)))]
    markers_moved = moves.move([move_of(m, after) for m in markers])
    for f, to in [*went, *zip(markers, markers_moved, strict=True)]:
        if isinstance(to, OSError):
            log.warning(
                "file.not_moved", path=f.path, error=str(to), hint="it stays where it is until it is seen again"
            )
    return [(f.id, to) for f, to in went if isinstance(to, str)]


def finished(s: FileResult, now: datetime) -> CompletedFile:
    """Return a file as it is put away, from what the ledger was told of it."""
    reason = s.reason.value if s.reason else None
    return CompletedFile(
        s.claim.id, s.claim.file.root, s.claim.file.path, s.claim.file.stamp, s.sha256, s.state, reason, s.detail, now
    )


def _marker(f: CompletedFile, suffix: bytes) -> CompletedFile | None:
    """Return the marker that goes the way of its finished file; that of a quarantined one waits for its return."""
    if not suffix or f.state is FileState.QUARANTINED:
        return None
    seen = look_at(f.root, f.path + suffix)
    return replace(f, id=0, path=seen.path, stamp=seen.stamp, sha256=None) if seen else None
