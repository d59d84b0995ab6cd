"""
10,000 made-up articles as text files through `ingestd ingest`: articles a second, memory, and the time of each stage.

    python -m tests.bench.end_to_end [N]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.bench.corpus import articles, write


def memory_of_all(process: psutil.Process) -> int:
    """Bytes that the program and its workers hold, shared pages counted once each."""
    total = 0
    for part in (process, *process.children(recursive=True)):
        try:
            total += part.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        write(articles(n), Path(folder) / "files")
        command = [
            sys.executable,
            "-m",
            "ingestd",
            "ingest",
            "files",
            "--db",
            "sqlite:///bench.db",
            "--profile",
            "--json",
        ]
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        peak = main_peak = 0
        while process.poll() is None:
            try:
                main_peak = max(main_peak, psutil.Process(process.pid).memory_info().rss)
                peak = max(peak, memory_of_all(psutil.Process(process.pid)))
            except psutil.Error:
                break
            time.sleep(0.25)
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
        elapsed = time.monotonic() - start
        size = (Path(folder) / "bench.db").stat().st_size
    print(
        f"{summary['articles']:,} articles in {elapsed:.1f} s: {summary['articles'] / elapsed:,.0f} articles/s, start included"
    )
    print(f"memory at most {main_peak / 2**20:,.0f} MiB in the main process, {peak / 2**20:,.0f} MiB with the workers")
    print(f"database {size / summary['articles']:,.0f} bytes an article")
    for stage, seconds in summary["seconds"].items():
        print(f"  {stage:<18} {seconds:8.2f} s  {1e6 * seconds / summary['articles']:8.0f} us an article")


if __name__ == "__main__":
    main()
