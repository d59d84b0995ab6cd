"""What an inbox hands out."""

from __future__ import annotations

import time

from ingestd.core.source_file import SeenFile
from ingestd.inbox.inbox import Inbox


def handed_out(inbox: Inbox, wait_s: float = 3.0, n: int = 1) -> list[SeenFile]:
    """What is handed out until there are n of them, or the time is over."""
    found: list[SeenFile] = []
    deadline = time.monotonic() + wait_s
    while len(found) < n and (left := deadline - time.monotonic()) > 0:
        found += inbox.take_complete(100, left)
    return found


def names(inbox: Inbox, wait_s: float = 3.0, n: int = 1) -> list[str]:
    """Their names."""
    return sorted(seen.name for seen in handed_out(inbox, wait_s, n))
