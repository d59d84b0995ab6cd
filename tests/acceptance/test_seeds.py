"""The seeds come out exactly as seeds/expected.csv says, by the one-off command and by the daemon, in any order."""

from __future__ import annotations

import csv
import random
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Run
from tests.support.daemon import Daemon

SEEDS = ROOT / "seeds"
FILES = sorted(
    path.relative_to(SEEDS) for path in SEEDS.glob("*/*") if path.is_file() and path.parent.name != "__pycache__"
)


def expected() -> list[dict[str, str]]:
    with (SEEDS / "expected.csv").open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: (row["file"], row["record"]))


def outcome(path: Path) -> list[dict[str, str]]:
    """What the database says, in the words of expected.csv; an event is named for whatever name its articles have there."""
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    query = """
        select f.path file, a.record_no record, f.state, f.reason, m.cluster_id, coalesce(c.relation, 'original') relation,
               of_file.path || '#' || of.record_no copy_of
        from source_files f left join articles a on a.source_file_id = f.id
        left join cluster_members m on m.article_id = a.id
        left join copies c on c.article_id = a.id left join articles of on of.id = c.canonical_article_id
        left join source_files of_file on of_file.id = of.source_file_id"""
    rows: list[dict[str, Any]] = [dict(row) for row in database.execute(query)]
    names = {(row["file"], row["record"]): row["event"] for row in expected()}
    events: dict[int, set[str]] = {}
    for row in rows:
        if row["cluster_id"] is not None:
            events.setdefault(row["cluster_id"], set()).add(names[row["file"], str(row["record"])])
    assert all(len(found) == 1 for found in events.values()), f"different events in one cluster: {events}"
    assert len({min(found) for found in events.values()}) == len(events), f"one event in several clusters: {events}"
    return sorted(
        (
            {
                "file": row["file"],
                "record": str(row["record"] or ""),
                "state": row["state"],
                "event": min(events[row["cluster_id"]]) if row["cluster_id"] is not None else "",
                "relation": row["reason"] or row["relation"],
                "copy_of": row["copy_of"] or "",
            }
            for row in rows
        ),
        key=lambda row: (row["file"], row["record"]),
    )


def test_every_seed_is_expected_to_be_something() -> None:
    assert {row["file"] for row in expected()} == {str(path) for path in FILES}


def test_ingest_finds_what_is_expected(ingestd: Run, tmp_path: Path) -> None:
    shutil.copytree(SEEDS, tmp_path / "seeds", ignore=shutil.ignore_patterns("*.csv", "*.py", "__pycache__"))
    done = ingestd("ingest", "seeds", "--db", "sqlite:///seeds.db")
    assert done.returncode == 1, done.stderr  # one of the seeds is broken
    assert "mj-20250701-0001.json: parse" in done.stdout
    assert outcome(tmp_path / "seeds.db") == expected()


@pytest.mark.parametrize("order", range(3))
def test_the_order_of_arrival_makes_no_difference(ingestd: Run, tmp_path: Path, order: int) -> None:
    files = list(FILES)
    random.Random(order).shuffle(files)
    (tmp_path / "seeds").mkdir()
    for start in range(0, len(files), 6):
        for path in files[start : start + 6]:
            (tmp_path / "seeds" / path.parent).mkdir(exist_ok=True)
            shutil.copy(SEEDS / path, tmp_path / "seeds" / path)
        ingestd("ingest", "seeds", "--db", "sqlite:///seeds.db")
    assert outcome(tmp_path / "seeds.db") == expected()


def test_the_daemon_finds_what_is_expected(daemon: Daemon) -> None:
    early, late = FILES[: len(FILES) // 2], FILES[len(FILES) // 2 :]
    for path in early:
        daemon.drop(str(path), (SEEDS / path).read_bytes())
    daemon.start()
    for path in late:
        daemon.drop(str(path), (SEEDS / path).read_bytes())
    daemon.wait_until(lambda: daemon.count_finished() == len(FILES), 60)
    assert daemon.stop() == 0
    assert outcome(daemon.path) == expected()
    assert daemon.list_remaining() == []
    quarantined = daemon.inbox / ".ingestd/quarantine/meridian-journal"
    assert {p.name for p in quarantined.iterdir()} == {"mj-20250701-0001.json", "mj-20250701-0001.json.reason.json"}
    archived = [p for p in (daemon.inbox / ".ingestd/archive").rglob("*") if p.is_file()]
    assert len(archived) == len(FILES) - 1


def test_the_demo_runs_and_shows_the_clusters() -> None:
    done = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "22 stored",
        "1 quarantined",
        "Okonjo takes the world chess title",
        "SELECT",
        "data/demo/demo.db",
        "ended with 0",
    ):
        assert said in done.stdout
