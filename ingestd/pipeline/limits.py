"""Upper bounds of the work in flight: sizes and times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ingestd.formats import ReadLimits
from ingestd.settings import FormatSettings, IngestSettings
from ingestd.workers.pool import WorkerLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineLimits:
    """Limits of a pipeline."""

    # A second's work where text is to be found in pages, a batch where text lies open.
    read_together_bytes: int = 4 << 20
    # Of the oldest batch; beyond that, batches behind it are stored, and others are claimed in its place. A batch is
    # read in a second.
    patience_s: float = 2.0
    most_overdue: int = 8  # batches claimed in the place of others
    most_suspects: int = 4096  # files to be read alone, with their claims in memory; eight batches of the usual size
    look_s: float = 0.5  # of one wait for readers
    deferred_retry_s: float = 30.0  # until a file without read permission is tried again
    last_moves_s: float = 2.0  # of a shutdown; the next start makes and records the remaining moves
    slow_s: float = 300.0  # until `batch.slow` is logged, and between two such lines


def make_worker_limits(ingest: IngestSettings) -> WorkerLimits:
    """Return the limits of reading processes."""
    limits = WorkerLimits(memory_bytes=ingest.read_memory_bytes, alone_s=ingest.read_seconds)
    return replace(limits, together_s=min(limits.together_s, limits.alone_s))


def make_read_limits(formats: FormatSettings) -> ReadLimits:
    """Return the limits of a reading begun now."""
    return ReadLimits(
        datetime.now(UTC),
        ZoneInfo(formats.timezone),
        formats.max_file_bytes,
        formats.max_records,
        formats.max_unpacked_bytes,
        formats.max_unpack_ratio,
        formats.max_members,
        formats.keys,
    )
