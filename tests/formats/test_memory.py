"""Reading takes a small multiple of the limit in memory: measured in a process of its own for each case."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from ingestd.core.article import Article
from ingestd.formats.language import detect_language
from ingestd.workers.extract import compute_fingerprints
from tests.conftest import ROOT
from tests.formats.test_documents import LIMITS, read_document

MB = 1_000_000
_MOST_TIMES = 3.0  # of `max_file_bytes`
_SPARE = 64 * MB  # tables, and the pieces in which long texts are read
_SAMPLE = "A short text, caf\u00e9, of some words.\nAnd a line."

CASES: dict[str, tuple[str, Callable[[int], str]]] = {
    "lines": ("a.txt", lambda n: "ab\n" * (n // 3)),
    "words": ("a.txt", lambda n: " ".join(map(str, range(n // 7)))),
    "letters": ("a.txt", lambda n: "a b " * (n // 4)),
    "ideographs": ("a.txt", lambda n: "".join(chr(0x4E00 + i * i % 16381) for i in range(n // 3))),
    "ligatures": ("a.txt", lambda n: "\ufdfa" * (n // 3)),
    "beyond the basic plane": ("a.txt", lambda n: "a" * (n - 4) + "\U0001d49c"),
    "a page": ("a.html", lambda n: "<html><body><article><p>" + "some words " * (n // 11)),
    "Markdown": ("a.md", lambda n: "# A headline\n\n" + "some words " * (n // 11)),
    "a record": ("a.json", lambda n: json.dumps({"title": "A", "text": "ab\n" * (n // 4)})),
    "tags in a record": ("a.json", lambda n: json.dumps({"title": "A", "text": "<b>x" * (n // 4)})),
    "a title": ("a.jsonl", lambda n: json.dumps({"title": "ab " * (n // 3), "text": "A text."})),
    "a feed": ("a.xml", lambda n: "<rss><channel><item><description>" + "ab " * (n // 3) + "</description></item></channel></rss>"),
    "elements": ("a.xml", lambda n: "<nitf><body.content>" + "<p>a</p>" * (n // 8) + "</body.content></nitf>"),
}  # fmt: skip
_SHORT = ("words", "ideographs", "a page")


def read_whole(data: bytes, name: str, max_file_bytes: int) -> None:
    """Read a file as a worker does, from the bytes to the fingerprints."""
    limits = replace(LIMITS, max_file_bytes=max_file_bytes)
    articles = [result for result in read_document(data, name, limits) if isinstance(result, Article)]
    for article in articles:
        detect_language(article.title, article.text)
    compute_fingerprints(articles)


def measure_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read_and_measure(case: str, size: int, max_file_bytes: int) -> int:
    """Return the memory that reading takes beyond the memory before."""
    name, make = CASES[case]
    data = make(size).encode()
    for sample in ("a.txt", "a.html", "a.md"):  # load libraries and tables
        read_whole(f"<p>{_SAMPLE}</p>".encode() if sample == "a.html" else _SAMPLE.encode(), sample, max_file_bytes)
    before = measure_peak()
    read_whole(data, name, max_file_bytes)
    return measure_peak() - before


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak differs")
@pytest.mark.parametrize("case", CASES)
def test_reading_takes_a_small_multiple_of_the_limit(case: str, long: bool) -> None:
    if not long and case not in _SHORT:
        pytest.skip("with --long")
    size, max_file_bytes = (20 * MB - 100, 256 << 20) if long else (2 * MB, 25 * MB)
    command = [sys.executable, "-m", "tests.formats.test_memory", case, str(size), str(max_file_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    taken = int(done.stdout)
    assert taken < _MOST_TIMES * max_file_bytes + _SPARE, f"{size} bytes take {taken / MB:.0f} MB"


if __name__ == "__main__":
    print(read_and_measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
