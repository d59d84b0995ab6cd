"""What runs once and ends: `ingest` and `retry`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ingestd.archive import moves
from ingestd.core.source_file import SeenFile
from ingestd.errors import CannotStartError
from ingestd.inbox.scan import files, look_at
from ingestd.pipeline.file_outcome import IngestStats
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.progress_bar import bar
from ingestd.settings import Settings
from ingestd.store.database import Database
from ingestd.store.ledger import requeue


def ingest_paths(settings: Settings, database: Database, paths: Sequence[Path], *, progress: bool) -> IngestStats:
    """
    Take in files and folders where they lie.

    Raises:
        CannotStartError: a path does not exist.
    """
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise CannotStartError(f"{path}: no such file or folder")
    total = sum(1 for _ in _seen(paths, settings)) if progress else None
    line = IngestPipeline(settings, database, after="keep")
    line.counts.quarantined = []
    waiting = _seen(paths, settings)
    with bar("files", total, shown=progress) as advance:
        line.recover([])
        try:
            while True:
                while not line.full and (batch := list(islice(waiting, settings.ingest.batch_files))):
                    line.feed(batch)
                if not line.depth:
                    break
                # One that changed while it was read is taken up once more, as it looks then.
                again = [seen for file in line.advance(60.0) if (seen := look_at(file.root, file.path))]
                if again:
                    line.feed(again)
                advance(line.counts.files.total(), _at(line))
        finally:
            line.close()
    return line.counts


def _at(line: IngestPipeline) -> str:
    """Say how far a file of many articles has come, which may take as long as all others together."""
    if line.large is None:
        return "files"
    file = line.large.progress.claim.file
    return f"files ({file.name[-40:]}: {100 * line.large.bytes_read // max(1, file.size)} %)"


def put_back(database: Database, paths: Sequence[str], reason: str | None) -> tuple[list[str], list[tuple[str, str]]]:
    """Take quarantined files up again; return those put back, and those that could not be, with the reason."""
    put: list[str] = []
    kept: list[tuple[str, str]] = []
    with database.begin_write() as connection:
        rows = requeue(connection, datetime.now(UTC), reason, paths)
    for row in rows:
        if row.archived_as and not moves.restore(row.root, row.archived_as, row.path):
            kept.append((row.name, "not put back: another file has its name, or it is no longer in quarantine"))
        else:
            put.append(row.name)
    known = {*put, *(name for name, _ in kept)}
    kept += [(path, "not in quarantine") for path in paths if not any(path.endswith(name) for name in known)]
    return put, kept


def _seen(paths: Sequence[Path], settings: Settings) -> Iterator[SeenFile]:
    for path in paths:
        # Not resolved: a link given by name is refused like one found in a folder.
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() keeps ..
        if absolute.is_dir() and not absolute.is_symlink():
            yield from files(absolute, settings.watch.ignore)
        elif (seen := look_at(absolute.parent, os.fsencode(absolute.name))) is not None:
            yield seen
