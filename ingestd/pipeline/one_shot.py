"""Work without a daemon: `ingest` and `retry`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ingestd.archive.restores import RestoreResult
from ingestd.core.progress import ShowProgress, hide_progress
from ingestd.core.source_file import SeenFile
from ingestd.core.stats import StatsSnapshot
from ingestd.errors import CannotStartError
from ingestd.inbox.scan import find_files, look_at
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.pipeline.restorer import restore_stranded
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
        restore_stranded(database, None)
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
    with database.begin_write() as connection:
        found = requeue(connection, datetime.now(UTC), reason, paths)
    restored = restore_stranded(database, None)  # also what an earlier retry had no time for
    failed = {file.id: problem for file, result in restored if (problem := _describe_problem(result))}
    earlier = [file for file, _ in restored if file.id not in {known.id for known in found.files}]
    files = [*found.files, *earlier]
    requeued = [file.name for file in files if file.id not in failed]
    problems = [(file.name, failed[file.id]) for file in files if file.id in failed]
    problems += [(name, "not put back: another version of it is not finished") for name in found.waiting]
    known = {*requeued, *(name for name, _ in problems)}
    problems += [(path, "not in quarantine") for path in paths if not any(path.endswith(name) for name in known)]
    return requeued, problems


def _describe_problem(result: RestoreResult | OSError) -> str:
    """Return the reason why a file was not put back; empty: the file was put back."""
    if isinstance(result, OSError):
        return f"not put back yet, tried again by the next retry or by a daemon: {result}"
    if result is RestoreResult.NAME_TAKEN:
        return "not put back: another file has its name"
    return "not put back: it is no longer in quarantine" if result is RestoreResult.GONE else ""


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
