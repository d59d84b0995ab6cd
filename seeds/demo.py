"""Drop the seed articles into a watched folder, as a scraper would, and show what the daemon makes of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

SEEDS = Path(__file__).parent
DATA = SEEDS.parent / "data" / "demo"
INBOX = DATA / "inbox"
DATABASE = f"sqlite:///{os.path.relpath(DATA / 'demo.db')}"
LONGEST_WAIT_S = 60.0


def ingestd(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ingestd", "--db", DATABASE, *arguments]


def drop(inbox: Path) -> int:
    """Write each file under another name and rename it, which tells that it is complete. Return how many there are."""
    found = sorted(path for path in SEEDS.glob("*/*") if path.is_file() and path.parent.name != "__pycache__")
    for path in found:
        folder = inbox / path.parent.name
        folder.mkdir(exist_ok=True)
        partial = folder / f"{path.name}.part"
        shutil.copyfile(path, partial)
        partial.rename(folder / path.name)
        time.sleep(0.02)
    return len(found)


def wait_until_settled(n: int) -> dict[str, int]:
    """Return the files by state, once all are finished."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        answer = json.loads(subprocess.run(ingestd("status", "--json"), capture_output=True, check=True).stdout)
        files: dict[str, int] = answer["files"]
        if sum(count for state, count in files.items() if state in {"stored", "duplicate", "quarantined"}) == n:
            return files
        time.sleep(0.2)
    sys.exit(f"The daemon did not finish within {LONGEST_WAIT_S:.0f} s; see {DATA / 'daemon.log'}")


def wait_until_started(log: Path, daemon: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while "daemon.started" not in log.read_text():
        if daemon.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"The daemon did not start; it said:\n{log.read_text()}")
        time.sleep(0.05)


def main() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
    INBOX.mkdir(parents=True)
    log = DATA / "daemon.log"
    with log.open("wb") as said:
        daemon = subprocess.Popen(ingestd("run", "--watch", str(INBOX)), stderr=said)
    try:
        wait_until_started(log, daemon)
        start = time.monotonic()
        n = drop(INBOX)
        print(
            f"The daemon watches {os.path.relpath(INBOX)}. Dropped {n} files, as the scrapers of eight outlets would."
        )
        files = wait_until_settled(n)
        print(
            f"Settled after {time.monotonic() - start:.1f} s: {', '.join(f'{c} {s}' for s, c in sorted(files.items()))}.\n"
        )
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(timeout=20)
    subprocess.run(ingestd("clusters", "--limit", "10"), check=True)
    subprocess.run(ingestd("files", "--state", "quarantined"), check=True)
    database = os.path.relpath(DATA / "demo.db")
    print(f"""
The daemon ended with {code} when it was asked to. The files now lie in {os.path.relpath(INBOX)}/.ingestd.
The database is {database}. Three questions to put to it, for instance with sqlite3:

  -- which stories do several newsrooms cover?
  SELECT id, title, n_originals, n_outlets, first_published_at FROM stories;

  -- who reported what, and who was first?
  SELECT cluster_id, nth_to_publish, outlet, title, relation, round(score, 2) FROM coverage ORDER BY cluster_id, nth_to_publish;

  -- which articles are copies, and of which?
  SELECT a.title, c.relation, b.title AS copy_of, round(c.jaccard, 2) AS jaccard
  FROM copies c JOIN articles a ON a.id = c.article_id JOIN articles b ON b.id = c.canonical_article_id;

And why two articles are together:  ingestd --db {DATABASE} why ferry-collision.txt 2025-03-12-fog-ferry.txt""")


if __name__ == "__main__":
    main()
