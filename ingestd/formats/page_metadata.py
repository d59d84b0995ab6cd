"""
Metadata of a web page: title, outlet, address, authors and date of the article.

Structured data (JSON-LD) come first, because there dates have hours; then meta tags; then the search of trafilatura in
headings, links, bylines and addresses, because the text of a page is full of other dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import orjson

from ingestd.core.article import DateSource
from ingestd.core.text.normalise import limit_marks
from ingestd.core.text.urls import canonicalise_url
from ingestd.formats import dates
from ingestd.formats.encoding import fix_text
from ingestd.formats.fields import split_authors
from ingestd.formats.record import ReadLimits

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_ARTICLE_TYPES = ("Article", "Posting", "Report")  # NewsArticle, BlogPosting, ReportageNewsArticle, ...
_PUBLISHED_META = (
    "article:published_time", "og:article:published_time", "og:published_time", "datepublished", "date.published",
    "parsely-pub-date", "sailthru.date", "pubdate", "publishdate", "publish-date", "publish_date", "dc.date.issued",
    "dc.date", "dcterms.created", "dcterms.date", "cxenseparse:recs:publishtime", "article_date_original", "date",
)  # fmt: skip
_MOST_NESTED = 6  # levels of JSON-LD: the graph of a page, a list in the graph, an article in the list


@dataclass(slots=True)
class PageMetadata:
    """Facts about the article of a page, each from the most reliable source that has the fact."""

    title: str | None = None
    outlet: str | None = None
    url: str | None = None
    authors: tuple[str, ...] = ()
    published: dates.PublicationDate | None = None
    published_source: DateSource | None = None
    refused_date: str | None = None
    body: str = ""  # the text of the article in the structured data
    external_id: str | None = None
    is_article: bool = False  # the page as a whole is one article


def extract_metadata(tree: HtmlElement, url: str | None, limits: ReadLimits) -> PageMetadata:
    """
    Collect the metadata of a page.

    Args:
        tree: the parsed page.
        url: the address from which the page was fetched, if known.
        limits: the time zone of dates, and the latest plausible date.
    """
    meta = _read_meta_tags(tree)
    structured = _read_json_ld(tree)
    main = structured[0] if len(structured) == 1 else _select_own_article(structured, meta, url)
    page = PageMetadata()
    page.is_article = bool(main) or meta.get("og:type", "").lower() in ("article", "news", "newsarticle")
    page.url = make_absolute(
        _find_canonical_link(tree, meta) or url or _clean_line(main.get("url")) or _get_entity_url(main), url
    )
    page.title = _clean_line(main.get("headline")) or _clean_line(meta.get("og:title"))
    page.outlet = _get_name(main.get("publisher")) or _clean_line(
        meta.get("og:site_name") or meta.get("application-name")
    )
    names = tuple(split_authors(main.get("author"))) or tuple(split_authors(meta.get("author") or ""))
    page.authors = tuple(name for name in names if "://" not in name)
    page.body = fix_text(str(main.get("articleBody") or "")).strip()
    stamps = [value for key in _PUBLISHED_META if (value := meta.get(key))]
    stamps += [time.get("datetime") for time in tree.iter("time") if time.get("datetime")][:1]
    _set_date(page, DateSource.JSON_LD, [main.get("datePublished"), main.get("dateCreated")], limits)
    _set_date(page, DateSource.META, stamps, limits)
    if not (page.title and page.authors and page.published and page.url):
        _search_page(page, tree, url, limits)
    page.title = _remove_site_name(page.title, page.outlet)
    return page


def make_absolute(address: str | None, base: str | None) -> str | None:
    """Return the web address of a link on the page at `base`; None: no web address."""
    if not address:
        return None
    try:
        joined = urljoin(limit_marks(base or ""), limit_marks(address.strip()))
    except ValueError:
        return None
    return joined if joined.startswith(("http://", "https://")) else None


def _search_page(page: PageMetadata, tree: HtmlElement, url: str | None, limits: ReadLimits) -> None:
    """Search headings, links, bylines and addresses for the facts that are still missing."""
    from trafilatura.metadata import extract_metadata as search  # slow to import

    try:
        document = search(tree, default_url=url, date_config=_configure_date_search(url, limits), extensive=False)
    except ValueError:  # a character reference of thousands of digits, or an address that is none
        return
    page.url = page.url or make_absolute(document.url, url)
    page.title = page.title or _clean_line(document.title)
    page.authors = page.authors or tuple(n.strip() for n in (document.author or "").split(";") if n.strip())
    if page.published is None:
        _set_date(page, DateSource.TEXT, [document.date], limits)
        in_url = dates.find_date_in_name(page.url, limits.now) if page.url else None
        if page.published and in_url and in_url.at == page.published.at:
            page.published_source = DateSource.URL


def _set_date(page: PageMetadata, source: DateSource, values: Sequence[Any], limits: ReadLimits) -> None:
    """Set the first plausible date, unless a better source gave a date."""
    for value in values:
        if value and page.published is None:
            page.published = dates.parse_date(value, limits.now, limits.timezone)
            page.published_source = source if page.published else None
            page.refused_date = None if page.published else page.refused_date or str(value)[:100]


def _read_meta_tags(tree: HtmlElement) -> dict[str, str]:
    """Return the first content of every meta tag, by name in lower case."""
    contents: dict[str, str] = {}
    for tag in tree.iter("meta"):
        key = tag.get("property") or tag.get("name") or tag.get("itemprop")
        content = tag.get("content")
        if key and content and content.strip():
            contents.setdefault(key.strip().lower(), content.strip())
    return contents


def _read_json_ld(tree: HtmlElement) -> list[dict[str, Any]]:
    """Return the articles that JSON-LD on the page describes."""
    articles: list[dict[str, Any]] = []
    for script in tree.iter("script"):
        if (script.get("type") or "").strip().lower() != "application/ld+json":
            continue
        try:
            value = orjson.loads((script.text or "").strip().removeprefix("<!--").removesuffix("-->"))
        except orjson.JSONDecodeError:
            continue
        articles += _iterate_articles(value, 0)
    return articles


def _iterate_articles(value: Any, level: int) -> Iterator[dict[str, Any]]:
    if level > _MOST_NESTED:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _iterate_articles(entry, level + 1)
    if isinstance(value, dict):
        kind = value.get("@type")
        kinds = kind if isinstance(kind, list) else [kind]
        if any(str(k).endswith(_ARTICLE_TYPES) for k in kinds) and (value.get("headline") or value.get("articleBody")):
            yield value
        else:
            for key in ("@graph", "mainEntity", "itemListElement", "item", "hasPart"):
                yield from _iterate_articles(value.get(key), level + 1)


def _select_own_article(structured: Sequence[dict[str, Any]], meta: dict[str, str], url: str | None) -> dict[str, Any]:
    """Return the described article with the address or the title of the page; empty: the page is none of several."""
    own = {canonicalise_url(address) for address in (meta.get("og:url"), url) if address}
    title = meta.get("og:title", "").casefold()
    for candidate in structured:
        links = (_clean_line(candidate.get("url")), _get_entity_url(candidate))
        addresses = {canonicalise_url(link) for link in links if link}
        if own & addresses or (title and (_clean_line(candidate.get("headline")) or "").casefold() == title):
            return candidate
    return {}


def _find_canonical_link(tree: HtmlElement, meta: dict[str, str]) -> str | None:
    links = (link.get("href") for link in tree.iter("link") if (link.get("rel") or "").lower() == "canonical")
    return next((href.strip() for href in links if href and href.strip()), None) or meta.get("og:url")


def _get_entity_url(article: dict[str, Any]) -> str | None:
    entity = article.get("mainEntityOfPage")
    return _clean_line(entity.get("@id") if isinstance(entity, dict) else entity)


def _get_name(value: Any) -> str | None:
    if isinstance(value, list):
        value = next(iter(value), None)
    return _clean_line(value.get("name") if isinstance(value, dict) else value)


def _clean_line(value: Any) -> str | None:
    return fix_text(" ".join(value.split())) or None if isinstance(value, str) else None


def _remove_site_name(title: str | None, site: str | None) -> str | None:
    """Remove the name of the site from a title: "Forty hurt | The Post"."""
    if not title or not site:
        return title
    # Both are lines without two blanks in a row, so the length of the end is known.
    length = len(" | ") + len(site)
    ending = re.fullmatch(rf"\s[|–—·•-]\s{re.escape(site)}", title[-length:], re.IGNORECASE)
    return title[:-length] or title if ending else title


def _configure_date_search(url: str | None, limits: ReadLimits) -> dict[str, Any]:
    return {
        "extensive_search": False,  # an extensive search accepts any date on the page, even in a footer
        "original_date": True,
        "outputformat": "%Y-%m-%d",
        "max_date": limits.now.date().isoformat(),
        "url": url,
    }
