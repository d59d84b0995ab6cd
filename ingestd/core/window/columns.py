"""Articles as the window takes them in: one by one as they arrive, or thousands in columns as it is filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.fingerprint import COPY_BANDS, COPY_ROWS, EVENT_BANDS, EVENT_ROWS
from ingestd.core.lsh.inverted_index import hash_bands
from ingestd.core.text.term_weights import TermVector

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """One article as the window holds it."""

    article_id: int
    published_at: datetime | None
    day: date  # of publication, or of first sight where that is unknown
    n_words: int
    outlet: str | None
    copy_signature: NDArray[np.uint32]
    sample: NDArray[np.uint32]  # of the shingles
    event_sketch: NDArray[np.uint32]
    terms: TermVector
    canonical_id: int  # its own id: nobody's copy
    cluster_id: int | None  # None: not decided yet


@dataclass(frozen=True, slots=True)
class RaggedArray:
    """Numbers of many articles in a row, and how many each has: rows of different lengths."""

    numbers: NDArray[np.uint32]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[NDArray[np.uint32]]) -> RaggedArray:
        """Put rows one after the other."""
        counts = np.array([row.size for row in rows], dtype=np.int64)
        return cls(np.concatenate(rows) if rows else np.zeros(0, dtype=np.uint32), counts)

    def where(self, rows: NDArray[np.bool_]) -> RaggedArray:
        """Return some of the rows."""
        return RaggedArray(self.numbers[np.repeat(rows, self.counts)], self.counts[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowColumns:
    """Many articles, a column for everything that is held of them; shapes: n articles."""

    ids: NDArray[np.int64]
    published: NDArray[np.float64]  # days since 1970, NaN: unknown
    days: NDArray[np.int32]  # ordinals
    n_words: NDArray[np.int32]
    outlets: NDArray[np.uint32]  # a hash of the name, 0: unknown
    copy_keys: NDArray[np.uint32]  # (n, bands), of the signatures
    samples: RaggedArray
    event_keys: NDArray[np.uint32]  # (n, bands), of the sketches; mean nothing without a term
    terms: RaggedArray  # hashes, ascending for each
    weights: NDArray[np.float32]  # of the terms, in the same order
    canonical: NDArray[np.int64]
    clusters: NDArray[np.int64]  # 0: not decided yet

    @classmethod
    def of(cls, entries: Sequence[WindowRow]) -> WindowColumns:
        """Put some articles, one at least, into columns."""
        return cls(
            ids=np.array([e.article_id for e in entries], dtype=np.int64),
            published=days_since_1970([e.published_at for e in entries]),
            days=np.array([e.day.toordinal() for e in entries], dtype=np.int32),
            n_words=np.array([e.n_words for e in entries], dtype=np.int32),
            outlets=outlet_hashes([e.outlet for e in entries]),
            copy_keys=copy_keys(np.stack([e.copy_signature for e in entries])),
            samples=RaggedArray.of([e.sample for e in entries]),
            event_keys=event_keys(np.stack([e.event_sketch for e in entries])),
            terms=RaggedArray.of([e.terms.hashes for e in entries]),
            weights=np.concatenate([e.terms.weights for e in entries]),
            canonical=np.array([e.canonical_id for e in entries], dtype=np.int64),
            clusters=np.array([e.cluster_id or 0 for e in entries], dtype=np.int64),
        )

    def where(self, these: NDArray[np.bool_]) -> WindowColumns:
        """Return some of the articles."""
        if these.all():
            return self
        return WindowColumns(
            ids=self.ids[these],
            published=self.published[these],
            days=self.days[these],
            n_words=self.n_words[these],
            outlets=self.outlets[these],
            copy_keys=self.copy_keys[these],
            samples=self.samples.where(these),
            event_keys=self.event_keys[these],
            terms=self.terms.where(these),
            weights=self.weights[np.repeat(these, self.terms.counts)],
            canonical=self.canonical[these],
            clusters=self.clusters[these],
        )


def copy_keys(signatures: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the keys by which copies are found, a row for each signature."""
    return hash_bands(signatures, COPY_BANDS, COPY_ROWS)


def event_keys(sketches: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the keys by which coverage of one event is found, a row for each sketch."""
    return hash_bands(sketches, EVENT_BANDS, EVENT_ROWS)


def days_since_1970(moments: Sequence[datetime | None]) -> NDArray[np.float64]:
    """Return moments as numbers; NaN where one is unknown."""
    return np.array([np.nan if moment is None else moment.timestamp() / DAY_S for moment in moments])


def outlet_hashes(outlets: Sequence[str | None]) -> NDArray[np.uint32]:
    """Return a number for each name of an outlet, 0 where it is unknown."""
    return np.array([crc32(outlet.encode()) if outlet else 0 for outlet in outlets], dtype=np.uint32)
