"""
From files in a folder to a database that answers: ingestd beside the script that a user would write, in one run.

    python -m tests.benchmark.end_to_end [N [ROUNDS]] [--write]      (10,000 articles, 5 rounds)

Every round runs all of them, one after the other, each in processes and on a database of its own; the table shows
medians. Articles a second include the start of the program. `--write` puts the result into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.support.made_corpus import Made, articles, write

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PEERS = ("datasketch", "rensa", "xxhash", "SQLAlchemy", "numpy")

_LOOK_EVERY_S = 0.2
# To find all processes and what they share takes milliseconds of a core, which those with readers have not to spare.
_CLOSER_EVERY = 5  # looks

Pairs = list[tuple[str, str]]  # file, and the file that it is taken for a copy of


@dataclass(slots=True)
class Run:
    """One run of one contestant."""

    seconds: float
    cpu_seconds: float
    main_bytes: int  # at most, of the main process
    bytes: int  # at most, of all processes, shared pages counted once
    copies: Pairs
    stages: dict[str, float]


class Watched:
    """A process whose memory and time are looked at while it runs."""

    def __init__(self, command: list[str], folder: Path, said: Path | None = None) -> None:
        self._cpu: dict[int, float] = {}  # seconds so far, by process
        self.start = time.monotonic()
        error = said.open("wb") if said else subprocess.DEVNULL
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=error)
        self._main = psutil.Process(self.process.pid)
        self._parts: list[psutil.Process] = []
        self.main_bytes = self.bytes = self._looks = 0

    def look(self) -> bool:
        """Note how much memory it has, and wait a moment; return whether it still runs."""
        if self.process.poll() is not None:
            return False
        with suppress(psutil.Error):
            if self._looks % _CLOSER_EVERY == 0:
                self._parts = [self._main, *self._main.children(recursive=True)]
                self.bytes = max(self.bytes, sum(part.memory_full_info().pss for part in self._parts))
            self._looks += 1
            self.main_bytes = max(self.main_bytes, self._main.memory_info().rss)
            self._cpu |= {part.pid: sum(part.cpu_times()[:2]) for part in self._parts}
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LOOK_EVERY_S)
        return True

    def cpu_seconds(self) -> float:
        """Return what it and its workers had used when they were last looked at."""
        return sum(self._cpu.values())


def ingest(made: list[Made], files: Path, folder: Path) -> Run:
    command = [
        sys.executable,
        "-m",
        "ingestd",
        "ingest",
        str(files),
        "--db",
        "sqlite:///c.db",
        "--log-format",
        "json",
        "--profile",
        "--json",
    ]
    watched = Watched(command, folder)
    while watched.look():
        pass
    seconds = time.monotonic() - watched.start
    assert watched.process.stdout is not None
    stages = json.loads(watched.process.stdout.read())["seconds"]
    return Run(
        seconds, watched.cpu_seconds(), watched.main_bytes, watched.bytes, found(folder / "c.db", len(made)), stages
    )


def run(made: list[Made], files: Path, folder: Path) -> Run:
    """Files are dropped as fast as they can be renamed into the folder of a daemon that is waiting."""
    inbox, staged, log = folder / "inbox", folder / "staged", folder / "log"
    inbox.mkdir()
    shutil.copytree(files, staged)
    command = [
        sys.executable,
        "-m",
        "ingestd",
        "run",
        "--watch",
        "inbox",
        "--db",
        "sqlite:///c.db",
        "--log-format",
        "json",
    ]
    watched = Watched(command, folder, log)
    while b"daemon.started" not in log.read_bytes():
        assert watched.look()
    start = time.monotonic()
    for path in sorted(staged.rglob("*.txt")):
        path.rename(inbox / path.name)
    dropped = time.monotonic() - start
    while finished(folder / "c.db") < len(made):
        assert watched.look()
    seconds = time.monotonic() - start
    watched.process.terminate()
    watched.process.wait()
    stages = {"dropping the files": dropped}
    return Run(
        seconds, watched.cpu_seconds(), watched.main_bytes, watched.bytes, found(folder / "c.db", len(made)), stages
    )


def script(kind: str) -> Callable[[list[Made], Path, Path], Run]:
    def work(_made: list[Made], files: Path, folder: Path) -> Run:
        command = [sys.executable, "-m", "tests.benchmark.script", kind, str(files), f"sqlite:///{folder}/s.db"]
        watched = Watched(command, Path(__file__).parents[2])
        while watched.look():
            pass
        seconds = time.monotonic() - watched.start
        assert watched.process.stdout is not None
        copies = json.loads(watched.process.stdout.read())
        return Run(seconds, watched.cpu_seconds(), watched.main_bytes, watched.bytes, copies, {})

    return work


CONTESTANTS = {
    "`ingestd ingest`": ingest,
    "`ingestd run`": run,
    "script with datasketch": script("datasketch"),
    "script with rensa": script("rensa"),
}


def finished(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as opened:
        query = "select count(*) from source_files where finished_at is not null"
        return int(opened.execute(query).fetchone()[0])


def found(database: Path, n: int) -> Pairs:
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("select count(*) from articles").fetchone() == (n,)
        assert opened.execute("select count(*) from cluster_members").fetchone() == (n,)
        name = "select f.path from articles a join source_files f on f.id = a.source_file_id where a.id"
        pairs = opened.execute(
            f"select ({name} = c.article_id), ({name} = c.matched_article_id) from copies c"
        ).fetchall()
    return [(Path(one).name, Path(other).name) for one, other in pairs]


def quality(made: list[Made], copies: Pairs) -> tuple[float, float]:
    """Return which share of the planted copies was matched with another of its group, and the share of right matches."""
    group = {f"{article.id}.txt": article.copy_of or article.id for article in made}
    right = [(one, other) for one, other in copies if group[one] == group[other]]
    seen = {article for pair in right for article in pair}
    planted = [f"{article.id}.txt" for article in made if article.copy_of]
    return sum(name in seen for name in planted) / len(planted), len(right) / max(1, len(copies))


def table(made: list[Made], runs: dict[str, list[Run]]) -> list[str]:
    def median(name: str, of: Callable[[Run], float]) -> float:
        return statistics.median(map(of, runs[name]))

    n, reference = len(made), median("script with datasketch", lambda r: r.seconds)
    lines = [
        "| | articles/s | of the script | CPU ms an article | memory, main process | all processes | recall of copies | precision |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in runs:
        seconds = median(name, lambda r: r.seconds)
        recall, precision = quality(made, runs[name][-1].copies)
        lines.append(
            f"| {name} | {n / seconds:,.0f} | {reference / seconds:.1f} | {1000 * median(name, lambda r: r.cpu_seconds) / n:.2f} "
            f"| {median(name, lambda r: r.main_bytes) / 2**20:,.0f} MiB | {median(name, lambda r: r.bytes) / 2**20:,.0f} MiB "
            f"| {recall:.3f} | {precision:.3f} |"
        )
    return lines


def page(made: list[Made], rounds: int, lines: list[str], runs: dict[str, list[Run]]) -> str:
    words = statistics.mean(len(article.text.split()) for article in made)
    copies = sum(article.copy_of is not None for article in made) / len(made)
    ingests = runs["`ingestd ingest`"]
    stages = {stage: statistics.median(r.stages[stage] for r in ingests) for stage in ingests[0].stages}
    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`. Absolute figures belong to the machine; what counts is how the lines compare, for all",
            "of them ran in turns, in one run.",
            "",
            f"{len(made):,} made-up text files of {words:.0f} words ({copies:.0%} of them edited copies, about 2.5 reports an",
            f"event), medians of {rounds} rounds, start of the program included. {platform.machine()}, {os.cpu_count()} cores,",
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {peers}.",
            "",
            *lines,
            "",
            "`ingestd` answers both questions, which articles are copies and which cover one event, keeps a ledger and",
            "evidence, and reads with as many processes as there are cores. `ingestd run` is timed from the first file that is",
            "dropped to the last that is committed, with its files moved to the archive. The script finds copies only: words",
            "by regex, shingles of five, 128 permutations, LSH of 25 bands of 5 rows (rensa: 32 of 4), estimated Jaccard of at",
            "least .5, and one SQLAlchemy insert and commit an article.",
            "",
            "Where the time of `ingestd ingest` goes, in the main process, which decides (`ingest --profile`):",
            "",
            "| stage | us an article |",
            "|---|---|",
            *(f"| {stage} | {1e6 * seconds / len(made):,.0f} |" for stage, seconds in stages.items()),
            "",
            "`decide` and `write` are parts of `store`.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", nargs="?", type=int, default=10_000)
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as for users: modules are compiled once, and not at every start
    made = list(articles(arguments.n))
    runs: dict[str, list[Run]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        files = Path(folder) / "files"
        write(iter(made), files)
        for number in range(arguments.rounds):
            for name, contestant in CONTESTANTS.items():
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    done = contestant(made, files, Path(own))
                runs[name].append(done)
                print(f"round {number + 1}, {name}: {len(made) / done.seconds:,.0f} articles/s", file=sys.stderr)
    text = page(made, arguments.rounds, table(made, runs), runs)
    print(text)
    if arguments.write:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
