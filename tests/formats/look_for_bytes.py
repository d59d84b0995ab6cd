"""
Let atheris look for bytes that come to anything but articles or named errors, in a process whose memory is limited.

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
    from tests.formats.fuzz import NAMES, check

MEMORY = 2 << 30  # bytes of address space, libraries included


def one(data: bytes) -> None:
    """The first byte says how the file is named."""
    if data:
        check(data[1:], NAMES[data[0] % len(NAMES)])


def main(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    known = Path(tempfile.mkdtemp())
    for number, document in enumerate(DOCUMENTS):
        check(document.content, document.name)
        (known / str(number)).write_bytes(bytes([number % len(NAMES)]) + document.content)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=20000",
        "-rss_limit_mb=2048",
        "-timeout=30",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(known)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
