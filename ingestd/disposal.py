"""What becomes of a file whose fate is in the database: it is archived, quarantined with the reason, or deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import structlog

from ingestd.intake import archive
from ingestd.intake.scan import look_at
from ingestd.store.ledger import Finished, Settlement
from ingestd.store.tables import FileState

log = structlog.get_logger()

After = Literal["archive", "keep", "delete"]


def put_away(finished: Sequence[Finished], after: After, done_suffix: str) -> list[tuple[int, str]]:
    """
    Move files; what cannot be moved now is moved when it is seen again.

    Args:
        finished: files, and what they were when they were read; one that is another by now stays.
        after: what becomes of a file; one that cannot be used goes to quarantine in any case.
        done_suffix: of markers that go the way of their files; empty if there are none.

    Returns:
        Ledger id and new name ("": none) of each file that is gone from where it was.
    """
    leaving = [f for f in finished if f.state is not FileState.VANISHED]
    went = list(zip(leaving, _moved(leaving, after), strict=True))
    markers = [m for f, to in went if isinstance(to, str) and (m := _marker(f, os.fsencode(done_suffix)))]
    went += zip(markers, _moved(markers, after), strict=True)
    for f, to in went:
        if isinstance(to, OSError):
            log.warning(
                "file.not_moved", path=f.path, error=str(to), hint="it stays where it is until it is seen again"
            )
    return [(f.id, to) for f, to in went if isinstance(to, str) and f.id]


def finished(s: Settlement, now: datetime) -> Finished:
    """Return a file as it is put away, from what the ledger was told of it."""
    reason = s.reason.value if s.reason else None
    return Finished(
        s.claim.id, s.claim.file.root, s.claim.file.path, s.claim.file.look, s.sha256, s.state, reason, s.detail, now
    )


def _moved(leaving: Sequence[Finished], after: After) -> list[str | OSError | None]:
    """Move or delete files; return for each its new name ("": none), None if it is gone, or what prevented it."""
    if after == "archive":
        return archive.move([_move(f) for f in leaving])
    quarantined = {f.id: _move(f) for f in leaving if f.state is FileState.QUARANTINED}
    moved = dict(zip(quarantined, archive.move(list(quarantined.values())), strict=True))
    return [moved[f.id] if f.id in moved else _deleted(f) for f in leaving]


def _move(f: Finished) -> archive.Move:
    if f.state is FileState.QUARANTINED:
        why = {"reason": f.reason, "detail": f.detail, "sha256": f.sha256, "quarantined_at": f.finished_at}
        return archive.to_quarantine(f.root, f.path, f.look, f.sha256, why)
    return archive.to_archive(f.root, f.path, f.look, f.sha256, f.finished_at)


def _deleted(f: Finished) -> str | OSError | None:
    try:
        return "" if archive.delete(f.root, f.path, f.look, f.sha256) else None
    except OSError as error:
        return error


def _marker(f: Finished, suffix: bytes) -> Finished | None:
    """Return the marker that goes the way of its finished file; that of a quarantined one waits for its return."""
    if not suffix or f.state is FileState.QUARANTINED:
        return None
    seen = look_at(Path(f.root), f.path + suffix)
    return replace(f, id=0, path=seen.path, look=seen.look, sha256=None) if seen else None
