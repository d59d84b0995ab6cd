"""The way of a batch through the rooms: few moves, always downwards."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from functools import partial

from ingestd.matching.matcher import Matcher
from ingestd.pipeline.committer import make_window, record_batch
from ingestd.workers.row_readers import read_rows_in_turn
from tests.conftest import ROOT, Corpus
from tests.integration.test_matching import make_batches
from tests.support.room_walk import RoomWalk, watch_rooms

MOST_MOVES = 8


def read_layers() -> list[frozenset[str]]:
    """The layers of the import contract, highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (
        contract["layers"] for contract in contracts if contract["type"] == "layers" and contract.get("exhaustive")
    )
    return [frozenset(name.strip() for name in layer.split("|")) for layer in layers]


def watch_batch(corpus: Corpus) -> RoomWalk:
    """Decide and store a batch that finds copies and coverage of earlier batches."""
    matcher, next_cluster = Matcher(partial(make_window, corpus.settings)), 1
    *earlier, last = make_batches([*range(60), *range(5)], 16)

    def record(batch: list) -> int:  # type: ignore[type-arg]
        with corpus.database.begin_write() as connection:
            decision = record_batch(
                connection, batch, matcher, next_cluster=next_cluster, now=datetime(2025, 6, 1, tzinfo=UTC),
                quiet_days=7, read_rows=read_rows_in_turn,
            )  # fmt: skip
        return len(decision.changes.opened)

    corpus.take_in(first={"id": "first", "text": "The row of the ledger that all articles name as their file."})
    next_cluster = corpus.rows("select max(id) + 1 from clusters")[0]
    earlier = [[new for new in batch if new.article_id != 1] for batch in earlier]
    for batch in earlier:
        next_cluster += record(batch)
    return watch_rooms(
        lambda: record([new for new in last if new.article_id != 1]), read_layers(), frozenset({"record_batch"})
    )


def test_deciding_and_storing_a_batch_moves_between_few_rooms_and_never_calls_back_up(corpus: Corpus) -> None:
    walk = watch_batch(corpus)
    print(walk.phases, walk.calls)
    assert walk.calls > 100  # it was watched
    assert walk.climbs == []
    assert len(walk.phases) <= MOST_MOVES
