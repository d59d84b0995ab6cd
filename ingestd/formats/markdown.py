"""Markdown, with or without front matter in YAML or TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from ingestd.core.article import Article
from ingestd.errors import Reason, UnusableError
from ingestd.formats import fields, text
from ingestd.formats.encoding import decode
from ingestd.formats.markdown_text import render_plain
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import read_article

_ENDINGS = (".md", ".markdown", ".mdown", ".mkd")
_FRONT = re.compile(
    r"\A(?P<mark>---|\+\+\+)[ \t]*\n(?P<matter>.*?)^(?:(?P=mark)|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_MOST_MATTER = 1 << 16  # characters of front matter
_DEEPEST_KEY = 32  # parts of a dotted key in TOML; the time for a key grows with the square of the parts
# Lists and maps of YAML that begin one in another; the parser looks at all open ones for every token.
_DEEP_YAML = re.compile(r"(?:[\[{]\s*+|[?-]\s++){50}")
_KEY_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_NEXT_PART = rf"(?:[ \t]*+\.[ \t]*+{_KEY_PART})"
# Each token of TOML as far as dots are concerned: text in strings and comments is no key.
_TOML_TOKEN = re.compile(
    rf"""\"{{3}}(?:[^"\\]|\\.|"(?!""))*+(?:\"{{3}}|\Z)|'{{3}}.*?(?:'{{3}}|\Z)|\#[^\n]*+"""
    rf"|(?P<deep>{_KEY_PART}{_NEXT_PART}{{{_DEEPEST_KEY}}})|{_KEY_PART}{_NEXT_PART}*+",
    re.DOTALL,
)


def is_markdown(head: bytes, name: str) -> bool:
    """Return whether the name belongs to Markdown, or the file begins with front matter."""
    start = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return name.lower().endswith(_ENDINGS) or (
        start.startswith((b"---\n", b"+++\n")) and b"\n" + start[:3] in start[3:] and b":" in start[:500] + b"="
    )


def read_markdown(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record]:
    """Yield the single record of a file."""
    data = read_article(stream, limits)
    yield Record(1, data, _parse_file, len(data), name)


def _parse_file(data: bytes, limits: ReadLimits) -> list[Article]:
    characters = decode(data).replace("\r\n", "\n")
    front = _FRONT.match(characters)
    matter = _parse_front_matter(front["mark"], front["matter"]) if front else {}
    body = text.parse_text(
        render_plain(characters[front.end() :] if front else characters), limits, required=not matter
    )
    if not matter:
        return [body]
    # A field of the front matter wins over a fact in the text, and the text over a summary in the front matter.
    named = fields.build_article(matter | ({"maintext": body.text} if body.text else {}), limits)
    if named.title is None or named.title == body.title:
        return [replace(named, title=named.title or body.title, authors=named.authors or body.authors)]
    # The first line is no headline, but a part of the text.
    whole_text = "\n\n".join(part for part in (body.title, body.text) if part)
    return [replace(named, text=whole_text or named.text, authors=named.authors or body.authors)]


def _parse_front_matter(mark: str, matter: str) -> dict[str, Any]:
    if len(matter) > _MOST_MATTER:
        raise UnusableError(Reason.TOO_LARGE, f"more than {_MOST_MATTER} characters of front matter")
    try:
        value = _load_yaml(matter) if mark == "---" else _load_toml(matter)
        str(value)  # fails if a number has more digits than Python writes
    except (ValueError, RecursionError) as error:  # an error in TOML is a ValueError too
        raise UnusableError(Reason.PARSE, f"front matter: {' '.join(str(error).split())[:200]}") from error
    return value if isinstance(value, dict) else {}


def _load_yaml(matter: str) -> Any:
    if _DEEP_YAML.search(matter):
        raise UnusableError(Reason.DEPTH, "front matter: 50 lists or maps one in another")
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses aliases: a few aliases can expand to any size."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise UnusableError(Reason.PARSE, "front matter: YAML aliases are not followed")
            return super().compose_node(parent, index)

    try:
        loader = Loader(matter)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _load_toml(matter: str) -> dict[str, Any]:
    if any(token["deep"] for token in _TOML_TOKEN.finditer(matter)):
        raise UnusableError(Reason.DEPTH, f"front matter: a key of more than {_DEEPEST_KEY} parts")
    return tomllib.loads(matter)
