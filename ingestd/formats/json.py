"""JSON as scrapers write it: a record, an array of them, an object that holds such an array, or a record a line."""

from __future__ import annotations

import json as standard
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected
from ingestd.errors import Reason, UnusableError
from ingestd.formats import fields
from ingestd.formats.encoding import BOMS, decode
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import HEAD_BYTES, whole

_LISTS = ("articles", "items", "results", "docs", "documents", "data", "hits", "@graph")  # keys that hold the records
_LINES = (".jsonl", ".ndjson", ".jl")
MAX_DEPTH = 1000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # one that is never closed goes to the end


def recognises(head: bytes, name: str) -> bool:
    """Tell JSON by its first character, or its name where the content is broken."""
    return _start(head).startswith((b"{", b"[")) or name.lower().endswith((".json", *_LINES))


def recognises_lines(head: bytes, name: str) -> bool:
    """Tell a record a line: by the name, or because the first line is a whole record and another one follows."""
    if head.startswith(tuple(mark for mark, _ in BOMS[1:])):
        return False  # UTF-16: where a line ends is not to be seen in bytes
    if name.lower().endswith(_LINES):
        return True
    first, line_break, rest = _start(head).partition(b"\n")
    second, cut, _ = rest.lstrip().partition(b"\n")
    if not (line_break and first.startswith(b"{") and second.startswith(b"{") and _parses(first)):
        return False
    return _parses(second) if cut or len(head) < HEAD_BYTES else True


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record]:
    """
    Yield the records of a file.

    Raises:
        UnusableError: the file as a whole does not parse.
    """
    data = whole(stream, context.max_file_bytes)
    if data.startswith(tuple(mark for mark, _ in BOMS)):
        data = decode(data).encode()
    try:
        found = _listed(_parsed(data))
    except UnusableError as error:
        if error.reason is not Reason.PARSE or not _looks_like_lines(data):
            raise
        yield from (_line(number, line, name) for number, line in enumerate(data.split(b"\n"), 1) if line.strip())
        return
    if len(found) > context.max_records:
        raise UnusableError(
            Reason.TOO_LARGE, f"{len(found)} records, more than formats.max_records = {context.max_records}"
        )
    size = len(data) // max(1, len(found))
    for number, value in enumerate(found, start=1):
        yield Record(number, value, _understand, size, name)


def line_records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record | Rejected]:
    """Yield the lines of a file, each a record, as they come."""
    number = 0
    while line := stream.readline(context.max_file_bytes + 1):
        number += 1
        if len(line) > context.max_file_bytes:
            while line and not line.endswith(b"\n"):
                line = stream.readline(context.max_file_bytes)
            detail = f"a line of more than formats.max_file_bytes = {context.max_file_bytes} bytes"
            yield Rejected(number, Reason.TOO_LARGE, detail)
            continue
        if number == 1:
            line = line.removeprefix(BOMS[0][0])
        if line.strip():
            yield _line(number, line, name)


def parse(data: bytes) -> Any:
    """
    Return what a JSON text says.

    Raises:
        UnusableError: `parse`, or `depth` where it is nested too deeply to be an article.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error) or _depth(data) > MAX_DEPTH:
            raise UnusableError(Reason.DEPTH, f"nested more than {MAX_DEPTH} deep") from error
        if "surrogate" not in str(error):
            raise UnusableError(Reason.PARSE, str(error)) from error
    # A lone surrogate is half a character: JSON allows it, UTF-8 does not. The standard library reads past it.
    try:
        return standard.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableError(Reason.PARSE, str(error)[:200]) from error


def _understand(value: Any, context: ReadLimits) -> list[Article]:
    return [fields.article(value, context)]


def _understand_line(line: bytes, context: ReadLimits) -> list[Article]:
    return [fields.article(_parsed(line), context)]


def _line(number: int, line: bytes, name: str) -> Record:
    return Record(number, line, _understand_line, len(line), name)


def _parsed(data: bytes) -> Any:
    """Return what a JSON text says, in whatever encoding it was written."""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = decode(data).encode()
    return parse(data)


def _start(head: bytes) -> bytes:
    return head.removeprefix(BOMS[0][0]).lstrip()


def _parses(line: bytes) -> bool:
    try:
        _parsed(line)
    except UnusableError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise UnusableError(Reason.SCHEMA, f"the file holds one {type(value).__name__}, not an article")
    if not any(key in value for key in (*fields.KEYS["text"], *fields.KEYS["title"])):
        for key in _LISTS:
            if isinstance(value.get(key), dict):  # Elasticsearch: {"hits": {"hits": [...]}}
                value = value[key]
            if isinstance(value.get(key), list):
                return [entry for entry in value[key] if key != "@graph" or _may_be_article(entry)]
    return [value]


def _may_be_article(entry: object) -> bool:
    """Tell an article among the people, pictures and organisations that structured data describe."""
    kind = entry.get("@type") if isinstance(entry, dict) else None
    return any("Article" in str(k) or "Posting" in str(k) for k in (kind if isinstance(kind, list) else [kind]))


def _looks_like_lines(data: bytes) -> bool:
    """Tell whether at least two lines are objects of their own. One object and garbage is a broken file."""
    objects = 0
    for line in data.split(b"\n"):
        if line.lstrip().startswith(b"{") and _parses(line):
            objects += 1
            if objects == 2:
                return True
    return False


def _depth(data: bytes) -> int:
    deepest = depth = 0
    for character in re.findall(rb"[\[{\]}]", _STRING.sub(b"", data)):
        depth += 1 if character in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
