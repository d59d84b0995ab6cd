"""
Databases of earlier versions, with data in them, brought up to this one.

    python -m tests.integration.test_migrations     keeps a small corpus as the present version stores it, before a new migration
"""

from __future__ import annotations

import base64
import json
import tempfile
import warnings
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Date, DateTime, LargeBinary, MetaData, Table, inspect, select

from ingestd.admin.copy_database import set_sequences
from ingestd.errors import CannotStartError
from ingestd.store.database import Database
from ingestd.store.migrations import NEWEST
from tests.conftest import Corpus

KEPT = Path(__file__).parent / "earlier"
# In an order in which every row finds what it refers to.
TABLES = (
    "source_files", "articles", "article_revisions", "rejected_records", "copies", "clusters", "signatures", "cluster_log",
    "cluster_members", "corpus_state",
)  # fmt: skip


def revisions(database: Database) -> list[str]:
    scripts = ScriptDirectory.from_config(database._configure_alembic())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def tables(database: Database) -> Iterator[Table]:
    found = MetaData()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an index over an expression is not looked at
        found.reflect(database.engine)
    yield from (found.tables[name] for name in TABLES if name in found.tables)


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def restored(row: dict[str, Any], table: Table) -> dict[str, Any]:
    """Return a row as its columns take it."""
    made = dict(row)
    for name, value in row.items():
        kind = table.columns[name].type
        if value is None:
            continue
        if isinstance(kind, DateTime):
            made[name] = datetime.fromisoformat(value)
        elif isinstance(kind, Date):
            made[name] = date.fromisoformat(value)
        elif isinstance(kind, LargeBinary):
            made[name] = base64.b64decode(value)
        elif isinstance(kind, JSON):
            made[name] = value
    return made


def keep() -> None:
    """Store a few of the seeds and write down what is in the tables."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(f"sqlite:///{folder}/kept.db", Path(folder) / "files")
        feed(corpus)
        rows = {}
        with corpus.database.begin_read() as connection:
            for table in tables(corpus.database):
                rows[table.name] = [
                    {name: plain(value) for name, value in row._mapping.items()}
                    for row in connection.execute(select(table))
                ]
        KEPT.mkdir(exist_ok=True)
        (KEPT / f"{NEWEST}.json").write_text(json.dumps(rows, indent=1) + "\n")
        corpus.database.close()


def feed(corpus: Corpus) -> None:
    """An event, a copy, a revision, a file that cannot be used."""
    text = "A passenger ferry hit the pier of Port Ellory in thick fog on Wednesday and forty people were hurt, two of them badly. "
    other = "Forty passengers of a ferry were injured when it struck a pier at Port Ellory in dense fog, the port authority said."
    corpus.take_in(
        a={"id": "a", "outlet": "Post", "title": "Ferry hits pier at Port Ellory", "text": text * 2, "published": "2025-03-12"},
        b={"id": "b", "outlet": "Wire", "title": "Ferry hits pier", "text": text * 2, "published": "2025-03-12"},
        c={"id": "c", "outlet": "Echo", "title": "Port Ellory ferry strikes pier", "text": other, "published": "2025-03-13"},
    )  # fmt: skip
    corpus.take_in(
        a={
            "id": "a",
            "outlet": "Post",
            "title": "Ferry hits pier, three badly hurt",
            "text": text * 3,
            "published": "2025-03-12",
        }
    )
    corpus.write({"broken.json": "{"})
    corpus.ingest()


@pytest.fixture(params=sorted(path.stem for path in KEPT.glob("*.json")))
def earlier(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    """A database as an earlier version left it."""
    database = Database(database_url)
    command.upgrade(database._configure_alembic(), request.param)
    kept = json.loads((KEPT / f"{request.param}.json").read_text())
    with database.begin_write() as connection:
        for table in tables(database):
            if table.name == "corpus_state":
                connection.execute(table.delete())
            if kept.get(table.name):
                connection.execute(table.insert(), [restored(row, table) for row in kept[table.name]])
        set_sequences(connection)
    yield database
    database.close()


def counts(database: Database) -> dict[str, int]:
    with database.begin_read() as connection:
        return {table.name: len(connection.execute(select(table)).all()) for table in tables(database)}


def test_there_is_a_corpus_of_every_version_before_this_one(corpus: Corpus) -> None:
    assert {path.stem for path in KEPT.glob("*.json")} >= set(revisions(corpus.database)) - {NEWEST}


def test_an_earlier_version_is_named_and_nothing_is_changed(earlier: Database) -> None:
    before = inspect(earlier.engine).get_table_names()
    with pytest.raises(CannotStartError, match="db upgrade"):
        earlier.prepare()
    assert inspect(earlier.engine).get_table_names() == before


def test_an_upgrade_keeps_every_row_and_the_work_goes_on(earlier: Database, tmp_path: Path) -> None:
    before = counts(earlier)
    assert before["articles"] >= 3
    earlier.upgrade()
    assert earlier.read_revisions() == (NEWEST, NEWEST)
    after = counts(earlier)
    assert {name: after[name] for name in before if name != "corpus_state"} == before
    corpus = Corpus(earlier.url.render_as_string(hide_password=False), tmp_path / "files")
    feed(corpus)  # the same articles again
    assert corpus.rows("select count(*) from articles") == [3]
    reprint = corpus.rows("select title, text from articles where external_id = 'c'")[0]
    corpus.take_in(d={"id": "d", "outlet": "Star", "title": reprint[0], "text": reprint[1], "published": "2025-03-13"})
    assert corpus.rows(
        "select relation from copies c join articles a on a.id = c.article_id where a.external_id = 'd'"
    ) == ["exact"]
    corpus.database.close()


if __name__ == "__main__":
    keep()
