"""Web pages: the text of the article without the page around the article. trafilatura finds the text."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from ingestd.core.article import Article, DateSource
from ingestd.core.text.normalise import limit_marks
from ingestd.core.text.urls import canonicalise_url, find_domain
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates
from ingestd.formats.encoding import decode, fix_text
from ingestd.formats.markup import extract_text
from ingestd.formats.page_limits import limit_addresses, limit_page
from ingestd.formats.page_lines import separate_page_lines
from ingestd.formats.page_metadata import PageMetadata, extract_metadata, make_absolute
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import read_article

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_START = re.compile(
    rb"(?>\s+|<\?xml[^>]*>|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|article|main"
    rb"|section|div|p|h[1-6]|span|table|header|br|center|font|ul|ol|b|i|em|strong|a|img|blockquote|figure|form|nav)\b",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_SENTENCE_WORDS = 12  # a line with a time and fewer words is a dateline, not a sentence
_ARTICLE_WORDS = 60  # of an article beside others on a page; shorter texts are teasers
_INDEX_TEASERS = 4  # a page with this many teasers and no article is a front page


@dataclass(frozen=True, slots=True)
class Page:
    """A page as fetched."""

    data: bytes
    url: str | None = None
    charset: str | None = None  # according to the transport


def is_html(head: bytes, _name: str) -> bool:
    """Return whether the first tag is a tag of HTML."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")[2:]
    return bool(_START.match(head.removeprefix(b"\xef\xbb\xbf")))


def read_html(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record]:
    """
    Yield the single page of a file.

    Raises:
        UnusableError: the name promises JSON, as when a scraper saved an error page.
    """
    ending = name.lower().rpartition(".")[2]
    if ending in ("json", "jsonl", "ndjson"):
        raise UnusableError(Reason.TYPE, f"the file is HTML and not {ending.upper()}: an error page?")
    data = read_article(stream, limits)
    yield Record(1, Page(data), parse_page, len(data), name)


def parse_page(page: Page, limits: ReadLimits) -> list[Article]:
    """
    Return the article of a page; several articles if the page prints several in full.

    Raises:
        UnusableError: the page has no article.
    """
    if len(page.data) > limits.max_article_bytes:
        detail = f"a page of {len(page.data)} bytes; more than {limits.max_article_bytes} are not read"
        raise UnusableError(Reason.TOO_LARGE, detail)
    if (n_tags := page.data.count(b"<")) > limits.max_tags:
        raise UnusableError(Reason.TOO_LARGE, f"a page of {n_tags} tags; more than {limits.max_tags} are not read")
    _silence_libraries()
    from trafilatura import bare_extraction, load_html  # slow to import

    characters = _XML_DECLARATION.sub("", decode(page.data, page.charset or _find_declared_charset(page.data)))
    if not characters.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space")
    tree = load_html(limit_page(characters))
    if tree is None:
        raise UnusableError(Reason.SCHEMA, "the page has no content")
    limit_addresses(tree)
    metadata = extract_metadata(tree, limit_marks(page.url) if page.url else None, limits)
    if not metadata.is_article:
        if articles := _extract_several(tree, metadata, limits):
            return articles
        if _is_front_page(tree):
            raise UnusableError(Reason.SCHEMA, "a page of links to articles, and no article")
    document: Any = None
    with suppress(ValueError):  # a character reference of thousands of digits, made in the page itself
        document = bare_extraction(tree, url=metadata.url, include_comments=False, with_metadata=False)
    text = fix_text(document.text or "") if document is not None else ""
    return [_make_article(text or metadata.body, metadata, limits)]


def _make_article(text: str, metadata: PageMetadata, limits: ReadLimits) -> Article:
    story = separate_page_lines(text.split("\n"), limits)
    lines = [line.removeprefix("- ").strip() for line in story.lines if line.strip()]
    if lines and metadata.title and lines[0].casefold() == metadata.title.casefold():
        lines = lines[1:]
    if not re.search(r"\w", "".join(lines)):
        raise UnusableError(Reason.SCHEMA, "no text of an article on the page")
    published, source = metadata.published, metadata.published_source
    if story.published and (published is None or source is DateSource.TEXT):
        published, source = story.published, DateSource.TEXT
    return Article(
        title=metadata.title,
        text="\n".join(lines),
        outlet=metadata.outlet or (find_domain(metadata.url) if metadata.url else None),
        url=metadata.url,
        url_canonical=canonicalise_url(metadata.url) if metadata.url else None,
        external_id=metadata.external_id,
        authors=metadata.authors or story.authors,
        published_at=published.at if published else None,
        published_source=source if published else None,
        published_precision=published.precision if published else None,
        refused_date=None if published else metadata.refused_date,
    )


def _extract_several(tree: HtmlElement, page: PageMetadata, limits: ReadLimits) -> list[Article]:
    """Return the articles of a page that prints several in full; empty: the page prints one article, or teasers."""
    parts = []
    for element in _list_article_elements(tree):
        heading = next((h for h in element.iter("h1", "h2", "h3") if h.text_content().strip()), None)
        if heading is None:
            continue
        link = next((a.get("href") for a in heading.iter("a") if a.get("href")), None)
        link = link or (next((a.get("href") for a in [heading.getparent()] if a.tag == "a"), None))
        title = " ".join(heading.text_content().split())
        stamp = next((t.get("datetime") for t in element.iter("time") if t.get("datetime")), None)
        published = dates.parse_date(stamp, limits.now, limits.timezone)
        body = _extract_body(element)
        if len(body.split()) >= _ARTICLE_WORDS:
            own = PageMetadata(title=fix_text(title), outlet=page.outlet, published=published)
            own.published_source = DateSource.META if published else None
            # Without a link the article has no address: the address of the page belongs to all articles.
            own.url = make_absolute(link, page.url) if link else None
            own.outlet = own.outlet or (find_domain(page.url) if page.url else None)
            parts.append((body, own))
    return [_make_article(body, own, limits) for body, own in parts] if len(parts) > 1 else []


def _extract_body(element: HtmlElement) -> str:
    """Return the text of an article element without the heading and the time beside the heading."""
    body = deepcopy(element)
    sentences: dict[HtmlElement, bool] = {}  # each paragraph is counted once, not for every <time> inside
    for part in list(body.iter("h1", "h2", "time")):
        paragraph = next(part.iterancestors("p"), None)
        if part.tag == "time" and paragraph is not None:
            if paragraph not in sentences:
                sentences[paragraph] = len(paragraph.text_content().split()) >= _SENTENCE_WORDS
            if sentences[paragraph]:
                continue
        part.drop_tree()
    return extract_text(body)


def _list_article_elements(tree: HtmlElement) -> list[HtmlElement]:
    """Return the article elements that are not inside another article element."""
    return [e for e in tree.iter("article") if next(e.iterancestors("article"), None) is None]


def _is_front_page(tree: HtmlElement) -> bool:
    """Return whether a page has many teasers (a linked heading, hardly any text) and no article."""
    n_teasers = 0
    for element in _list_article_elements(tree):
        if len(element.text_content().split()) >= _ARTICLE_WORDS:
            return False
        n_teasers += next(element.iter("a"), None) is not None
    return n_teasers >= _INDEX_TEASERS


def _find_declared_charset(data: bytes) -> str | None:
    match = _CHARSET.search(data[:4096])
    return match[1].decode("ascii", "replace") if match else None


@cache
def _silence_libraries() -> None:
    """Keep messages of the libraries about single pages, and about proxies, out of the log."""
    warnings.filterwarnings("ignore", message="SOCKS support")
    for name in ("trafilatura", "htmldate", "courlan"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
