"""Planted damage is found, each kind by its name, and nothing is found where there is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestd.admin.fsck import find_problems
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus

BODY = "The council voted on Monday to close the old fish market and to build a concert hall in its place by the water."


@pytest.fixture
def archived(corpus_on_each: Corpus) -> Corpus:
    """Files that were stored and archived, one that was revised, one in quarantine, two copies."""
    corpus = corpus_on_each
    line = IngestPipeline(corpus.settings, corpus.database, after="archive")
    for batch in (
        {"a.json": {"title": "Council", "text": BODY, "url": "https://a.example/1"}, "bad.json": "{"},
        {"b.json": {"title": "Council again", "text": BODY, "url": "https://b.example/1"},
         "c.json": {"title": "Council", "text": f"{BODY} It was close.", "url": "https://a.example/1"}},
    ):  # fmt: skip
        corpus.write(batch)
        line.submit(list(find_files(corpus.folder)))
        while line.depth:
            line.step(10)
    line.close()
    return corpus


def found(corpus: Corpus, *, hashes: bool = True) -> set[str]:
    with corpus.database.begin_read() as connection:
        return {problem.kind for problem in find_problems(connection, hashes=hashes)}


def sql(statement: str) -> Callable[[Corpus], None]:
    """What somebody does by hand, foreign keys aside."""

    def damage(corpus: Corpus) -> None:
        if corpus.database.is_sqlite:
            with sqlite3.connect(corpus.url.removeprefix("sqlite:///")) as database:
                database.execute(statement)
            return
        with corpus.database.begin_write() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql(statement)

    return damage


def on_disk(change: Callable[[Path], Any], kind: str = "archive") -> Callable[[Corpus], None]:
    def damage(corpus: Corpus) -> None:
        change(
            min(p for p in (corpus.folder / ".ingestd" / kind).rglob("*.json") if not p.name.endswith(".reason.json"))
        )

    return damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Corpus], None]] = {
    "file_missing": on_disk(Path.unlink),
    "file_changed": on_disk(flip),
    "file_unknown": on_disk(lambda path: (path.parent / "stray.txt").write_text("x")),
    "reason_missing": on_disk(lambda path: Path(f"{path}.reason.json").unlink(), "quarantine"),
    "text_changed": sql("UPDATE articles SET text = 'other' WHERE id = 1"),
    "article_without_file": sql("UPDATE articles SET source_file_id = 999 WHERE id = 1"),
    "article_without_cluster": sql("DELETE FROM cluster_members WHERE article_id = 1"),
    "article_without_signature": sql("DELETE FROM signatures WHERE article_id = 1 AND kind = 'copy'"),
    "file_without_article": sql("UPDATE source_files SET article_id = 999 WHERE state = 'stored'"),
    "member_of_no_live_cluster": sql("UPDATE clusters SET status = 'merged', merged_into = id WHERE status <> 'merged'"),
    "cluster_miscounted": sql("UPDATE clusters SET n_articles = 7 WHERE status <> 'merged'"),
    "copy_of_a_copy": sql(
        "INSERT INTO copies SELECT canonical_article_id, article_id, article_id, relation, jaccard, containment, evidence FROM copies"
    ),
    "copy_in_another_cluster": sql("UPDATE cluster_members SET cluster_id = 99 WHERE article_id = 2"),
    "revision_missing": sql("DELETE FROM article_revisions"),
    "folder_missing": sql("UPDATE source_files SET root = '/nowhere/at/all' WHERE id = 1"),
}  # fmt: skip


def test_where_nothing_is_wrong_nothing_is_found(archived: Corpus) -> None:
    assert archived.rows("select count(*) from article_revisions") == [1]
    assert archived.rows("select count(*) from copies") == [1]
    assert found(archived) == set()


@pytest.mark.parametrize("kind", DAMAGE)
def test_planted_damage_is_found(kind: str, archived: Corpus) -> None:
    DAMAGE[kind](archived)
    assert kind in found(archived)


def test_a_changed_byte_is_found_only_when_files_are_read(archived: Corpus) -> None:
    DAMAGE["file_changed"](archived)
    assert found(archived, hashes=False) == set()


def test_files_to_be_read_again_are_fetched_a_part_at_a_time(archived: Corpus) -> None:
    if archived.database.is_sqlite:
        pytest.skip("SQLite hands out rows one by one in any case")
    sql("UPDATE source_files SET state = 'deferred' WHERE state = 'quarantined'")(archived)
    with archived.database.begin_read() as connection:
        problem = next(found for found in find_problems(connection, hashes=False) if found.kind == "file_stranded")
        assert problem.what == "bad.json"
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_cursors").scalar_one() == 1
