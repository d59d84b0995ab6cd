"""A check of the reading of any bytes: the results are articles or named errors, and nothing else."""

from __future__ import annotations

import sys
from typing import Any

from ingestd.core.article import Article
from ingestd.errors import Reason
from ingestd.formats import Rejected, Skipped, load_plugins
from tests.formats.test_documents import read_document

NAMES = [
    "a",
    "a.txt",
    "a.html",
    "a.json",
    "a.jsonl",
    "a.md",
    "a.xml",
    "a.warc",
    "a.gz",
    "a.zip",
    "a.tar",
    "2025-02-04.txt",
]
_forbidden: list[str] = []
_watching: list[bool] = []


def check_bytes(data: bytes, name: str) -> None:
    """Read bytes as a file of this name; raise an error for any other result, and for files or connections opened."""
    _install_hook()
    load_plugins()  # the search for packages opens files, and happens once
    _forbidden.clear()
    _watching.append(True)
    try:
        results = read_document(data, name)
    finally:
        _watching.clear()
    assert not _forbidden, _forbidden
    for part in results:
        assert isinstance(part, (Article, Rejected, Skipped))
        assert not (isinstance(part, Rejected) and part.reason is Reason.INTERNAL)
        if isinstance(part, Article):
            assert "\0" not in part.text + (part.title or "")
            (part.text + (part.title or "")).encode()  # no half characters


def _install_hook() -> None:
    """Have Python report all opened files and connections."""
    if not getattr(sys, "_watched_by_fuzz", False):
        sys._watched_by_fuzz = True  # type: ignore[attr-defined]
        sys.addaudithook(_record_event)


def _record_event(event: str, arguments: Any) -> None:
    if not _watching:
        return
    if event == "open":
        path, mode = str(arguments[0]), arguments[1]
        of_python = path.startswith((sys.prefix, sys.base_prefix, "<frozen", "/usr/share/zoneinfo"))
        if not (of_python and (mode is None or "r" in mode)):
            _forbidden.append(f"{event} {path} {mode}")
    elif event.startswith(
        ("socket.connect", "socket.getaddrinfo", "subprocess", "os.system", "os.exec", "os.remove", "os.rename")
    ):
        _forbidden.append(f"{event} {arguments}")
