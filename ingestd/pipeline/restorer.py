"""Files to be read again that lie in quarantine, brought back to the old names; repeated until that is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ingestd.archive.moves import find_quarantined
from ingestd.archive.restores import Restore, RestoreResult, restore_files
from ingestd.inbox.scan import look_at
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.store import requeue
from ingestd.store.database import Database
from ingestd.store.requeue import RequeuedFile

log = structlog.get_logger()

_ALL_EVERY_S = 300.0  # between looks at vanished files as well: of such rows there may be many

# The files found, and the result of each way back.
Restored = list[tuple[RequeuedFile, RestoreResult | OSError]]


class Restorer:
    """Finishes ways back from quarantine that were interrupted, or that crossed a move into quarantine."""

    def __init__(
        self,
        database: Database,
        retry: DatabaseRetry,
        *,
        all_every_s: float = _ALL_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at vanished files every `all_every_s` seconds."""
        self._database, self._retry = database, retry
        self._all_every_s, self._clock = all_every_s, clock
        self._next_all = 0.0

    def restore(self, roots: Sequence[str], *, at_start: bool = False) -> int:
        """Bring the files of some roots back, at the start vanished files as well; return the number of files."""
        looks_at_all = at_start or self._clock() >= self._next_all
        if looks_at_all:
            self._next_all = self._clock() + self._all_every_s
        restored = self._retry.call(lambda: restore_stranded(self._database, roots, vanished=looks_at_all))
        for file, result in restored:
            if isinstance(result, OSError):
                log.warning("file.not_restored", path=file.name, place=file.archived_as, error=str(result))
            else:
                log.info("file.restored", path=file.name, place=file.archived_as, outcome=result.value)
        return len(restored)


def restore_stranded(database: Database, roots: Sequence[str] | None, *, vanished: bool = True) -> Restored:
    """
    Bring files back that lie in quarantine although they are to be read, and record the places.

    With `roots`, which are then folders of this host, a deferred file that is nowhere is recorded as vanished.

    Args:
        database: with the ledger.
        roots: of the files; None: any.
        vanished: look at files as well that vanished in the hands of a reader.
    """
    now = datetime.now(UTC)
    with database.begin_read() as connection:
        files = requeue.find_deferred(connection, now, roots, vanished=vanished)
        placed = [file for file in files if file.archived_as]
        gone: list[int] = []
        for file in files:
            if not file.archived_as and look_at(file.root, file.path) is None:
                place = find_quarantined(file.root, file.path, file.stamp)
                if place and not requeue.is_place_known(connection, file.root, place):
                    placed.append(replace(file, archived_as=place))
                elif roots is not None and Path(file.root).is_dir():
                    gone.append(file.id)
    if gone:
        with database.begin_write() as connection:
            requeue.record_gone(connection, gone, now)
    if not placed:
        return []
    database.check_file()
    results = restore_files([Restore(file.root, file.archived_as or "", file.path) for file in placed])
    restored = list(zip(placed, results, strict=True))
    _record(database, restored, now)
    return restored


def _record(database: Database, restored: Restored, now: datetime) -> None:
    """Write the places of files after the way back; a file that could not be moved keeps the place."""
    ids: dict[RestoreResult, list[int]] = {result: [] for result in RestoreResult}
    for file, result in restored:
        if result is RestoreResult.GONE and look_at(file.root, file.path) is not None:
            ids[RestoreResult.RESTORED].append(file.id)  # by an earlier process, without time to record it
        elif isinstance(result, RestoreResult):
            ids[result].append(file.id)
    with database.begin_write() as connection:
        requeue.record_restored(connection, ids[RestoreResult.RESTORED])
        requeue.record_gone(connection, ids[RestoreResult.GONE], now)
        requeue.return_to_quarantine(connection, ids[RestoreResult.NAME_TAKEN], now)
