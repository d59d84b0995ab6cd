"""A format whose files never end, end their reader, or take all memory."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import ROOT
from tests.support.plugin import install_plugin

# Each line is a record: the first word says what becomes of the reader.
_CODE = """
import os, signal, sys, time
from ingestd.core.article import Article
from ingestd.formats import Format, Record

def recognises(head, name):
    return name.endswith(".acts")

def records(stream, name, context):
    for number, line in enumerate(stream.read().decode().splitlines(), 1):
        if line == "never cut":
            time.sleep(600)
        yield Record(number, line, understand, 10)

def understand(line, context):
    act, _, title = line.partition(" ")
    if act == "sleep":
        time.sleep(600)
    if act == "loop":
        while True:
            pass
    if act == "exit":
        os._exit(3)
    if act == "leave":
        sys.exit(3)
    if act == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if act == "eat":
        eaten = [bytearray(64 << 20) for _ in range(100)]
    return [Article(title=title, text=f"A text about {title} that is long enough.")]

FORMAT = Format("acts", recognises, records)
"""


def make_environment(folder: Path, **limits: str) -> dict[str, str]:
    """Return the environment of a program that reads files named `*.acts`, with low limits."""
    package = install_plugin(folder, "acts", _CODE, "acts = acts:FORMAT")
    return {
        "PYTHONPATH": os.pathsep.join([str(package), str(ROOT)]),
        "INGESTD_INGEST__WORKERS": "2",
        "INGESTD_INGEST__READ_SECONDS": "3",
        "INGESTD_INGEST__READ_MEMORY_BYTES": str(1 << 29),
        "INGESTD_WATCH__RESCAN_SECONDS": "1",
    } | limits
