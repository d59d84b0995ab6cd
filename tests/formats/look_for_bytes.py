"""
Let atheris search for bytes with other results than articles or named errors, in a process with limited memory.

    python -m tests.formats.look_for_bytes SECONDS
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ingestd.formats", "warcio", "htmldate"], enable_loader_override=False):
    from tests.formats.documents import DOCUMENTS
    from tests.formats.fuzz import NAMES, check_bytes

MEMORY = 2 << 30  # bytes of address space, libraries included


def check_input(data: bytes) -> None:
    """Check the bytes after the first; the first byte selects the name of the file."""
    if data:
        check_bytes(data[1:], NAMES[data[0] % len(NAMES)])


def main(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seeds = Path(tempfile.mkdtemp())
    for number, document in enumerate(DOCUMENTS):
        check_bytes(document.content, document.name)
        (seeds / str(number)).write_bytes(bytes([number % len(NAMES)]) + document.content)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=20000",
        "-rss_limit_mb=2048",
        "-timeout=30",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(seeds)], check_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
