"""The state of the corpus as a whole: the number of the last batch, rebuilds, pruning, and the next free ids."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select, update

from ingestd.core.stored import CorpusVersion
from ingestd.store.tables import ArticleRow, ClusterRow, CorpusState

_state = CorpusState.__table__
_COLUMNS = (_state.c.batch, _state.c.generation, _state.c.pruned_before, _state.c.pruned_batch)


def begin_batch(connection: Connection, **values: Any) -> CorpusVersion:
    """Number a batch, set further columns of corpus_state to `values`, and return the state."""
    raised = {"batch": _state.c.batch + 1, **values}
    return CorpusVersion(*connection.execute(update(CorpusState).values(raised).returning(*_COLUMNS)).one())


def read_version(connection: Connection) -> CorpusVersion:
    """Return the state of the corpus as the last batch left it."""
    return CorpusVersion(*connection.execute(select(*_COLUMNS)).one())


def find_next_ids(connection: Connection) -> tuple[int, int]:
    """Return the next free ids of an article and of a cluster. One writer at a time makes this safe."""
    row = connection.execute(
        select(
            select(func.coalesce(func.max(ArticleRow.__table__.c.id), 0)).scalar_subquery(),
            select(func.coalesce(func.max(ClusterRow.__table__.c.id), 0)).scalar_subquery(),
        )
    ).one()
    return row[0] + 1, row[1] + 1
