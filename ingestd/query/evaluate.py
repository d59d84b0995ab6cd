"""Agreement of the stored clusters with a labelled sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

from ingestd.core.events.cluster_metrics import compare_clusterings
from ingestd.errors import CannotStartError
from ingestd.query.clusters import map_articles_to_clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Size of the sample, and agreement of 0 to 1, rounded."""

    articles: int
    missing: int  # labelled, but not stored
    events: int
    clusters: int
    b3_precision: float
    b3_recall: float
    b3_f1: float
    pair_precision: float
    pair_recall: float
    pair_f1: float
    adjusted_rand: float


def evaluate_clusters(connection: Connection, gold: Path) -> Evaluation:
    """
    Return B-cubed, pairwise F1 and the adjusted Rand index of the clusters against a labelled sample.

    An article that is not stored counts as a cluster with one member.

    Args:
        connection: to the database.
        gold: JSON, a record a line, with `id` (external id, URL or number of an article) and `event`; records whose
            event is null are left out.

    Raises:
        CannotStartError: the file cannot be read, or holds no labels.
    """
    labels = _read_labels(gold)
    stored = map_articles_to_clusters(connection, list(labels))
    missing = labels.keys() - stored.keys()
    clusters: Mapping[str, Any] = stored | {article: f"missing {article}" for article in missing}
    metrics = asdict(compare_clusterings(labels, clusters))
    return Evaluation(
        articles=len(labels),
        missing=len(missing),
        events=len(set(labels.values())),
        clusters=len({clusters[article] for article in labels}),
        **{name: round(value, 4) for name, value in metrics.items()},
    )


def _read_labels(gold: Path) -> dict[str, str]:
    labels: dict[str, str] = {}
    try:
        lines = gold.read_bytes().splitlines()
    except OSError as error:
        raise CannotStartError(f"{gold}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
            article, event = record["id"], record["event"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise CannotStartError(f"{gold}, line {number}: needs a JSON object with `id` and `event`") from error
        if event is not None:
            labels[str(article).replace("\0", "")] = str(event)  # PostgreSQL refuses NUL; no stored id has one
    if not labels:
        raise CannotStartError(f"{gold}: no record has an event")
    return labels
