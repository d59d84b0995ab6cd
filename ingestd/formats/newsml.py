"""The exchange formats of news agencies: NITF, and NewsML-G2 with one item or many (IPTC)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected
from ingestd.errors import Reason
from ingestd.formats import fields, markup, xml
from ingestd.formats.record import ReadLimits, Record, Skipped
from ingestd.formats.source import whole

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def recognises(head: bytes, _name: str) -> bool:
    """Tell agency formats by their root."""
    return xml.root_name(head) in ("nitf", "newsmessage", "newsitem", "packageitem")


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record | Rejected | Skipped]:
    """
    Yield the items of a document.

    Raises:
        UnusableError: it does not parse.
    """
    root = xml.parse(whole(stream, context.max_file_bytes))
    number = 0
    for item in root.iter("{*}newsItem", "{*}packageItem", "{*}nitf"):
        kind = etree.QName(item).localname
        if kind == "packageItem":
            yield Skipped("package of references")
            continue
        if kind == "nitf" and next(item.iterancestors("{*}newsItem"), None) is not None:
            continue  # the content of the item around it
        number += 1
        record = _nitf(item) if kind == "nitf" else _news_item(item)
        if not record["text"]:
            yield Rejected(number, Reason.SCHEMA, f"no text: {str(record['title'])[:100]}")
            continue
        yield Record(number, record, _understand, len(record["text"]), name)


def _understand(record: dict[str, Any], context: ReadLimits) -> list[Article]:
    return [fields.article(record, context)]


def _news_item(item: etree._Element) -> dict[str, Any]:
    nitf = xml.first(item, "nitf")
    inner = _nitf(nitf) if nitf is not None else {}
    content = xml.first(item, "contentSet")
    text = inner.get("text") or (_content(content) if content is not None else "")
    meta = xml.first(item, "contentMeta")
    meta = meta if meta is not None else item
    language = meta.find("{*}language")
    provider = xml.first(item, "provider")
    return {
        "title": xml.line(xml.first(meta, "headline")) or inner.get("title"),
        "text": text,
        "guid": item.get("guid") or inner.get("guid"),
        "published": _value(meta, "contentCreated")
        or _value(item, "firstCreated", "versionCreated")
        or inner.get("published"),
        "outlet": _named(provider) or inner.get("outlet"),
        "authors": _byline(xml.line(xml.first(meta, "by"))) or inner.get("authors"),
        "language": (language.get("tag") if language is not None else None) or item.get(_LANG),
    }


def _nitf(root: etree._Element) -> dict[str, Any]:
    hedline = xml.first(root, "hedline")
    headline = xml.first(hedline if hedline is not None else root, "hl1", "title")
    content = xml.first(root, "body.content")
    issued = xml.first(root, "date.issue", "date.release", "story.date")
    identifier = xml.first(root, "doc-id")
    source = xml.first(root, "distributor", "doc.copyright")
    return {
        "title": xml.line(headline),
        "text": markup.block_text(content) if content is not None else "",
        "guid": identifier.get("id-string") if identifier is not None else None,
        "published": issued.get("norm") if issued is not None else None,
        "outlet": (source.get("holder") or xml.line(source)) if source is not None else None,
        "authors": _byline(xml.line(xml.first(root, "byline", "byttl"))),
    }


def _content(content: etree._Element) -> str:
    """Return the text in a contentSet: of XHTML its body, else of all that is in it."""
    body = xml.first(content, "body", "inlineData", "inlineXML")
    return markup.text_of(markup.block_text(body)) if body is not None else ""


def _named(element: etree._Element | None) -> str | None:
    if element is None:
        return None
    return xml.line(element.find("{*}name")) or element.get("literal") or element.get("qcode")


def _byline(value: str | None) -> str | None:
    return value.removeprefix("By ").removeprefix("by ") if value else None


def _value(element: etree._Element, *names: str) -> str | None:
    return xml.line(xml.first(element, *names))
