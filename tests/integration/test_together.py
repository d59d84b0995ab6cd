"""Several processes that decide on one corpus in turns: each goes by what the others have decided."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from ingestd.core.source_file import SeenFile
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.store import corpus_state
from ingestd.store.database import Database
from tests.conftest import Corpus
from tests.support.made_corpus import articles

Partition = set[frozenset[str]]


def finish(line: IngestPipeline, seen: Sequence[SeenFile]) -> None:
    line.submit(seen)
    while line.depth:
        line.step(10)


class Hosts:
    """Lines with connections, windows and folders of their own, on one database."""

    def __init__(self, corpus: Corpus, folder: Path, n: int, after: Any = "keep") -> None:
        self.corpus, self.folder = corpus, folder
        self.databases = [Database(corpus.url) for _ in range(n)]
        self.lines = [IngestPipeline(corpus.settings, database, after=after) for database in self.databases]
        self.files = 0

    def take_in(self, host: int, *records: dict[str, Any]) -> None:
        self.files += 1
        root = self.folder / str(host)
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{self.files}.json").write_text(json.dumps(list(records)))
        (seen,) = [file for file in find_files(root) if file.path == os.fsencode(f"{self.files}.json")]
        finish(self.lines[host], [seen])

    def close(self) -> None:
        for line, database in zip(self.lines, self.databases, strict=True):
            line.close()
            database.close()


@pytest.fixture
def hosts(corpus_on_each: Corpus, tmp_path: Path) -> Iterator[Callable[..., Hosts]]:
    made: list[Hosts] = []

    def make(n: int, **options: Any) -> Hosts:
        made.append(Hosts(corpus_on_each, tmp_path / "hosts", n, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def records(n: int) -> list[dict[str, Any]]:
    return [
        {"id": a.id, "title": a.title, "text": a.text, "outlet": a.outlet, "published": a.published.isoformat()}
        for a in articles(n, seed=3, words=120)
    ]


def partition(corpus: Corpus, query: str) -> Partition:
    groups: dict[Any, set[str]] = {}
    for name, group in corpus.rows(query):
        groups.setdefault(group, set()).add(name)
    return {frozenset(group) for group in groups.values()}


def clusters(corpus: Corpus) -> Partition:
    return partition(
        corpus, "select a.external_id, m.cluster_id from cluster_members m join articles a on a.id = m.article_id"
    )


def copies(corpus: Corpus) -> Partition:
    return partition(
        corpus,
        "select a.external_id, coalesce(c.canonical_article_id, a.id) from articles a left join copies c on c.article_id = a.id",
    )


def test_three_in_turns_decide_what_one_alone_decides(
    hosts: Callable[..., Hosts], corpus: Corpus, corpus_on_each: Corpus
) -> None:
    stream = records(240)
    batches = [stream[start : start + 8] for start in range(0, len(stream), 8)]
    for batch in batches:
        corpus.take_in(batch=batch)
    together = hosts(3)
    for number, batch in enumerate(batches):
        together.take_in(number * number % 3, *batch)  # one of them often, one never twice in a row
    assert len(copies(corpus)) < 230
    assert len(clusters(corpus)) < 150
    assert copies(corpus_on_each) == copies(corpus)
    assert clusters(corpus_on_each) == clusters(corpus)


def test_who_was_away_for_long_goes_by_all_that_was_decided_meanwhile(
    hosts: Callable[..., Hosts], corpus_on_each: Corpus
) -> None:
    together, stream = hosts(2), records(120)
    together.take_in(1, stream[0])
    for start in range(1, 119, 10):
        together.take_in(0, *stream[start : start + 10])
    together.take_in(1, stream[119] | {"id": "again"}, stream[50] | {"id": "reprint", "outlet": "elsewhere"})
    assert any({"reprint", stream[50]["id"]} <= group for group in copies(corpus_on_each))


def test_a_text_that_another_has_revised_is_compared_as_it_is_now(
    hosts: Callable[..., Hosts], corpus_on_each: Corpus
) -> None:
    together, (one, other, *_) = hosts(2), records(9)
    together.take_in(0, one)
    together.take_in(1, {**records(9)[5], "id": "elsewhere"})
    together.take_in(1, one | {"text": other["text"], "title": other["title"]})  # the same id, another text
    together.take_in(0, one | {"id": "old", "outlet": "x"}, other | {"id": "new", "outlet": "y"})
    groups = copies(corpus_on_each)
    assert frozenset({one["id"], "new"}) in groups
    assert frozenset({"old"}) in groups


def test_every_member_says_which_batch_put_it_there(hosts: Callable[..., Hosts], corpus_on_each: Corpus) -> None:
    together, stream = hosts(2), records(4)
    for number, record in enumerate(stream):
        together.take_in(number % 2, record)
    new_since_2 = corpus_on_each.rows(
        "select a.external_id from cluster_members m join articles a on a.id = m.article_id where m.batch > 2 order by 1"
    )
    assert {"a2", "a3"} <= set(new_since_2)
    assert corpus_on_each.rows("select batch, generation from corpus_state") == [(4, 0)]


def test_after_a_new_generation_nothing_held_in_memory_counts(
    hosts: Callable[..., Hosts], corpus_on_each: Corpus
) -> None:
    together, (one, *_) = hosts(1), records(1)
    together.take_in(0, one)
    with corpus_on_each.database.begin_write() as connection:  # as if the article had been taken out
        for table in ("cluster_log", "cluster_members", "clusters", "signatures", "articles"):
            connection.exec_driver_sql(f"delete from {table}")
        corpus_state.begin_batch(connection, generation=1)
    together.take_in(0, one | {"id": "b", "outlet": "x"})
    assert corpus_on_each.rows("select count(*) from copies") == [0]


class Deaf(Database):
    """Commits, and breaks the connection before it says so."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.deaf_at, self.transactions = 0, 0

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        self.transactions += 1
        with super().begin_write() as connection:
            yield connection
        if self.transactions == self.deaf_at:
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten(
    corpus_on_each: Corpus, tmp_path: Path, at: int
) -> None:
    """The three transactions of a file: its claim, its articles, where it was moved to."""
    database = Deaf(corpus_on_each.url)
    line = IngestPipeline(corpus_on_each.settings, database, after="archive", pause=lambda _seconds: False)
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.json").write_text(json.dumps(records(1)[0]))
    database.deaf_at = database.transactions + at
    for _ in range(3):  # a daemon looks at its folder again and again
        finish(line, list(find_files(root)))
    line.close()
    database.close()
    assert corpus_on_each.rows("select count(*) from articles") == [1]
    assert corpus_on_each.rows("select state, n_articles, archived_as is not null from source_files") == [
        ("stored", 1, True)
    ]
    assert not (root / "a.json").exists()


