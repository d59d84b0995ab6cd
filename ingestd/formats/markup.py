"""Plain text from pieces of HTML, such as scrapers leave in the fields of a record."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree
from lxml import html as lxml_html

from ingestd.formats.encoding import fix_text
from ingestd.formats.page_limits import limit_page

_TAG = re.compile(
    r"</?(?:p|br|div|span|a|h[1-6]|ul|ol|li|em|strong|b|i|img|figure|blockquote|article|section|table|tr|td|html|body)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_BLOCKS = frozenset(
    ("address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "figure", "footer",
     "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hl2", "hr", "html", "li", "main", "nav", "ol", "p", "pre",
     "section", "table", "td", "th", "tr", "ul", "br")
)  # fmt: skip
_NOT_TEXT = frozenset(
    ("script", "style", "noscript", "template", "head", "title", "nav", "aside", "form", "button", "select", "iframe",
     "object", "svg", "figcaption", "media")
)  # fmt: skip
_DEEPEST = 200  # levels; deeper text is left out


def strip_markup(text: str) -> str:
    """Return the visible text if the text is written in HTML, else the text unchanged."""
    if "<" not in text or not _TAG.search(text):
        return text
    try:
        element = lxml_html.fragment_fromstring(limit_page(text), create_parent="div")
    except (etree.LxmlError, ValueError):
        return text
    return extract_text(element)


def extract_text(element: etree._Element) -> str:
    """Return the visible text of an element, a block a line."""
    lines: list[str] = []
    open_line: list[str] = []
    for piece in _iterate_pieces(element, 0):
        if piece is None:
            lines.append(" ".join("".join(open_line).split()))
            open_line = []
        else:
            open_line.append(piece)
    lines.append(" ".join("".join(open_line).split()))
    return fix_text("\n".join(line for line in lines if line))


def _iterate_pieces(element: etree._Element, level: int) -> Iterator[str | None]:
    """Yield text in reading order, and None at the beginning and the end of a block."""
    if not isinstance(element.tag, str):  # a comment or an instruction
        return
    tag = element.tag.rpartition("}")[2].lower()
    if tag in _NOT_TEXT or level > _DEEPEST:
        return
    if tag in _BLOCKS:
        yield None
    if element.text:
        yield element.text
    for child in element:
        yield from _iterate_pieces(child, level + 1)
        if child.tail:
            yield child.tail
    if tag in _BLOCKS:
        yield None
