"""Work without a daemon: `ingest` and `retry`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ingestd.archive import moves
from ingestd.core.progress import ShowProgress, hide_progress
from ingestd.core.source_file import SeenFile
from ingestd.core.stats import StatsSnapshot
from ingestd.errors import CannotStartError
from ingestd.inbox.scan import find_files, look_at
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.settings import Settings
from ingestd.store.database import Database
from ingestd.store.requeue import requeue

_STEP_S = 60.0  # longest wait of one step


def ingest_paths(
    settings: Settings, database: Database, paths: Sequence[Path], *, show_progress: ShowProgress | None = None
) -> StatsSnapshot:
    """
    Take in files and folders without moving anything.

    Args:
        settings: of the whole program.
        database: to write to.
        paths: files and folders.
        show_progress: shows how many files are done; None: nobody looks, and the files are not counted beforehand.

    Raises:
        CannotStartError: a path does not exist.
    """
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise CannotStartError(f"{path}: no such file or folder")
    total = sum(1 for _ in _find_files(paths, settings)) if show_progress else None
    pipeline = IngestPipeline(settings, database, after="keep")
    pipeline.stats.quarantined = []
    waiting = _find_files(paths, settings)
    with (show_progress or hide_progress)("files", total) as advance:
        pipeline.recover([])
        try:
            while True:
                while not pipeline.full and (batch := list(islice(waiting, settings.ingest.batch_files))):
                    pipeline.submit(batch)
                if not pipeline.depth:
                    break
                # A file that changed while it was read is taken up once more, as it looks then.
                changed = [seen for file in pipeline.step(_STEP_S) if (seen := look_at(file.root, file.path))]
                if changed:
                    pipeline.submit(changed)
                advance(pipeline.stats.files.total(), _describe_progress(pipeline))
        finally:
            pipeline.close()
    return pipeline.take_snapshot()


def requeue_files(
    database: Database, paths: Sequence[str], reason: str | None
) -> tuple[list[str], list[tuple[str, str]]]:
    """Take quarantined files up again; return the files put back, and the others with the problem of each."""
    requeued: list[str] = []
    problems: list[tuple[str, str]] = []
    with database.begin_write() as connection:
        rows = requeue(connection, datetime.now(UTC), reason, paths)
    for row in rows:
        if row.archived_as and not moves.restore_file(row.root, row.archived_as, row.path):
            problems.append((row.name, "not put back: another file has its name, or it is no longer in quarantine"))
        else:
            requeued.append(row.name)
    known = {*requeued, *(name for name, _ in problems)}
    problems += [(path, "not in quarantine") for path in paths if not any(path.endswith(name) for name in known)]
    return requeued, problems


def _describe_progress(pipeline: IngestPipeline) -> str:
    """Return the label of the display; a file of many articles may take as long as all others together."""
    if pipeline.large_file is None:
        return "files"
    file = pipeline.large_file.outcome.claim.file
    return f"files ({file.name[-40:]}: {pipeline.large_file.percent_read:.0f} %)"


def _find_files(paths: Sequence[Path], settings: Settings) -> Iterator[SeenFile]:
    for path in paths:
        # Not resolved: a link given by name is refused like a link found in a folder.
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() keeps ..
        if absolute.is_dir() and not absolute.is_symlink():
            yield from find_files(absolute, settings.watch.ignore)
        elif (seen := look_at(absolute.parent, os.fsencode(absolute.name))) is not None:
            yield seen
