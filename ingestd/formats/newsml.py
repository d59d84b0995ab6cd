"""The exchange formats of news agencies: NITF, and NewsML-G2 with a single item or many (IPTC)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected
from ingestd.core.text.languages import LANGUAGES
from ingestd.errors import Reason
from ingestd.formats import fields, markup, xml
from ingestd.formats.record import ReadLimits, Record, Skipped
from ingestd.formats.source import read_all

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def is_newsml(head: bytes, _name: str) -> bool:
    """Return whether the root element belongs to an agency format."""
    return xml.find_root_name(head) in ("nitf", "newsmessage", "newsitem", "packageitem")


def read_newsml(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record | Rejected | Skipped]:
    """
    Yield the items of a document.

    Raises:
        UnusableError: the file does not parse.
    """
    root = xml.parse_xml(read_all(stream, limits.max_file_bytes), limits)
    number = 0
    for item in root.iter("{*}newsItem", "{*}packageItem", "{*}nitf"):
        kind = etree.QName(item).localname
        if kind == "packageItem":
            yield Skipped("package of references")
            continue
        if kind == "nitf" and next(item.iterancestors("{*}newsItem"), None) is not None:
            continue  # the content of the item around the element
        number += 1
        record = _read_nitf(item) if kind == "nitf" else _read_news_item(item)
        if not record["text"]:
            yield Rejected(number, Reason.SCHEMA, f"no text: {str(record['title'])[:100]}")
            continue
        yield Record(number, record, _parse_item, len(record["text"]), name)


def _parse_item(record: dict[str, Any], limits: ReadLimits) -> list[Article]:
    return [fields.build_article(record, limits)]


def _read_news_item(item: etree._Element) -> dict[str, Any]:
    nitf = xml.find_first(item, "nitf")
    inner = _read_nitf(nitf) if nitf is not None else {}
    content = xml.find_first(item, "contentSet")
    text = inner.get("text") or (_extract_content(content) if content is not None else "")
    meta = xml.find_first(item, "contentMeta")
    meta = meta if meta is not None else item
    language = meta.find("{*}language")
    provider = xml.find_first(item, "provider")
    return {
        "title": xml.get_line(xml.find_first(meta, "headline")) or inner.get("title"),
        "text": text,
        "guid": item.get("guid") or inner.get("guid"),
        "published": _get_first_line(meta, "contentCreated")
        or _get_first_line(item, "firstCreated", "versionCreated")
        or inner.get("published"),
        "outlet": _get_provider_name(provider) or inner.get("outlet"),
        "authors": _remove_byline_word(xml.get_line(xml.find_first(meta, "by"))) or inner.get("authors"),
        "language": (language.get("tag") if language is not None else None) or item.get(_LANG),
    }


def _read_nitf(root: etree._Element) -> dict[str, Any]:
    hedline = xml.find_first(root, "hedline")
    headline = xml.find_first(hedline if hedline is not None else root, "hl1", "title")
    content = xml.find_first(root, "body.content")
    issued = xml.find_first(root, "date.issue", "date.release", "story.date")
    identifier = xml.find_first(root, "doc-id")
    source = xml.find_first(root, "distributor", "doc.copyright")
    return {
        "title": xml.get_line(headline),
        "text": markup.extract_text(content) if content is not None else "",
        "guid": identifier.get("id-string") if identifier is not None else None,
        "published": issued.get("norm") if issued is not None else None,
        "outlet": (source.get("holder") or xml.get_line(source)) if source is not None else None,
        "authors": _remove_byline_word(xml.get_line(xml.find_first(root, "byline", "byttl"))),
    }


def _extract_content(content: etree._Element) -> str:
    """Return the text in a contentSet: the body of XHTML, or else all text."""
    body = xml.find_first(content, "body", "inlineData", "inlineXML")
    return markup.strip_markup(markup.extract_text(body)) if body is not None else ""


def _get_provider_name(element: etree._Element | None) -> str | None:
    if element is None:
        return None
    return xml.get_line(element.find("{*}name")) or element.get("literal") or element.get("qcode")


def _remove_byline_word(value: str | None) -> str | None:
    for word in LANGUAGES["en"].byline_words:
        value = value.removeprefix(f"{word.capitalize()} ").removeprefix(f"{word} ") if value else None
    return value


def _get_first_line(element: etree._Element, *names: str) -> str | None:
    return xml.get_line(xml.find_first(element, *names))
