"""
Web pages: the text of the article without the page around it, and what the page says of itself.

trafilatura finds the text. Dates are taken from structured data first, because they have hours there and because the
text of a page is full of other dates.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin

import orjson

from ingestd.core.article import Article, DateSource
from ingestd.core.text.urls import canonicalise_url, find_domain
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates, fields, text
from ingestd.formats.encoding import decode, readable
from ingestd.formats.markup import block_text
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import whole

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_START = re.compile(
    rb"(?>\s+|<\?xml[^>]*>|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|article|main"
    rb"|section|div|p|h[1-6]|span|table|header|br|center|font|ul|ol|b|i|em|strong|a|img|blockquote|figure|form|nav)\b",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ARTICLE_TYPES = ("Article", "Posting", "Report")  # NewsArticle, BlogPosting, ReportageNewsArticle, ...
_PUBLISHED_META = (
    "article:published_time", "og:article:published_time", "og:published_time", "datepublished", "date.published",
    "parsely-pub-date", "sailthru.date", "pubdate", "publishdate", "publish-date", "publish_date", "dc.date.issued",
    "dc.date", "dcterms.created", "dcterms.date", "cxenseparse:recs:publishtime", "article_date_original", "date",
)  # fmt: skip
_MOST_BYTES = 20_000_000  # trafilatura's own limit; its time grows with the number of tags
_DATE_WORDS = 12  # of a line about when, and not a sentence with a day in it
_ENOUGH_WORDS = 60  # of an article beside others on a page; shorter ones are teasers
_INDEX_TEASERS = 4  # so many teasers and no article: a front page


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was fetched."""

    data: bytes
    url: str | None = None
    charset: str | None = None  # named by the transport


@dataclass(slots=True)
class PageMetadata:
    """What a page says of its article, by the most reliable source first."""

    title: str | None = None
    outlet: str | None = None
    url: str | None = None
    authors: tuple[str, ...] = ()
    published: dates.Published | None = None
    published_source: DateSource | None = None
    refused_date: str | None = None
    body: str = ""
    external_id: str | None = None
    is_article: bool = False  # the page as a whole is one


