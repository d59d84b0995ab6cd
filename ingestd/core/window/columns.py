"""Articles on their way into the window: a row each as they arrive, columns of many as the window is filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.features import FEATURES, FeatureColumns, FeatureValue

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """One article as the window holds it."""

    article_id: int
    published_at: datetime | None
    day: date  # of publication, or of first sight where the date of publication is unknown
    n_words: int
    outlet: str | None
    features: Mapping[str, FeatureValue]  # by name
    canonical_id: int  # the article's own id: the article is no copy
    cluster_id: int | None  # None: not decided yet


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowColumns:
    """Many articles, a column for each property; shapes: n articles."""

    ids: NDArray[np.int64]
    published: NDArray[np.float64]  # days since 1970, NaN: unknown
    days: NDArray[np.int32]  # ordinals
    n_words: NDArray[np.int32]
    outlets: NDArray[np.uint32]  # a hash of the name, 0: unknown
    features: Mapping[str, Any]  # `FeatureColumns` by name of the feature
    canonical: NDArray[np.int64]
    clusters: NDArray[np.int64]  # 0: not decided yet

    @classmethod
    def from_rows(cls, rows: Sequence[WindowRow]) -> WindowColumns:
        """Put some articles, one at least, into columns."""
        return cls(
            ids=np.array([row.article_id for row in rows], dtype=np.int64),
            published=convert_to_days([row.published_at for row in rows]),
            days=np.array([row.day.toordinal() for row in rows], dtype=np.int32),
            n_words=np.array([row.n_words for row in rows], dtype=np.int32),
            outlets=hash_outlets([row.outlet for row in rows]),
            features={f.name: f.gather([row.features[f.name] for row in rows]) for f in FEATURES},
            canonical=np.array([row.canonical_id for row in rows], dtype=np.int64),
            clusters=np.array([row.cluster_id or 0 for row in rows], dtype=np.int64),
        )

    def select(self, mask: NDArray[np.bool_]) -> WindowColumns:
        """Return the articles for which the mask is true."""
        if mask.all():
            return self
        features: dict[str, FeatureColumns] = {name: part.select(mask) for name, part in self.features.items()}
        return WindowColumns(
            ids=self.ids[mask],
            published=self.published[mask],
            days=self.days[mask],
            n_words=self.n_words[mask],
            outlets=self.outlets[mask],
            features=features,
            canonical=self.canonical[mask],
            clusters=self.clusters[mask],
        )


def convert_to_days(moments: Sequence[datetime | None]) -> NDArray[np.float64]:
    """Return moments as days since 1970; NaN for an unknown moment."""
    return np.array([np.nan if moment is None else moment.timestamp() / DAY_S for moment in moments])


def hash_outlets(outlets: Sequence[str | None]) -> NDArray[np.uint32]:
    """Return a number for the name of each outlet, 0 for an unknown outlet."""
    return np.array([crc32(outlet.encode()) if outlet else 0 for outlet in outlets], dtype=np.uint32)
