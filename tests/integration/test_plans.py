"""What the databases are asked, and how they answer it: statements a batch, and plans at 200,000 articles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from ingestd.core.stored import RowSelection
from ingestd.query.articles import read_article
from ingestd.query.clusters import ClusterFilter, list_clusters, read_cluster
from ingestd.store.database import Database
from ingestd.store.ledger import Ledger
from ingestd.workers.stored_corpus import StoredCorpus
from tests.conftest import ROOT, Corpus, new_database
from tests.support.made_corpus import articles

N = 200_000
# Questions whose answer is made of everything.
READ_ALL = {
    "Which outlet was first how often", "One article for each event", "A corpus without copies", "Copies and their originals",
    "The texts most often reprinted", "Where an article came from", "Articles whose text changed", "What could not be used",
    "Stories that one outlet covered and another did not",
}  # fmt: skip


def records(first: int, n: int) -> list[dict[str, Any]]:
    made = list(articles(first + n, seed=5, words=150))[first:]
    return [
        {"id": a.id, "title": a.title, "text": a.text, "outlet": a.outlet, "published": a.published.isoformat()}
        for a in made
    ]


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    said: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        said.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_a_batch_asks_no_more_of_the_database_when_it_is_larger(corpus_on_each: Corpus) -> None:
    corpus_on_each.take_in(first=records(0, 600))
    counts = {}
    for n, first in ((16, 600), (250, 616)):
        with statements(corpus_on_each.database) as said:
            corpus_on_each.take_in(**{f"batch-{n}": records(first, n)})
        counts[n] = len(said)
    assert corpus_on_each.rows("select count(*) from articles") == [866]
    assert corpus_on_each.rows("select count(*) from copies")[0] > 50
    # What grows is the outlets whose last lines have to be read, forty at a time, and keys, 500 at a time.
    assert counts[250] <= counts[16] + 8, counts
    assert counts[250] <= 45, counts


BEHIND = """
INSERT INTO source_files (root, path, path_bytes, size_bytes, mtime_ns, ctime_ns, inode, sha256, state, attempts, fence, n_articles,
                          first_seen_at, finished_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
SELECT '/srv', 'f' || i, CAST('f' || i AS BLOB), 1, 1, 1, 1, 'sha-' || i, 'stored', 1, 1, 1, '2025-01-01', '2025-01-01' FROM n;
INSERT INTO clusters (status, keywords, n_articles, n_originals, n_outlets, last_published_at, created_at, updated_at)
SELECT 'open', '[]', 1, 1, 1, datetime('now'), datetime('now'), datetime('now') FROM source_files;
"""


def test_a_batch_costs_the_database_no_more_when_much_lies_behind_it(tmp_path: Path) -> None:
    # Steps of SQLite's machine: a plan that uses an index can still go through all that there is, and look harmless.
    hundreds = {}
    for behind in (200, 20_000):
        corpus = Corpus(f"sqlite:///{tmp_path / str(behind)}.db", tmp_path / "files")
        with corpus.database.begin_write() as connection:
            for statement in BEHIND.format(n=behind).split(";"):
                connection.execute(text(statement))
        taken: list[int] = []

        def count(connection: Any, *_: Any, taken: list[int] = taken) -> None:
            connection.set_progress_handler(lambda: taken.append(1), 100)

        event.listen(corpus.database.engine, "checkout", count)
        corpus.take_in(**{f"{i}": record for i, record in enumerate(records(0, 40))})
        Ledger(corpus.database, 60).renew(datetime.now(UTC))
        hundreds[behind] = len(taken)
        assert corpus.rows("select count(*) from articles") == [40]
        corpus.database.close()
    assert hundreds[200] > 50
    assert hundreds[20_000] <= 1.1 * hundreds[200], hundreds


MAKE = """
INSERT INTO source_files (id, root, path, path_bytes, size_bytes, mtime_ns, ctime_ns, inode, state, attempts, fence, n_articles,
                          first_seen_at, finished_at)
VALUES (1, '/srv/inbox', 'all.jsonl', {bytes}, 1, 1, 1, 1, 'stored', 1, 1, 200000, '2025-01-01', '2025-01-01');
INSERT INTO articles (id, external_id, url, url_canonical, outlet, title, authors, lang, published_at, first_seen_at, observed_at,
                      day, n_words, text_sha256, revision, source_file_id, record_no, text)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
SELECT i, 'id-' || i, 'https://example.org/' || i, 'https://example.org/' || i, 'outlet-' || (i % 200), 'Title ' || i, '[]', 'en',
       {time}, '2025-01-01', '2025-01-01', {day}, 300, 'sha-' || i, 1, 1, i, 'Text ' || i FROM n;
INSERT INTO clusters (id, status, canonical_article_id, title, lang, keywords, n_articles, n_originals, n_outlets,
                      first_published_at, last_published_at, created_at, updated_at)
SELECT id, 'open', id, title, 'en', '[]', CASE WHEN id % 4 = 0 THEN 3 ELSE 1 END, 1, 1, published_at, published_at,
       first_seen_at, first_seen_at FROM articles WHERE id % 2 = 0;
INSERT INTO cluster_members (article_id, cluster_id, relation, evidence, joined_at, batch)
SELECT id, id - id % 2 + 2 * (id % 2) * (CASE WHEN id < {n} - 2 THEN 1 ELSE 0 END), 'coverage', '{{}}', first_seen_at, id / 256
FROM articles WHERE id > 1 AND id < {n} - 2;
INSERT INTO copies (article_id, canonical_article_id, matched_article_id, relation, jaccard, containment, evidence)
SELECT id, id - 1, id - 1, 'near', 0.9, 0.9, '{{}}' FROM articles WHERE id % 10 = 0;
INSERT INTO cluster_log (happened_at, kind, cluster_id, article_id, reason)
SELECT first_seen_at, 'created', id, id, '{{}}' FROM articles WHERE id % 2 = 0;
INSERT INTO signatures (article_id, kind, scheme, payload) SELECT id, 'copy', 'x', {bytes} FROM articles;
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Rows for 200,000 articles, made by the database itself."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('large') / 'large.db'}"
        values = {"bytes": "x'00'", "time": "datetime('2020-01-01', '+' || (i * 13) || ' minutes')",
                  "day": "date('2020-01-01', '+' || (i * 13) || ' minutes')"}  # fmt: skip
    else:
        url = new_database(request.getfixturevalue("postgres"))
        time = "timestamptz '2020-01-01 00:00 UTC' + i * interval '13 minutes'"
        values = {"bytes": "'\\x00'::bytea", "time": time, "day": f"({time})::date"}
    database = Database(url)
    database.prepare()
    with database.begin_write() as connection:
        for statement in MAKE.format(n=N, **values).split(";"):
            if statement.strip():
                connection.execute(text(statement))
    with database.begin_write() as connection:
        connection.exec_driver_sql("ANALYZE")
    yield database
    database.close()


def explained(connection: Connection, statement: str, parameters: Any) -> Any:
    done = (
        connection.execute(text(statement)) if parameters is None else connection.exec_driver_sql(statement, parameters)
    )
    return done.all()


def scanned(connection: Connection, statement: str, parameters: Any = None) -> set[str]:
    """Return the tables that a statement reads from their beginning to their end."""
    aliases = dict.fromkeys(
        re.findall(r"\b(articles|clusters|cluster_members|copies|source_files|cluster_log)\b", statement)
    )
    names = {name: name for name in aliases} | {
        alias: name for name, alias in re.findall(r"\b(articles|clusters|cluster_members|copies|source_files) (?:AS )?(\w+)", statement)
    }  # fmt: skip
    if connection.dialect.name == "sqlite":
        plan = explained(connection, f"EXPLAIN QUERY PLAN {statement}", parameters)
        scans = {
            m.group(1)
            for row in plan
            if (m := re.match(r"SCAN (\w+)(?! USING (COVERING )?INDEX ix_clusters_stories)", row[3]))
        }
        return {names.get(scan, scan) for scan in scans}
    ((plan,),) = explained(connection, f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    found: set[str] = set()

    def walk(node: dict[str, Any]) -> None:
        if "Seq Scan" in node["Node Type"]:
            found.add(node["Relation Name"])
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan[0]["Plan"])
    return found


def cookbook() -> list[tuple[str, str]]:
    page = (ROOT / "docs/sql.md").read_text()
    return re.findall(r"```sql\n-- (.*?)\n(.*?);\n```", page, re.DOTALL)


@pytest.mark.parametrize(
    ("title", "statement"), [(t, s) for t, s in cookbook() if not any(t.startswith(r) for r in READ_ALL)]
)
def test_what_the_cookbook_asks_of_a_few_articles_reads_only_those(large: Database, title: str, statement: str) -> None:
    with large.begin_read() as connection:
        assert scanned(connection, statement) & {"articles", "clusters", "cluster_members", "copies"} == set(), title


def test_most_of_the_cookbook_asks_of_a_few_articles() -> None:
    assert len(cookbook()) - len(READ_ALL) >= 10
    assert all(any(title.startswith(name) for title, _ in cookbook()) for name in READ_ALL)


def asked(connection: Connection) -> None:
    """What the commands ask: clusters, show, why, and what taking in an article asks."""
    list_clusters(connection, ClusterFilter())
    list_clusters(connection, ClusterFilter(since=datetime(2024, 12, 1, tzinfo=UTC)))
    read_cluster(connection, "5000")
    for given in ("5000", "https://www.example.org/5000?utm_source=x", "id-5000"):
        read_article(connection, given)
    corpus = StoredCorpus(connection)
    corpus.find_next_article_id()
    corpus.read_texts(range(1, 300))
    corpus.read_last_texts([f"outlet-{i}" for i in range(60)], 32)
    list(corpus.read_rows_of(range(1, 300)))
    list(corpus.read_rows([RowSelection(first_id=N - 100)], 100))
    corpus.read_assignments_since(N // 256 - 1)
    corpus.count_members(range(1, 300))
    corpus.find_inhabited_clusters(range(1, 300))
    corpus.read_headlines(range(1, 300))


def test_the_commands_and_the_line_never_read_all_articles(large: Database) -> None:
    with statements(large) as said, large.begin_read() as connection:
        asked(connection)
    selects = [(s, p) for s, p in said if s.startswith("SELECT") and "article" in s]
    assert len(selects) > 15
    with large.begin_read() as connection:
        for statement, parameters in selects:
            assert "articles" not in scanned(connection, statement, parameters), statement


def test_a_plan_that_reads_everything_is_seen_as_such(large: Database) -> None:
    with large.begin_read() as connection:
        assert scanned(connection, "SELECT count(*) FROM articles a WHERE a.title LIKE '%x%'") == {"articles"}
