"""
Counters and gauges of a running pipeline.

The pipeline counts here; the command line, the daemon's log and the service manager read frozen snapshots. Time comes
from the clock of the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSnapshot:
    """Counters since the start, and gauges at the moment of the snapshot."""

    files: Mapping[str, int]  # finished files by state, deferred and unchanged ones too
    articles: int  # new articles
    repeats: int  # records with the text of a known article
    revisions: int  # records with a new text of a known article
    rejected: int  # records that could not be used
    quarantined: tuple[tuple[str, str], ...]  # path and reason of each file; empty unless asked for
    seconds: Mapping[str, float]  # by stage
    queue_depth: int  # batches and large files in hand
    window_articles: int
    window_bytes: int  # of the arrays
    index_truncated: int  # queries of the index that met a bucket too full to be read to the end
    lag_s: float  # from claim to commit, of the file finished last


@dataclass(slots=True)
class IngestStats:
    """Counters and gauges, written by the pipeline alone."""

    clock: Callable[[], float]  # seconds of any origin, for the time by stage
    files: Counter[str] = field(default_factory=Counter)  # by state
    articles: int = 0
    repeats: int = 0
    revisions: int = 0
    rejected: int = 0
    quarantined: list[tuple[str, str]] | None = None  # path and reason; None: no list is wanted
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    queue_depth: int = 0
    window_articles: int = 0
    window_bytes: int = 0
    index_truncated: int = 0
    lag_s: float = 0.0

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add time to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        start = self.clock()
        try:
            yield
        finally:
            self.add_seconds(stage, self.clock() - start)

    def snapshot(self) -> StatsSnapshot:
        """Return a frozen copy."""
        return StatsSnapshot(
            files={str(state): n for state, n in self.files.items() if n},
            articles=self.articles,
            repeats=self.repeats,
            revisions=self.revisions,
            rejected=self.rejected,
            quarantined=tuple(self.quarantined or ()),
            seconds=dict(self.seconds),
            queue_depth=self.queue_depth,
            window_articles=self.window_articles,
            window_bytes=self.window_bytes,
            index_truncated=self.index_truncated,
            lag_s=self.lag_s,
        )
