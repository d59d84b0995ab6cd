"""
Killed at every step of the way, the daemon loses nothing and doubles nothing; with a fault planted in it, this harness tells.

What scrapers do is all there: names used again for other articles, the same article under another name, files that
cannot be used, articles that run into a fault of ours.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.daemon import Daemon
from tests.support.sabotage import MUTANTS, POINTS, UNLUCKY


@dataclass(frozen=True)
class Outcome:
    """What became of everything that was dropped."""

    lost: set[str]
    doubled: int
    crashes: int  # that happened as planned


class Harness:
    """A daemon that is killed at chosen points, and the scraper beside it."""

    def __init__(self, folder: Path, mutant: str = "") -> None:
        self.daemon = Daemon(folder, PYTHONPATH=str(ROOT), INGESTD_INGEST__WORKERS="0", INGESTD_INGEST__BATCH_FILES="4")
        self.daemon.program = [sys.executable, "-m", "tests.support.sabotage"]
        self.mutant = mutant
        self.wanted: set[str] = set()  # ids of articles that have to be stored
        self.kept: set[str] = set()  # names of files that have to be in quarantine
        self.rounds = self.crashes = 0

    def scrape(self, files: int = 6) -> None:
        """Drop files as a scraper does."""
        self.rounds += 1
        for number in range(files):
            article = f"{self.rounds}-{number}"
            self.wanted.add(article)
            name = f"page-{number}.json"  # that of the round before, where that one is done with
            self.drop(f"{self.rounds}-{name}" if (self.daemon.inbox / name).exists() else name, article)
            if number % 2:
                self.drop(f"again/{article}.json", article, indent=1)  # the same article in other bytes
        self.keep(f"unlucky-{self.rounds}.json", self.record(f"u{self.rounds}", UNLUCKY))
        self.keep(f"broken-{self.rounds}.json", b'{"title": ')

    def record(self, article: str, word: str = "", indent: int | None = None) -> bytes:
        value = {"id": article, "outlet": "Post", "title": f"{word} article {article}", "text": f"What {article} says."}
        return json.dumps(value, indent=indent).encode()

    def drop(self, name: str, article: str, indent: int | None = None) -> None:
        self.daemon.drop(name, self.record(article, indent=indent))

    def keep(self, name: str, content: bytes) -> None:
        self.kept.add(name)
        self.daemon.drop(name, content)

    def crash(self, point: str) -> None:
        """Start it, and let it die there with files in flight."""
        self.daemon.environment["SABOTAGE"] = f"{self.mutant} die:{POINTS[point]}:1"
        self.scrape()
        self.daemon.start(wait=False)
        assert self.daemon.process
        deadline = time.monotonic() + 20
        while self.daemon.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.daemon.process.poll() is None:
            print(f"not killed: {point}")
        self.crashes += self.daemon.process.poll() is not None
        self.daemon.close()

    def outcome(self) -> Outcome:
        """Let it finish in peace, as far as it can, and count."""
        self.daemon.environment["SABOTAGE"] = self.mutant
        self.daemon.start()
        if not self.rounds:
            self.scrape()
            self.finish()
        self.scrape()
        self.finish()
        self.daemon.stop()
        stored = self.daemon.rows("select external_id from articles where external_id not like 'u%'")
        quarantine = {p.name for p in (self.daemon.inbox / ".ingestd/quarantine").rglob("*.json")}
        explained = {name for name in self.kept if {name, f"{name}.reason.json"} <= quarantine}
        lost = (self.wanted - set(stored)) | (self.kept - explained)
        assert (
            self.mutant
            or self.daemon.rows("select path from source_files where finished_at is null or archived_as is null") == []
        )
        return Outcome(lost, len(stored) - len(set(stored)), self.crashes)

    def finish(self) -> None:
        """Wait until the folder is empty, or until nothing happens any more."""
        before, since = -1, time.monotonic()
        still_s = 15 if self.mutant else 60  # a fault may leave files for ever; a busy machine takes long
        while self.daemon.list_remaining() and time.monotonic() - since < still_s:
            if (now := self.daemon.count_finished()) != before:
                before, since = now, time.monotonic()
            time.sleep(0.05)


def run(folder: Path, points: Sequence[str], mutant: str = "") -> Outcome:
    harness = Harness(folder, mutant)
    try:
        for point in points:
            harness.crash(point)
        return harness.outcome()
    finally:
        harness.daemon.close()


def test_killed_at_every_transition_it_loses_nothing_and_doubles_nothing(tmp_path: Path, long: bool) -> None:
    points = list(POINTS) * (20 if long else 1)
    outcome = run(tmp_path, points)
    print(f"killed at {outcome.crashes} of {len(points)} points: lost {len(outcome.lost)}, doubled {outcome.doubled}")
    assert (outcome.lost, outcome.doubled) == (set(), 0)
    assert outcome.crashes == len(points)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_planted_fault_is_found(mutant: str, tmp_path: Path) -> None:
    outcome = run(tmp_path, ["before the commit"] if mutant == "moved_before_the_commit" else [], mutant)
    print(f"{mutant}: lost {len(outcome.lost)}, doubled {outcome.doubled}")
    assert outcome.lost or outcome.doubled
