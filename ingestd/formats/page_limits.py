"""Pages cut to what the parsers of pages read in reasonable time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingestd.core.text.normalise import limit_marks

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_MOST_ATTRIBUTES = 300  # of a tag; libxml2 compares each attribute of a tag with all others
_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>]*+))?"""
_TAG = rf"<[A-Za-z/][^\s/>]*+(?:{_ATTRIBUTE}){{0,{_MOST_ATTRIBUTES}}}+"
_ONLY_SHORT_TAGS = re.compile(rf"(?:[^<]++|<(?![A-Za-z/])|{_TAG}(?!{_ATTRIBUTE}))*+")
_LONG_TAG = re.compile(rf"(?P<kept>{_TAG})(?:{_ATTRIBUTE})*+")
_LONG_NUMBER = re.compile(r"#[0-9]{1000,}+")  # Python refuses to convert more than 4,300 digits


def limit_page(characters: str) -> str:
    """Return a page without the attributes beyond `_MOST_ATTRIBUTES` of a tag, and without endless numbers."""
    characters = _LONG_NUMBER.sub("#65533", characters)
    if _ONLY_SHORT_TAGS.fullmatch(characters):
        return characters
    return _LONG_TAG.sub(r"\g<kept>", characters)


def limit_addresses(tree: HtmlElement) -> None:
    """Cut the marks on letters in the addresses of a page: Python normalises the host of each address."""
    for element in tree.iter("link", "base", "meta"):
        for name in ("href", "content"):
            value = element.get(name)
            if value and not value.isascii():
                element.set(name, limit_marks(value))