def recognises(head: bytes, _name: str) -> bool:
    """Tell HTML by the first tag."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")[2:]
    return bool(_START.match(head.removeprefix(b"\xef\xbb\xbf")))


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record]:
    """
    Yield the one page of a file.

    Raises:
        UnusableError: its name says that it should be something else, as when a scraper saved an error page.
    """
    ending = name.lower().rpartition(".")[2]
    if ending in ("json", "jsonl", "ndjson"):
        raise UnusableError(Reason.TYPE, f"the file is HTML and not {ending.upper()}: an error page?")
    data = whole(stream, context.max_file_bytes)
    yield Record(1, Page(data), understand, len(data), name)


def understand(page: Page, context: ReadLimits) -> list[Article]:
    """
    Return the article of a page; several where it holds several, one below the other.

    Raises:
        UnusableError: there is none.
    """
    if len(page.data) > _MOST_BYTES:
        raise UnusableError(Reason.TOO_LARGE, f"a page of {len(page.data)} bytes; more than {_MOST_BYTES} are not read")
    _quiet()
    from trafilatura import bare_extraction, load_html  # slow to import

    declared = page.charset or _declared(page.data)
    characters = _XML_DECLARATION.sub("", decode(page.data, declared))
    if not characters.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space")
    tree = load_html(characters)
    if tree is None:
        raise UnusableError(Reason.SCHEMA, "the page has no content")
    facts = _facts(tree, page.url, context)
    if not facts.is_article:
        if parts := _several(tree, facts, context):
            return parts
        if _is_index(tree):
            raise UnusableError(Reason.SCHEMA, "a page of links to articles, and no article")
    found: Any = bare_extraction(tree, url=facts.url, include_comments=False, with_metadata=False)
    extracted = readable(found.text or "") if found is not None else ""
    return [_article(extracted or facts.body, facts, context)]


def _article(extracted: str, facts: PageMetadata, context: ReadLimits) -> Article:
    tidy = text.tidied(extracted.split("\n"), context)
    lines = [line.removeprefix("- ").strip() for line in tidy.lines if line.strip()]
    if lines and facts.title and lines[0].casefold() == facts.title.casefold():
        lines = lines[1:]
    if not re.search(r"\w", "".join(lines)):
        raise UnusableError(Reason.SCHEMA, "no text of an article on the page")
    published, source = facts.published, facts.published_source
    if tidy.published and (published is None or source is DateSource.TEXT):
        published, source = tidy.published, DateSource.TEXT
    return Article(
        title=facts.title,
        text="\n".join(lines),
        outlet=facts.outlet or (find_domain(facts.url) if facts.url else None),
        url=facts.url,
        url_canonical=canonicalise_url(facts.url) if facts.url else None,
        external_id=facts.external_id,
        authors=facts.authors or tidy.authors,
        published_at=published.at if published else None,
        published_source=source if published else None,
        published_precision=published.precision if published else None,
        refused_date=None if published else facts.refused_date,
    )


def _facts(tree: HtmlElement, url: str | None, context: ReadLimits) -> PageMetadata:
    """Collect what a page says of its article: in its structured data, in its meta tags, and else where it can be."""
    meta = _meta(tree)
    structured = _structured(tree)
    main = structured[0] if len(structured) == 1 else _of_this_page(structured, meta, url)
    facts = PageMetadata()
    facts.is_article = bool(main) or meta.get("og:type", "").lower() in ("article", "news", "newsarticle")
    facts.url = _absolute(_canonical(tree, meta) or url or _line(main.get("url")) or _entity(main), url)
    facts.title = _line(main.get("headline")) or _line(meta.get("og:title"))
    facts.outlet = _name(main.get("publisher")) or _line(meta.get("og:site_name") or meta.get("application-name"))
    named = tuple(fields.authors(main.get("author"))) or tuple(fields.authors(meta.get("author") or ""))
    facts.authors = tuple(name for name in named if "://" not in name)
    facts.body = readable(str(main.get("articleBody") or "")).strip()
    tags = [value for key in _PUBLISHED_META if (value := meta.get(key))]
    tags += [time.get("datetime") for time in tree.iter("time") if time.get("datetime")][:1]
    _date(facts, DateSource.JSON_LD, [main.get("datePublished"), main.get("dateCreated")], context)
    _date(facts, DateSource.META, tags, context)
    if not (facts.title and facts.authors and facts.published and facts.url):
        _search(facts, tree, url, context)
    facts.title = _without_site(facts.title, facts.outlet)
    return facts


def _search(facts: PageMetadata, tree: HtmlElement, url: str | None, context: ReadLimits) -> None:
    """Look for what a page does not say where it should: in headings, links, bylines and addresses."""
    from trafilatura.metadata import extract_metadata

    found = extract_metadata(tree, default_url=url, date_config=_date_search(url, context), extensive=False)
    facts.url = facts.url or _absolute(found.url, url)
    facts.title = facts.title or _line(found.title)
    facts.authors = facts.authors or tuple(n.strip() for n in (found.author or "").split(";") if n.strip())
    if facts.published is None:
        _date(facts, DateSource.TEXT, [found.date], context)
        in_url = dates.from_name(facts.url, context.now) if facts.url else None
        if facts.published and in_url and in_url.at == facts.published.at:
            facts.published_source = DateSource.URL


def _date(facts: PageMetadata, source: DateSource, values: Sequence[Any], context: ReadLimits) -> None:
    """Take the first date that can be true, unless there is one from a better source."""
    for value in values:
        if value and facts.published is None:
            facts.published = dates.from_value(value, context.now, context.timezone)
            facts.published_source = source if facts.published else None
            facts.refused_date = None if facts.published else facts.refused_date or str(value)[:100]


def _meta(tree: HtmlElement) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tree.iter("meta"):
        key = tag.get("property") or tag.get("name") or tag.get("itemprop")
        content = tag.get("content")
        if key and content and content.strip():
            found.setdefault(key.strip().lower(), content.strip())
    return found


def _structured(tree: HtmlElement) -> list[dict[str, Any]]:
    """Return the articles that JSON-LD on the page describes."""
    found: list[dict[str, Any]] = []
    for script in tree.iter("script"):
        if (script.get("type") or "").strip().lower() != "application/ld+json":
            continue
        try:
            value = orjson.loads((script.text or "").strip().removeprefix("<!--").removesuffix("-->"))
        except orjson.JSONDecodeError:
            continue
        found += _articles_in(value, 0)
    return found


def _articles_in(value: Any, level: int) -> Iterator[dict[str, Any]]:
    if level > 6:  # the graph of a page, a list in it, an article in that
        return
    if isinstance(value, list):
        for entry in value:
            yield from _articles_in(entry, level + 1)
    if isinstance(value, dict):
        kind = value.get("@type")
        kinds = kind if isinstance(kind, list) else [kind]
        if any(str(k).endswith(_ARTICLE_TYPES) for k in kinds) and (value.get("headline") or value.get("articleBody")):
            yield value
        else:
            for key in ("@graph", "mainEntity", "itemListElement", "item", "hasPart"):
                yield from _articles_in(value.get(key), level + 1)


def _of_this_page(found: Sequence[dict[str, Any]], meta: dict[str, str], url: str | None) -> dict[str, Any]:
    """Return which of several described articles the page itself is; nothing where it is none of them."""
    own = {canonicalise_url(address) for address in (meta.get("og:url"), url) if address}
    title = meta.get("og:title", "").casefold()
    for candidate in found:
        addresses = {canonicalise_url(a) for a in (_line(candidate.get("url")), _entity(candidate)) if a}
        if own & addresses or (title and (_line(candidate.get("headline")) or "").casefold() == title):
            return candidate
    return {}


def _several(tree: HtmlElement, facts: PageMetadata, context: ReadLimits) -> list[Article]:
    """Return the articles of a page that prints several in full; none where it prints one, or teasers."""
    parts = []
    for element in _outermost_articles(tree):
        heading = next((h for h in element.iter("h1", "h2", "h3") if h.text_content().strip()), None)
        if heading is None:
            continue
        link = next((a.get("href") for a in heading.iter("a") if a.get("href")), None)
        link = link or (next((a.get("href") for a in [heading.getparent()] if a.tag == "a"), None))
        title = " ".join(heading.text_content().split())
        stamp = next((t.get("datetime") for t in element.iter("time") if t.get("datetime")), None)
        published = dates.from_value(stamp, context.now, context.timezone)
        body = _body(element)
        if len(body.split()) >= _ENOUGH_WORDS:
            own = PageMetadata(title=readable(title), outlet=facts.outlet, published=published)
            own.published_source = DateSource.META if published else None
            own.url = _absolute(link, facts.url) if link else None
            # Without a link of its own it has no address: that of the page is all of theirs.
            own.outlet = own.outlet or (find_domain(facts.url) if facts.url else None)
            parts.append((body, own))
    return [_article(body, own, context) for body, own in parts] if len(parts) > 1 else []


def _body(element: HtmlElement) -> str:
    """Return the text of an article element but for its heading and the time that stands beside it."""
    body = deepcopy(element)
    for part in list(body.iter("h1", "h2", "time")):
        sentence = next(part.iterancestors("p"), None)
        if part.tag != "time" or sentence is None or len(sentence.text_content().split()) < _DATE_WORDS:
            part.drop_tree()
    return block_text(body)


def _outermost_articles(tree: HtmlElement) -> list[HtmlElement]:
    return [e for e in tree.iter("article") if next(e.iterancestors("article"), None) is None]


def _is_index(tree: HtmlElement) -> bool:
    """Tell a front page: many teasers, each a linked heading with next to no text."""
    teasers = 0
    for element in _outermost_articles(tree):
        if len(element.text_content().split()) >= _ENOUGH_WORDS:
            return False
        teasers += next(element.iter("a"), None) is not None
    return teasers >= _INDEX_TEASERS


def _canonical(tree: HtmlElement, meta: dict[str, str]) -> str | None:
    links = (link.get("href") for link in tree.iter("link") if (link.get("rel") or "").lower() == "canonical")
    return next((href.strip() for href in links if href and href.strip()), None) or meta.get("og:url")


def _absolute(address: str | None, base: str | None) -> str | None:
    if not address:
        return None
    try:
        joined = urljoin(base or "", address.strip())
    except ValueError:
        return None
    return joined if joined.startswith(("http://", "https://")) else None


def _entity(main: dict[str, Any]) -> str | None:
    entity = main.get("mainEntityOfPage")
    return _line(entity.get("@id") if isinstance(entity, dict) else entity)


def _name(value: Any) -> str | None:
    if isinstance(value, list):
        value = next(iter(value), None)
    return _line(value.get("name") if isinstance(value, dict) else value)


def _line(value: Any) -> str | None:
    return readable(" ".join(value.split())) or None if isinstance(value, str) else None


def _without_site(title: str | None, site: str | None) -> str | None:
    """Take the name of the site off a title: "Forty hurt | The Post"."""
    if not title or not site:
        return title
    return re.sub(rf"\s+[|–—·•-]\s+{re.escape(site)}\s*\Z", "", title, flags=re.IGNORECASE) or title


def _declared(data: bytes) -> str | None:
    found = _CHARSET.search(data[:4096])
    return found[1].decode("ascii", "replace") if found else None


def _date_search(url: str | None, context: ReadLimits) -> dict[str, Any]:
    return {
        "extensive_search": False,  # it takes any date on the page, that of a footer too
        "original_date": True,
        "outputformat": "%Y-%m-%d",
        "max_date": context.now.date().isoformat(),
        "url": url,
    }


@cache
def _quiet() -> None:
    """Keep what the libraries say about single pages, and about proxies, out of the log."""
    warnings.filterwarnings("ignore", message="SOCKS support")
    for name in ("trafilatura", "htmldate", "courlan"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
