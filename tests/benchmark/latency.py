"""
How long a file that is renamed into the folder takes until its article is committed.

    python -m tests.benchmark.latency [SECONDS [FILES_A_SECOND ...]]      (30; 50, 100 and 1,000)

The daemon runs with its defaults; the end is when it logs the file, which it does after COMMIT. Files are written before
the clock starts, so that what is measured has the cores for itself, as far as the one who drops them lets it. It keeps up
with a rate where the later fifths of the files take no longer than the earlier ones.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.support.made_corpus import articles

# Files that are due within a moment are dropped together: to wake up for each of 1,000 a second takes a tenth of a core.
_MOMENT_S = 0.005


def main(seconds: float, rates: list[float]) -> None:
    for rate in rates:
        measure(rate, seconds)


def measure(rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        inbox, staged, log = (Path(folder) / name for name in ("inbox", "staged", "log"))
        inbox.mkdir()
        staged.mkdir()
        paths = []
        for made in articles(int(rate * seconds)):
            paths.append(staged / f"{made.id}.txt")
            paths[-1].write_text(f"{made.title}\nPublished {made.published:%Y-%m-%d %H:%M}\n{made.text}\n")
        command = [
            sys.executable,
            "-m",
            "ingestd",
            "run",
            "--watch",
            str(inbox),
            "--db",
            f"sqlite:///{folder}/c.db",
            "--log-format",
            "json",
        ]
        with log.open("wb") as said:
            daemon = subprocess.Popen(command, stderr=said, cwd=folder, env=os.environ)
        while b"daemon.started" not in log.read_bytes():
            time.sleep(0.05)
        dropped: dict[str, float] = {}
        start = time.time()
        for number, path in enumerate(paths):
            if (early := start + number / rate - time.time()) > _MOMENT_S:
                time.sleep(early)
            dropped[path.name] = time.time()
            path.rename(inbox / path.name)
        while log.read_bytes().count(b'"file.ingested"') < len(paths):
            time.sleep(0.5)
        daemon.terminate()
        daemon.wait()
        done = {}
        for line in map(json.loads, log.read_text().splitlines()):
            if line["event"] == "file.ingested":
                done[line["path"]] = datetime.fromisoformat(line["timestamp"]).timestamp()
    in_turn = [1000 * (done[name] - at) for name, at in dropped.items()]
    took = sorted(in_turn)
    fifth = len(in_turn) // 5
    medians = [statistics.median(in_turn[i * fifth : (i + 1) * fifth]) for i in range(5)]
    cuts = statistics.quantiles(took, n=100)
    behind = max(done.values()) - max(dropped.values())
    print(
        f"{len(took):,} files at {rate:,.0f}/s: median {statistics.median(took):,.0f} ms, p90 {cuts[89]:,.0f}, p99 {cuts[98]:,.0f}, "
        f"most {took[-1]:,.0f}; medians of the fifths {', '.join(f'{m:,.0f}' for m in medians)}; "
        f"the last was stored {behind:.1f} s after it was dropped",
        flush=True,
    )


if __name__ == "__main__":
    given = [float(argument) for argument in sys.argv[1:]]
    main(given[0] if given else 30, given[1:] or [50, 100, 1000])
