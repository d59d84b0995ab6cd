"""A fault of ours is kept with the record, the file or the chunk it is in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ingestd.core.article import Article
from ingestd.core.source_file import Reason, SeenFile
from ingestd.errors import UnusableError
from ingestd.formats import ReadLimits, Record
from ingestd.workers.chunks import Chunk, collect_chunk
from ingestd.workers.extract import extract_chunk
from ingestd.workers.faults import FaultTrap

FILE = SeenFile("/root", b"a.json", 1, 1, 1, 1, 0o100644)
LIMITS = ReadLimits(datetime.now(UTC), ZoneInfo("UTC"))


def parse(title: str, _limits: ReadLimits) -> Iterable[Article]:
    if title == "unlucky":
        raise ZeroDivisionError("a fault that nobody foresaw")
    yield Article(title=title, text="Some text.")


def test_a_fault_in_one_record_is_listed_and_the_others_are_extracted() -> None:
    records = [Record(number, title, parse, 1) for number, title in enumerate(["first", "unlucky", "third"], 1)]
    result = extract_chunk(FILE, Chunk(tuple(records), (), {}, None, 0, last=True), LIMITS)
    assert [article.title for article in result.articles] == ["first", "third"]
    assert len(result.fingerprints) == 2
    ((number, reason, detail),) = [(r.record_no, r.reason, r.detail) for r in result.rejected]
    assert (number, reason) == (2, Reason.INTERNAL)
    assert "nobody foresaw" in detail


def test_a_fault_in_cutting_ends_the_chunk_and_keeps_what_came_before() -> None:
    def cut() -> Iterable[Record]:
        yield Record(1, "first", parse, 1)
        raise ZeroDivisionError("a fault that nobody foresaw")

    chunk = collect_chunk(iter(cut()), "", 10, 10)
    assert (len(chunk.records), chunk.last) == (1, True)
    assert isinstance(chunk.failure, UnusableError)
    assert chunk.failure.reason is Reason.INTERNAL


def test_a_named_error_keeps_its_reason() -> None:
    with FaultTrap() as trap:
        raise UnusableError(Reason.GZIP, "cut off")
    assert trap.error is not None
    assert trap.error.reason is Reason.GZIP


def test_a_request_to_end_the_process_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt), FaultTrap():
        raise KeyboardInterrupt
