"""
How long a file that is renamed into the folder takes until its article is committed.

    python -m tests.bench.latency [FILES_A_SECOND [SECONDS]]      (50, 60)

The daemon runs with its defaults; the end is when it logs the file, which it does after COMMIT.
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

from tests.bench.corpus import articles


def main(rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        inbox, log = Path(folder) / "inbox", Path(folder) / "log"
        inbox.mkdir()
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
        for number, made in enumerate(articles(int(rate * seconds))):
            time.sleep(max(0.0, start + number / rate - time.time()))
            path = inbox / f"{made.id}.txt"
            path.with_suffix(".part").write_text(
                f"{made.title}\nPublished {made.published:%Y-%m-%d %H:%M}\n{made.text}\n"
            )
            dropped[path.name] = time.time()
            path.with_suffix(".part").rename(path)
        time.sleep(2)
        daemon.terminate()
        daemon.wait()
        done = {}
        for line in map(json.loads, log.read_text().splitlines()):
            if line["event"] == "file.ingested":
                done[line["path"]] = datetime.fromisoformat(line["timestamp"]).timestamp()
    took = sorted(1000 * (done[name] - at) for name, at in dropped.items())
    cuts = statistics.quantiles(took, n=100)
    print(
        f"{len(took)} files at {rate:.0f}/s: median {statistics.median(took):.0f} ms, p90 {cuts[89]:.0f}, p99 {cuts[98]:.0f}, most {took[-1]:.0f}"
    )


if __name__ == "__main__":
    main(*(float(a) for a in (sys.argv[1:] + ["50", "60"][len(sys.argv) - 1 :])))
