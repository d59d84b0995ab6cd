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
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import whole

_ENDINGS = (".md", ".markdown", ".mdown", ".mkd")
_FRONT = re.compile(
    r"\A(?P<mark>---|\+\+\+)[ \t]*\n(?P<matter>.*?)^(?:(?P=mark)|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_MOST_MATTER = 1 << 16  # characters of front matter
_BLOCKS = ("paragraph_close", "heading_close", "list_item_close", "blockquote_close", "fence", "code_block", "tr_close")


def recognises(head: bytes, name: str) -> bool:
    """Tell Markdown by the name, or by front matter."""
    start = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    return name.lower().endswith(_ENDINGS) or (
        start.startswith((b"---\n", b"+++\n")) and b"\n" + start[:3] in start[3:] and b":" in start[:500] + b"="
    )


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record]:
    """Yield the one record of a file."""
    data = whole(stream, context.max_file_bytes)
    yield Record(1, data, _understand, len(data), name)


def _understand(data: bytes, context: ReadLimits) -> list[Article]:
    characters = decode(data).replace("\r\n", "\n")
    found = _FRONT.match(characters)
    matter = _matter(found["mark"], found["matter"]) if found else {}
    body = text.article(_plain(characters[found.end() :] if found else characters), context, required=not matter)
    if not matter:
        return [body]
    # A field of the front matter wins over what the text shows, and the text over a summary in the front matter.
    named = fields.article(matter | ({"maintext": body.text} if body.text else {}), context)
    if named.title is None or named.title == body.title:
        return [replace(named, title=named.title or body.title, authors=named.authors or body.authors)]
    # The first line is no headline then, but a part of the text.
    whole_text = "\n\n".join(part for part in (body.title, body.text) if part)
    return [replace(named, text=whole_text or named.text, authors=named.authors or body.authors)]


def _matter(mark: str, matter: str) -> dict[str, Any]:
    if len(matter) > _MOST_MATTER:
        raise UnusableError(Reason.TOO_LARGE, f"more than {_MOST_MATTER} characters of front matter")
    try:
        found = _yaml(matter) if mark == "---" else tomllib.loads(matter)
        str(found)  # fails where a number has more digits than Python writes
    except (ValueError, RecursionError) as error:  # what is wrong with TOML is a ValueError too
        raise UnusableError(Reason.PARSE, f"front matter: {' '.join(str(error).split())[:200]}") from error
    return found if isinstance(found, dict) else {}


def _yaml(matter: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Without aliases: a few of them written out can be of any size."""

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


def _plain(characters: str) -> str:
    """Return what a reader would see of Markdown, a block a line."""
    from markdown_it import MarkdownIt

    blocks: list[str] = []
    line: list[str] = []
    for token in MarkdownIt("commonmark", {"maxNesting": 50}).enable("table").parse(characters):
        if token.type == "inline":
            for child in token.children or ():
                if child.type in ("text", "code_inline"):
                    line.append(child.content)
                elif child.type in ("softbreak", "hardbreak"):
                    line.append("\n" if child.type == "hardbreak" else " ")
        elif token.type in ("fence", "code_block"):
            line.append(token.content.strip())
        elif token.type in ("td_close", "th_close"):
            line.append(" ")
        if token.type in _BLOCKS and line:
            blocks.append("".join(line).strip())
            line = []
    if line:
        blocks.append("".join(line).strip())
    return "\n\n".join(block for block in blocks if block)
