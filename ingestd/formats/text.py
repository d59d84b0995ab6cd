"""Plain text as a scraper leaves it: headline, dateline, byline, paragraphs, and stray lines of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from ingestd.core.article import Article, DateSource
from ingestd.errors import Reason, UnusableError
from ingestd.formats.encoding import decode, fix_text
from ingestd.formats.foreign import refuse_list
from ingestd.formats.page_lines import separate_page_lines
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import read_article

_HEADLINE_CHARS = 300  # a longer first line is a paragraph, not a headline


def accepts_any(_head: bytes, _name: str) -> bool:
    """Accept every file: plain text is the last format to be asked."""
    return True


def read_text(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record]:
    """Yield the single record of a file."""
    data = read_article(stream, limits)
    yield Record(1, data, _parse_file, len(data), name)


def parse_text(characters: str, limits: ReadLimits, *, required: bool = True) -> Article:
    """
    Return the article in a plain text.

    The first line is the headline if the line is short and text follows. Lines with only a date, a byline or a label
    of the page are removed; the first date is the date of publication.

    Raises:
        UnusableError: no words are left, and `required` is set.
    """
    story = separate_page_lines([line.strip() for line in fix_text(characters).splitlines()], limits)
    title, body = _split_headline(story.lines)
    if required and not re.search(r"\w", title or body):
        raise UnusableError(Reason.SCHEMA, "neither a title nor a text")
    return Article(
        title=title,
        text=body,
        authors=story.authors,
        published_at=story.published.at if story.published else None,
        published_source=DateSource.TEXT if story.published else None,
        published_precision=story.published.precision if story.published else None,
    )


def _parse_file(data: bytes, limits: ReadLimits) -> list[Article]:
    characters = decode(data)
    if not characters.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space")
    refuse_list(characters)
    return [parse_text(characters, limits)]


def _split_headline(lines: Sequence[str]) -> tuple[str | None, str]:
    """Return headline and text. Paragraphs are parted by one blank line at most."""
    body = "\n".join(lines).strip()
    if "\n\n\n" in body:
        body = re.sub(r"\n{3,}", "\n\n", body)
    first, _, rest = body.partition("\n")
    if rest.strip() and len(first) <= _HEADLINE_CHARS:
        return first, rest.strip()
    return None, body
