"""The command line as a person or a script meets it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Run

DB = ("--db", "sqlite:///c.db")
COMMANDS = [
    "run",
    "ingest",
    "status",
    "clusters",
    "show",
    "why",
    "files",
    "retry",
    "rebuild",
    "evaluate",
    "export",
    "fsck",
    "check",
    "db",
]


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the seeds, and the database that they were ingested into."""
    folder = tmp_path_factory.mktemp("ingested")
    shutil.copytree(ROOT / "seeds", folder / "seeds", ignore=shutil.ignore_patterns("*.csv", "*.py", "__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "ingestd", "ingest", "seeds", *DB], cwd=folder, capture_output=True, check=False,
        env=os.environ | {"INGESTD_INGEST__WORKERS": "0"},
    )  # fmt: skip
    return folder


@pytest.fixture
def seeded(ingestd: Run, ingested: Path, tmp_path: Path) -> Run:
    """The program, with the seeds in its database."""
    shutil.copytree(ingested / "seeds", tmp_path / "seeds")
    shutil.copy(ingested / "c.db", tmp_path)
    with sqlite3.connect(tmp_path / "c.db") as database:
        database.execute("UPDATE source_files SET root = ?", [str(tmp_path / "seeds")])
    return ingestd


def answer(run: Run, *arguments: str) -> Any:
    done = run(*arguments, "--json", *DB)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_says_more_than_its_name(ingestd: Run, command: str) -> None:
    assert f"  {command} " in ingestd("--help").stdout
    text = ingestd(command, "--help").stdout
    assert len(text.split()) > 30
    assert "--db URL" in text


def test_options_for_everything_go_before_and_after_the_command(seeded: Run) -> None:
    before = seeded(*DB, "status", "--json").stdout
    after = seeded("status", "--json", "--db=sqlite:///c.db").stdout
    assert json.loads(before)["articles"] == json.loads(after)["articles"] == 24


@pytest.mark.parametrize(
    "question", [("status",), ("files",), ("clusters",), ("show", "cluster", "1"), ("show", "article", "nl-8841")]
)
def test_a_question_is_answered_without_the_readers_of_files(ingested: Path, question: tuple[str, ...]) -> None:
    heavy = {"lxml", "trafilatura", "scipy", "warcio", "alembic", "ingestd.formats", "ingestd.inbox", "ingestd.workers"}
    program = (
        "import sys; from ingestd.cli import app; app(sys.argv[1:], standalone_mode=False);"
        f"print(sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *question, *DB], cwd=ingested, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_an_option_for_everything_counts_where_it_stands_last(seeded: Run) -> None:
    assert seeded("--db", "sqlite:///none/none.db", "show", "--db", "sqlite:///c.db", "cluster", "1").returncode == 0
    assert seeded("show", *DB, "cluster", "--db=sqlite:///empty.db", "1").returncode == 2


def test_status_counts_everything(seeded: Run) -> None:
    found = answer(seeded, "status")
    assert (found["articles"], found["copies"], found["stories"]) == (24, 4, 5)
    assert found["articles_in_reach"] == 1  # within 30 days of the newest: the one without a date counts as today's
    assert found["files"] == {"stored": 22, "quarantined": 1}
    assert "24" in seeded("status", *DB).stdout


def test_clusters_are_newest_first_and_can_be_narrowed(seeded: Run) -> None:
    found = answer(seeded, "clusters")
    dates = [cluster["last_published_at"] for cluster in found]
    assert dates == sorted(dates, reverse=True)
    assert len(found) == 5
    assert len(answer(seeded, "clusters", "--min-articles", "1")) == 10
    assert [c["n_articles"] for c in answer(seeded, "clusters", "--largest", "--limit", "2")] == [5, 5]
    assert {c["n_articles"] for c in answer(seeded, "clusters", "--outlet", "Northern Ledger")} == {5}
    assert len(answer(seeded, "clusters", "--since", "2025-04-01")) == 2
    assert answer(seeded, "clusters", "--lang", "fr") == []


def test_an_article_answers_to_id_url_external_id_and_file_name(seeded: Run) -> None:
    by_id = answer(seeded, "show", "article", "nl-8841")
    for name in (str(by_id["id"]), "https://northern-ledger.example/business/ferry-recorder-8841"):
        assert answer(seeded, "show", "article", name)["id"] == by_id["id"]
    assert answer(seeded, "show", "article", "coast-radio/feed-0402.rss.gz")["title"].startswith("Rescuers dig")
    assert answer(seeded, "show", "article", "bakery.txt")["title"].startswith("Sourdough")
    assert by_id["membership"]["relation"] in ("seed", "coverage")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("show", "article", "nowhere.txt"), "no article nowhere.txt"),
        (("show", "article", "ledger-2025-03.jsonl"), "several articles"),
        (("show", "cluster", "9999"), "no cluster 9999"),
        (("show", "cluster", "9" * 30), "no cluster 9999"),
        (("show", "article", "9" * 30), "no article 9999"),
        (("show", "article", "²"), "no article ²"),
        (("show", "file", "nowhere.txt"), "no file nowhere.txt"),
        (("files", "--state", "lost"), "allowed: claimed, stored"),
        (("retry",), "name files, a --reason, or --all"),
        (("ingest", "nowhere"), "nowhere: no such file or folder"),
        (("run", "--watch", "nowhere"), "no such folder"),
        (("run",), "no folder to watch"),
        (("status", "--log-format", "xml"), "'console' or 'json'"),
        (("status", "--config", "nowhere.toml"), "no such settings file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(seeded: Run, asked: tuple[str, ...], said: str) -> None:
    done = seeded(*asked, *DB)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_show_tells_everything_about_a_cluster_and_a_file(seeded: Run) -> None:
    largest = answer(seeded, "clusters", "--largest")[0]["id"]
    cluster = answer(seeded, "show", "cluster", str(largest))
    assert {entry["kind"] for entry in cluster["log"]} >= {"created", "joined"}
    assert sum(member["is_canonical"] for member in cluster["members"]) == 1
    assert "History" in seeded("show", "cluster", str(largest), *DB).stdout
    (file,) = answer(seeded, "show", "file", "ledger-2025-03.jsonl")
    assert (file["state"], len(file["articles"])) == ("stored", 2)
    assert "parse" in seeded("show", "file", "mj-20250701-0001.json", *DB).stdout


def test_why_explains_one_article_and_two(seeded: Run) -> None:
    one = answer(seeded, "why", "syn-20250320-04")
    assert one["copy"]["relation"] == "excerpt"
    evidence = one["copy"]["evidence"]
    assert evidence["shared_shingles"] > 0
    assert evidence["longest_passages"][0].startswith("The National Bank of Valdria lowered")
    assert "krona" in evidence["only_in_matched"]
    pair = ("ferry-collision.txt", "2025-03-12-fog-ferry.txt")
    two = answer(seeded, "why", *pair)
    assert two["same_cluster"]
    assert two["copy"]["verdict"].startswith("no copy")
    assert two["event"]["score"] > 0.19
    assert "ellory" in two["event"]["terms"]
    text = seeded("why", *pair, *DB).stdout
    assert "near enough for one event" in text
    assert any(shared for _, shared in two["texts"][0])
    reprint = answer(seeded, "why", "ferry-collision.txt", "syn-20250312-77")
    assert reprint["copy"]["longest_passages"][0].startswith("A passenger ferry hit")
    assert "appears" in reprint["copy"]["only_there"]
    assert [len(lines) for lines in reprint["copy"]["left_out"]] == [0, 1]  # a line of copyright
    assert "[A passenger ferry hit" in seeded("why", "ferry-collision.txt", "syn-20250312-77", *DB).stdout  # marked
    notices = answer(seeded, "why", "notice-0611.txt", "notice-0613.txt")
    assert "one form" in notices["copy"]["verdict"]
    assert not notices["same_cluster"]


def test_files_and_retry_work_on_the_ledger(seeded: Run, tmp_path: Path) -> None:
    (broken,) = answer(seeded, "files", "--state", "quarantined")
    assert broken["reason"] == "parse"
    assert answer(seeded, "files", "--reason", "depth") == []
    (tmp_path / "seeds" / broken["path"]).write_text('{"title": "Mended after all", "maintext": "The whole sentence."}')
    assert answer(seeded, "retry", "--reason", "parse") == {"put_back": [broken["path"]], "not_put_back": []}
    done = seeded("ingest", "seeds", *DB)
    assert done.returncode == 0
    assert "1 new articles" in done.stdout
    assert answer(seeded, "files", "--state", "quarantined") == []


def test_check_finds_what_will_not_work(ingestd: Run, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    assert ingestd("check", "--watch", "inbox", *DB).returncode == 0
    done = ingestd("check", "--watch", "nowhere", *DB)
    assert done.returncode == 1
    assert "mkdir -p" in done.stdout
    unreachable = ingestd("check", "--watch", "inbox", "--db", "postgresql+psycopg://nobody@127.0.0.1:1/none", "--json")
    assert unreachable.returncode == 1
    assert json.loads(unreachable.stdout)[0]["grade"] == "error"


def test_an_empty_database_is_made_and_its_version_told(ingestd: Run, tmp_path: Path) -> None:
    assert json.loads(ingestd("db", "current", "--json", *DB).stdout)["current"] is None
    assert ingestd("db", "upgrade", *DB).returncode == 0
    found = json.loads(ingestd("db", "current", "--json", *DB).stdout)
    assert found["current"] == found["needed"]


def test_a_database_that_is_behind_is_not_touched_until_asked(seeded: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute("update alembic_version set version_num = 'ffff'")
    done = seeded("status", *DB)
    assert done.returncode == 2
    assert "version ffff" in done.stderr


def test_ingest_prints_the_time_of_each_stage(ingestd: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"title": "Council closes market"}')
    summary = json.loads(ingestd("ingest", "a.json", "--profile", "--json", *DB).stdout)
    assert summary["articles"] == 1
    assert {"claim", "decide", "write", "store"} <= summary["seconds"].keys()


def test_a_rebuild_is_announced_by_its_check_and_then_made(seeded: Run) -> None:
    found = answer(seeded, "rebuild", "--check")
    assert (found["articles"], found["clusters_adjusted_rand"], found["copies_adjusted_rand"]) == (24, 1.0, 1.0)
    assert "Nothing was changed." in seeded("rebuild", "--check", *DB).stdout
    before = answer(seeded, "clusters")
    assert "Stored." in seeded("rebuild", *DB).stdout
    assert [cluster["id"] for cluster in answer(seeded, "clusters")] == [cluster["id"] for cluster in before]


def test_clusters_are_compared_with_a_labelled_sample(seeded: Run, tmp_path: Path) -> None:
    ids = [article["article_id"] for article in answer(seeded, "clusters")[0]["members"]]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps({"id": i, "event": "one"}) + "\n" for i in ids))
    assert answer(seeded, "evaluate", "gold.jsonl")["b3_f1"] == 1.0
    assert "adjusted rand" in seeded("evaluate", "gold.jsonl", *DB).stdout
    refused = seeded("evaluate", "nowhere.jsonl", *DB)
    assert (refused.returncode, "nowhere.jsonl" in refused.stderr) == (2, True)


def test_a_corpus_is_exported_by_name_of_the_form_and_nothing_is_overwritten(seeded: Run, tmp_path: Path) -> None:
    assert seeded("export", "out.jsonl", *DB).returncode == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 24
    assert seeded("export", "--what", "clusters", "--format", "csv", "-", *DB).stdout.startswith("cluster_id,status,")
    again = seeded("export", "out.jsonl", *DB)
    assert again.returncode == 2
    assert "nothing is overwritten" in again.stderr
    assert "--format jsonl|csv|parquet" in seeded("export", "out.xls", *DB).stderr
    assert "allowed are articles, canonical" in seeded("export", "--what", "all", "x.jsonl", *DB).stderr


def test_fsck_says_what_does_not_agree_and_ends_with_one(seeded: Run, tmp_path: Path) -> None:
    agreed = seeded("fsck", *DB)
    assert (agreed.returncode, "agree" in agreed.stdout) == (0, True)
    with sqlite3.connect(tmp_path / "c.db") as database:
        database.execute("UPDATE articles SET text = 'another' WHERE id = 3")
    found = seeded("fsck", "--json", *DB)
    assert found.returncode == 1
    assert json.loads(found.stdout) == [
        {"kind": "text_changed", "what": "3", "detail": "its text is not the one that was stored"}
    ]
