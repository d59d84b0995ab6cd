"""A corpus that moves to another database is the same corpus there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from ingestd.admin.copy_database import compare_rows, copy_database
from ingestd.core.progress import Advance
from ingestd.errors import CannotStartError, IngestdError
from ingestd.store.database import Database
from ingestd.store.tables import Base
from tests.conftest import ROOT, Corpus, Run, new_database

Empty = Callable[[str], Database]


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Empty:
    def make(kind: str) -> Database:
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path / os.urandom(4).hex()}.db"
        else:
            url = new_database(request.getfixturevalue("postgres"))
        made = Database(url)
        made.prepare()
        return made

    return make


def everything(database: Database) -> dict[str, list[Any]]:
    with database.begin_read() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            ]
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def seeded(corpus_on_each: Corpus) -> Corpus:
    """The seeds, a file that cannot be used, and a cluster that went into one with a higher id."""
    shutil.copytree(
        ROOT / "seeds", corpus_on_each.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "*.csv")
    )
    corpus_on_each.write({"broken.json": "{", "some.jsonl": '{"title": "One", "text": "Text of one."}\n{"title": \n'})
    corpus_on_each.ingest()
    with corpus_on_each.database.begin_write() as connection:
        connection.execute(
            text(
                "insert into clusters (id, status, merged_into, keywords, n_articles, n_originals, n_outlets, "
                "created_at, updated_at) select 1000, 'open', null, keywords, 0, 0, 0, created_at, updated_at from clusters where id = 1"
            )
        )
        connection.execute(
            text(
                "insert into clusters (id, status, merged_into, keywords, n_articles, n_originals, n_outlets, "
                "created_at, updated_at) select 999, 'merged', 1000, keywords, 0, 0, 0, created_at, updated_at from clusters where id = 1"
            )
        )
    return corpus_on_each


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_row_of_every_table_is_there_and_work_goes_on(
    seeded: Corpus, empty: Empty, kind: str, tmp_path: Path
) -> None:
    target = empty(kind)
    copied = copy_database(seeded.database, target)
    assert everything(target) == everything(seeded.database)
    assert copied["articles"] > 20
    there = Corpus(target.url.render_as_string(hide_password=False), tmp_path / "more")
    before = there.rows("select count(*) from articles")[0]
    there.take_in(new={"id": "new", "title": "A lamp for the reading room", "text": "The reading room has a new lamp."})
    assert there.rows("select count(*) from articles") == [before + 1]
    there.database.close()
    target.close()


def test_only_an_empty_database_is_copied_into(seeded: Corpus, empty: Empty) -> None:
    target = empty("sqlite")
    copy_database(seeded.database, target)
    with pytest.raises(CannotStartError, match="not empty"):
        copy_database(seeded.database, target)
    target.close()


def test_a_row_that_arrives_changed_is_noticed_and_nothing_is_kept(seeded: Corpus, empty: Empty) -> None:
    target = empty("sqlite")

    def damage(reading: Connection, writing: Connection, advance: Advance) -> None:
        writing.execute(text("update articles set title = 'changed' where id = 3"))
        compare_rows(reading, writing, advance)

    with pytest.raises(IngestdError, match="articles: a row is not what was read"):
        copy_database(seeded.database, target, compare=damage)
    assert everything(target)["articles"] == []
    target.close()


def test_the_command_says_how_much_it_copied(ingestd: Run, tmp_path: Path) -> None:
    assert ingestd("ingest", str(ROOT / "seeds" / "harbour-post"), "--db", "sqlite:///one.db").returncode == 0
    done = ingestd("db", "copy", "sqlite:///one.db", "sqlite:///two/two.db", "--json")
    assert done.returncode == 0, done.stderr
    assert '"articles":4' in done.stdout.replace(" ", "")
    again = ingestd("db", "copy", "sqlite:///one.db", "sqlite:///two/two.db")
    assert again.returncode == 2
    assert "not empty" in again.stderr
