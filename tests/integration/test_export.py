"""What is exported: complete, and read back as the same articles."""

from __future__ import annotations

import csv
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from ingestd.core.progress import Advance
from ingestd.errors import CannotStartError
from ingestd.query.export import ExportedRows, ExportFormat, export_rows
from tests.conftest import Corpus
from tests.formats.documents import DOCUMENTS

SAME = """select external_id, url, url_canonical, outlet, title, text, authors, lang, published_at, published_precision
          from articles order by text_sha256, coalesce(url, ''), coalesce(external_id, ''), coalesce(outlet, '')"""


@pytest.fixture
def filled(corpus_on_each: Corpus) -> Corpus:
    """A corpus of every shape that is read, with copies, revisions and clusters."""
    corpus_on_each.write({f"{n}/{d.name}": d.content for n, d in enumerate(DOCUMENTS)})
    corpus_on_each.ingest()
    return corpus_on_each


def out(corpus: Corpus, what: ExportedRows, form: ExportFormat, path: Path) -> int:
    with corpus.database.begin_read() as connection:
        return export_rows(connection, what, form, path)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_articles_exported_as_json_lines_are_read_back_as_the_same(filled: Corpus, tmp_path: Path) -> None:
    inbox = tmp_path / "again"
    inbox.mkdir()
    written = out(filled, ExportedRows.ARTICLES, ExportFormat.JSONL, inbox / "all.jsonl")
    assert written > 30
    again = Corpus(f"sqlite:///{tmp_path / 'again.db'}", inbox)
    assert again.ingest().articles == written
    assert [list(map(str, row)) for row in again.rows(SAME)] == sorted_as_sqlite(filled, again)
    assert again.ingest().articles == 0
    again.database.close()


def sorted_as_sqlite(filled: Corpus, again: Corpus) -> list[list[str]]:
    """The articles in the order of the other database: collations differ."""
    order = {tuple(row): n for n, row in enumerate([list(map(str, r)) for r in again.rows(SAME)])}
    return sorted(
        ([normal(v) for v in row] for row in filled.rows(SAME)), key=lambda row: order.get(tuple(row), len(order))
    )


def normal(value: Any) -> str:
    """PostgreSQL gives back values where SQLite gives text."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if hasattr(value, "strftime") else str(value)


def test_every_form_holds_every_row(filled: Corpus, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    tables = {
        ExportedRows.ARTICLES: "articles",
        ExportedRows.CANONICAL: "canonical_articles",
        ExportedRows.CLUSTERS: "clusters",
        ExportedRows.MEMBERS: "cluster_members",
    }
    for what, table in tables.items():
        (expected,) = filled.rows(f"select count(*) from {table}")
        paths = {form: tmp_path / f"{what}.{form}" for form in ExportFormat}
        assert {form: out(filled, what, form, path) for form, path in paths.items()} == dict.fromkeys(
            ExportFormat, expected
        )
        as_lines = lines(paths[ExportFormat.JSONL])
        with paths[ExportFormat.CSV].open(newline="") as opened:
            as_csv = list(csv.DictReader(opened))
        as_parquet = pq.read_table(paths[ExportFormat.PARQUET]).to_pylist()
        assert len(as_lines) == len(as_csv) == len(as_parquet) == expected
        assert list(as_lines[0]) == list(as_csv[0]) == list(as_parquet[0])
        key = "cluster_id" if what is ExportedRows.CLUSTERS else "ingestd_id"
        assert [row[key] for row in as_lines] == [int(row[key]) for row in as_csv] == [row[key] for row in as_parquet]
        assert [row["title"] for row in as_lines] == [row["title"] or None for row in as_csv]
        assert [row["title"] for row in as_lines] == [row["title"] for row in as_parquet]


def test_nothing_is_overwritten_and_nothing_is_left_half(corpus: Corpus, tmp_path: Path) -> None:
    corpus.take_in(a={"title": "One", "text": "The text of one."})
    there = tmp_path / "there.jsonl"
    there.write_text("kept")
    with pytest.raises(CannotStartError, match="exists already"):
        out(corpus, ExportedRows.ARTICLES, ExportFormat.JSONL, there)
    assert there.read_text() == "kept"

    def interrupt(_done: int, _label: str | None) -> None:
        raise KeyboardInterrupt

    def show_progress(_what: str, _total: int | None, /) -> AbstractContextManager[Advance]:
        return nullcontext(interrupt)

    with corpus.database.begin_read() as connection, pytest.raises(KeyboardInterrupt):
        export_rows(connection, ExportedRows.ARTICLES, ExportFormat.JSONL, tmp_path / "half.jsonl", show_progress)
    assert sorted(p.name for p in tmp_path.glob("*.jsonl*")) == ["there.jsonl"]
