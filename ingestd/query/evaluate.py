"""How well the clusters that are stored agree with a sample that people have labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

from ingestd.core.events.cluster_metrics import compare_clusterings
from ingestd.errors import CannotStartError
from ingestd.query import queries


def evaluate(connection: Connection, gold: Path) -> dict[str, Any]:
    """
    Return B-cubed, pairwise F1 and the adjusted Rand index of the clusters against a labelled sample.

    An article that is not stored counts as a cluster of its own.

    Args:
        connection: to the database.
        gold: JSON, a record a line, with `id` (external id, URL or number of an article) and `event`; records whose
            event is null are left out.

    Raises:
        CannotStartError: the file cannot be read, or holds no labels.
    """
    labels = _labels(gold)
    clusters = queries.clusters_of(connection, list(labels))
    missing = labels.keys() - clusters.keys()
    found: Mapping[str, Any] = clusters | {article: f"missing {article}" for article in missing}
    return {
        "articles": len(labels),
        "missing": len(missing),
        "events": len(set(labels.values())),
        "clusters": len({found[article] for article in labels}),
        **{name: round(value, 4) for name, value in asdict(compare_clusterings(labels, found)).items()},
    }


def _labels(gold: Path) -> dict[str, str]:
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
            labels[str(article)] = str(event)
    if not labels:
        raise CannotStartError(f"{gold}: no record has an event")
    return labels