def test_what_was_gone_and_comes_back_as_it_was_is_taken_in(corpus: Corpus, tmp_path: Path) -> None:
    here, aside = tmp_path / "root" / "a.json", tmp_path / "aside.json"
    here.parent.mkdir()
    here.write_text(json.dumps(records(1)[0]))
    seen = list(find_files(here.parent))
    line = IngestPipeline(corpus.settings, corpus.database, after="keep")
    here.rename(aside)
    finish(line, seen)
    aside.rename(here)
    finish(line, seen)
    line.close()
    assert corpus.rows("select state from source_files order by id") == ["vanished", "stored"]


def test_a_finished_file_that_could_not_be_moved_is_moved_by_the_next_pipeline(corpus: Corpus, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.json").write_text(json.dumps(records(1)[0]))
    (root / ".ingestd").write_text("in the way of the archive")
    line = IngestPipeline(corpus.settings, corpus.database, after="archive")
    seen = list(find_files(root))
    finish(line, seen)
    line.close()
    assert (root / "a.json").exists()
    (root / ".ingestd").unlink()
    line = IngestPipeline(corpus.settings, corpus.database, after="archive")
    finish(line, seen)
    line.close()
    assert not (root / "a.json").exists()
    assert corpus.rows("select archived_as is not null from source_files") == [1]


def test_what_replaces_all_decisions_waits_for_nobody_and_lets_nobody_in(corpus_on_each: Corpus) -> None:
    daemon, other, alone = (Database(corpus_on_each.url) for _ in range(3))
    daemon.lock()
    with pytest.raises(Exception, match="another ingestd"):
        alone.lock(alone=True)
    alone.close()
    if not daemon.is_sqlite:
        other.lock()  # daemons share
        other.close()
    daemon.close()
    alone.lock(alone=True)
    with pytest.raises(Exception, match=r"at work|another ingestd"):
        daemon.lock()
    for database in (daemon, other, alone):
        database.close()
