"""JSON as scrapers write: a record, an array of records, an object with such an array, or a record a line."""

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
from ingestd.formats.source import HEAD_BYTES, read_all

_LISTS = ("articles", "items", "results", "docs", "documents", "data", "hits", "@graph")  # keys of the records
_LINES = (".jsonl", ".ndjson", ".jl")
MAX_DEPTH = 1000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # a string without an end goes to the end of the file


def is_json(head: bytes, name: str) -> bool:
    """Return whether the first character, or the name of a broken file, belongs to JSON."""
    return _skip_mark(head).startswith((b"{", b"[")) or name.lower().endswith((".json", *_LINES))


def is_json_lines(head: bytes, name: str) -> bool:
    """Return whether the name belongs to JSON lines, or the first line is a whole record and another record follows."""
    if head.startswith(tuple(mark for mark, _ in BOMS[1:])):
        return False  # UTF-16: the end of a line is no single byte
    if name.lower().endswith(_LINES):
        return True
    first, line_break, rest = _skip_mark(head).partition(b"\n")
    second, cut, _ = rest.lstrip().partition(b"\n")
    if not (line_break and first.startswith(b"{") and second.startswith(b"{") and _is_json_text(first)):
        return False
    return _is_json_text(second) if cut or len(head) < HEAD_BYTES else True


def read_json(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record]:
    """
    Yield the records of a file.

    Raises:
        UnusableError: the file as a whole does not parse.
    """
    data = read_all(stream, limits.max_file_bytes)
    if data.startswith(tuple(mark for mark, _ in BOMS)):
        data = decode(data).encode()
    try:
        _check_values(data, limits)
        values = _list_records(_decode_and_parse(data))
    except UnusableError as error:
        if error.reason not in (Reason.PARSE, Reason.TOO_LARGE) or not _has_json_lines(data, limits):
            raise
        yield from (
            _make_line_record(number, line, name) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()
        )
        return
    if len(values) > limits.max_records:
        raise UnusableError(
            Reason.TOO_LARGE, f"{len(values)} records, more than formats.max_records = {limits.max_records}"
        )
    size = len(data) // max(1, len(values))
    for number, value in enumerate(values, start=1):
        yield Record(number, value, _parse_value, size, name)


def read_json_lines(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record | Rejected]:
    """Yield a record for every line; a single line is in memory."""
    number = 0
    while line := stream.readline(limits.max_file_bytes + 1):
        number += 1
        if len(line) > limits.max_file_bytes:
            while line and not line.endswith(b"\n"):
                line = stream.readline(limits.max_file_bytes)
            detail = f"a line of more than formats.max_file_bytes = {limits.max_file_bytes} bytes"
            yield Rejected(number, Reason.TOO_LARGE, detail)
            continue
        if number == 1:
            line = line.removeprefix(BOMS[0][0])
        if line.strip():
            yield _make_line_record(number, line, name)


def parse_json(data: bytes) -> Any:
    """
    Return the value of a JSON text in UTF-8.

    Raises:
        UnusableError: the reason is `parse`, or `depth` if the nesting is too deep for an article.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error) or _measure_depth(data) > MAX_DEPTH:
            raise UnusableError(Reason.DEPTH, f"nested more than {MAX_DEPTH} deep") from error
        if "surrogate" not in str(error):
            raise UnusableError(Reason.PARSE, str(error)) from error
    # A lone surrogate is half a character: JSON allows it, UTF-8 does not. The standard library reads past it.
    try:
        return standard.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableError(Reason.PARSE, str(error)[:200]) from error


def _parse_value(value: Any, limits: ReadLimits) -> list[Article]:
    return [fields.build_article(value, limits)]


def _parse_line(line: bytes, limits: ReadLimits) -> list[Article]:
    _check_values(line, limits)
    return [fields.build_article(_decode_and_parse(line), limits)]


def _make_line_record(number: int, line: bytes, name: str) -> Record:
    return Record(number, line, _parse_line, len(line), name)


def _check_values(data: bytes, limits: ReadLimits) -> None:
    """Refuse a text with too many values for the memory, before the text is parsed: with a sign for each."""
    if len(data) <= limits.max_values:
        return
    n_values = sum(map(data.count, (b",", b"[", b"{")))
    if n_values > limits.max_values:
        detail = f"{n_values} values in one piece, more than {limits.max_values}; JSON lines may have any number"
        raise UnusableError(Reason.TOO_LARGE, detail)


def _decode_and_parse(data: bytes) -> Any:
    """Return the value of a JSON text in any encoding."""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = decode(data).encode()
    return parse_json(data)


def _skip_mark(head: bytes) -> bytes:
    return head.removeprefix(BOMS[0][0]).lstrip()


def _is_json_text(line: bytes, limits: ReadLimits | None = None) -> bool:
    try:
        if limits:
            _check_values(line, limits)
        _decode_and_parse(line)
    except UnusableError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _list_records(value: Any) -> list[Any]:
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
    """Return whether an entry is an article, not a person, a picture or an organisation in structured data."""
    kind = entry.get("@type") if isinstance(entry, dict) else None
    return any("Article" in str(k) or "Posting" in str(k) for k in (kind if isinstance(kind, list) else [kind]))


def _has_json_lines(data: bytes, limits: ReadLimits) -> bool:
    """Return whether at least two lines are complete objects. A single object and garbage is a broken file."""
    objects = 0
    for line in data.split(b"\n"):
        if line.lstrip().startswith(b"{") and _is_json_text(line, limits):
            objects += 1
            if objects == 2:
                return True
    return False


def _measure_depth(data: bytes) -> int:
    deepest = depth = 0
    for character in re.findall(rb"[\[{\]}]", _STRING.sub(b"", data)):
        depth += 1 if character in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
