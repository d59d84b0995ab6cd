from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import bindparam, insert, inspect, select, text, update

from ingestd.errors import CannotStartError, SettingsError
from ingestd.store.bulk_insert import BulkStatement
from ingestd.store.database import Database
from ingestd.store.migrations import NEWEST
from ingestd.store.tables import Base, ClusterRow
from tests.conftest import Corpus

TABLES = {
    "source_files": "id root path path_bytes size_bytes mtime_ns ctime_ns inode sha256 state reason detail attempts "
    "retry_at lease_owner lease_until fence n_articles article_id archived_as first_seen_at finished_at",
    "articles": "id external_id url url_canonical outlet title text authors lang lang_confidence published_at "
    "published_source published_precision first_seen_at n_words text_sha256 revision source_file_id record_no",
    "article_revisions": "article_id revision title text text_sha256 observed_at source_file_id",
    "copies": "article_id canonical_article_id matched_article_id relation jaccard containment evidence",
    "clusters": "id status merged_into canonical_article_id title lang keywords n_articles n_originals n_outlets "
    "first_published_at last_published_at created_at updated_at",
    "cluster_members": "article_id cluster_id relation score matched_article_id evidence joined_at",
    "cluster_log": "id happened_at kind cluster_id other_cluster_id article_id reason",
    "signatures": "article_id kind scheme payload",
}
VIEWS = {
    "canonical_articles": "id title text",
    "stories": "id title n_articles",
    "coverage": "cluster_id article_id outlet title url published_at relation score is_canonical nth_to_publish",
    "cluster_resolve": "id live_id",
}


@pytest.fixture
def database(database_url: str) -> Database:
    made = Database(database_url)
    made.prepare()
    return made


def test_tables_and_views_have_the_columns_that_users_rely_on(database: Database) -> None:
    found = inspect(database.engine)
    for name, columns in (TABLES | VIEWS).items():
        missing = set(columns.split()) - {column["name"] for column in found.get_columns(name)}
        assert not missing, (name, missing)


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_models_and_migrations_agree(database: Database) -> None:
    views = set(VIEWS)

    def ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and name in views)

    with database.begin_read() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        # What the models cannot say of both databases alike.
        only_in_migrations = ("uq_articles_external_id", "ix_clusters_stories")
        differences = [
            d
            for d in compare_metadata(context, Base.metadata)
            if not any(name in str(d) for name in only_in_migrations)
        ]
    assert differences == []


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    with database.begin_write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CannotStartError, match="newer ingestd"):
        database.prepare()


def test_an_error_rolls_everything_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.begin_write() as connection:
        connection.execute(text("INSERT INTO clusters (id, status, keywords, n_articles, n_originals, n_outlets, "
                                "created_at, updated_at) VALUES (1, 'open', '[]', 0, 0, 0, '2025-01-01', '2025-01-01')"))  # fmt: skip
        raise ZeroDivisionError
    with database.begin_read() as connection:
        assert connection.execute(text("SELECT count(*) FROM clusters")).scalar_one() == 0


def test_rows_written_in_bulk_are_those_that_sqlalchemy_writes(database: Database) -> None:
    when = datetime(2025, 3, 4, 12, 30, 15, 250, tzinfo=timezone(timedelta(hours=5)))
    given = [
        {"id": number, "status": "open", "title": title, "keywords": words, "n_articles": 1, "n_originals": 1, "n_outlets": 0,
         "first_published_at": published, "created_at": when, "updated_at": when}
        for number, (title, words, published) in enumerate(
            [(None, [], None), ("50 % of “Štúr's” café\\", ["a%sb", ":x", "?"], when), ("\n", ["Ω"], when.astimezone(UTC))], 1
        )
    ]  # fmt: skip
    by_id = BulkStatement(update(ClusterRow).where(ClusterRow.__table__.c.id == bindparam("of")))
    with database.begin_write() as connection:
        BulkStatement(insert(ClusterRow)).execute(connection, given)
        connection.execute(insert(ClusterRow), [row | {"id": number + 3} for number, row in enumerate(given, 1)])
        by_id.execute(connection, [{"of": number, "lang": "en"} for number in (2, 5)])
        by_id.execute(connection, [{"lang": "de", "of": 3, "n_outlets": 2}, {"lang": "de", "of": 6, "n_outlets": 2}])
        by_id.execute(connection, [])
    with database.begin_read() as connection:
        found = connection.execute(select(ClusterRow.__table__).order_by(ClusterRow.id)).mappings()
        rows = [{name: value for name, value in row.items() if name != "id"} for row in found]
    assert rows[:3] == rows[3:]
    assert [row["keywords"] for row in rows[:3]] == [row["keywords"] for row in given]
    assert [(row["title"], row["lang"], row["n_outlets"]) for row in rows[:3]] == [
        (given[0]["title"], None, 0), (given[1]["title"], "en", 0), (given[2]["title"], "de", 2)
    ]  # fmt: skip


def test_an_id_that_was_merged_away_resolves_for_ever(database: Database) -> None:
    rows = [(1, "open", None), (2, "merged", 1), (3, "merged", 1)]
    with database.begin_write() as connection:
        for id_, status, into in rows:
            connection.execute(
                text("INSERT INTO clusters (id, status, merged_into, keywords, n_articles, n_originals, n_outlets, created_at, "
                     "updated_at) VALUES (:id, :status, :into, '[]', 0, 0, 0, '2025-01-01', '2025-01-01')"),
                {"id": id_, "status": status, "into": into},
            )  # fmt: skip
    with database.begin_read() as connection:
        assert dict(connection.execute(text("SELECT id, live_id FROM cluster_resolve")).all()) == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "oracle://x"])
def test_a_url_that_cannot_work_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(SettingsError, match="allowed: sqlite"):
        Database(url)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(CannotStartError, match=r"127\.0\.0\.1"):
        database.prepare()


def test_the_version_that_is_needed_is_the_last_migration(corpus: Corpus) -> None:
    assert corpus.database.read_revisions() == (NEWEST, NEWEST)


def test_what_is_committed_goes_from_the_log_of_sqlite_into_the_file_while_the_database_is_open(
    tmp_path: Path,
) -> None:
    def cluster(id_: int) -> None:
        with database.begin_write() as connection:
            connection.execute(
                text(
                    "INSERT INTO clusters (id, status, keywords, n_articles, n_originals, n_outlets, created_at, updated_at) "
                    "VALUES (:id, 'open', '[]', 0, 0, 0, '2025-01-01', '2025-01-01')"
                ),
                {"id": id_},
            )

    def in_the_file_alone() -> int:
        (tmp_path / "alone.db").write_bytes((tmp_path / "c.db").read_bytes())  # without its log
        with closing(sqlite3.connect(tmp_path / "alone.db")) as alone:
            return int(alone.execute("SELECT count(*) FROM clusters").fetchone()[0])

    database = Database(f"sqlite:///{tmp_path / 'c.db'}")
    database.prepare()
    with database.begin_read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        cluster(1)
        assert in_the_file_alone() == 0  # it is little
    database.close()
    database = Database(f"sqlite:///{tmp_path / 'c.db'}", min_checkpoint_bytes=1)
    with database.begin_read():
        cluster(2)
        end = time.monotonic() + 10
        while in_the_file_alone() < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert in_the_file_alone() == 2
    database.close()
