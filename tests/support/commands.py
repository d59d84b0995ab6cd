"""Many commands of the program, run one after the other in one process: a process a command takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """
import json, sys, traceback
from ingestd.cli import app
for line in sys.stdin:
    try:
        app(json.loads(line), prog_name="ingestd")
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 99
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        stream.buffer.write(b"\\0%d\\0" % (code or 0))
        stream.flush()
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one command."""

    arguments: Sequence[str]
    code: int  # 99: it raised
    out: str
    err: str


def run_commands(folder: Path, commands: Sequence[Sequence[str]], **environment: str) -> list[Answer]:
    """Run commands in a folder, and return the answer of each."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=folder, input="\n".join(map(json.dumps, commands)).encode(),
        env=os.environ | {"INGESTD_INGEST__WORKERS": "0"} | environment, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    out, err = (stream.decode("utf-8", "surrogateescape").split("\0") for stream in (done.stdout, done.stderr))
    assert len(out) == len(err) == 2 * len(commands) + 1
    return [
        Answer(command, int(code), said, complained)
        for command, said, complained, code in zip(commands, out[::2], err[::2], err[1::2], strict=False)
    ]
