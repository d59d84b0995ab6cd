"""RSS 0.9 to 2.0 and Atom: the entries that carry their whole text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected
from ingestd.errors import Reason
from ingestd.formats import fields, markup, xml
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import whole

_TEASER_WORDS = 60  # what feeds call a description is seldom the article; from here on it may be
_CUT_OFF = ("…", "...", "[…]", "[...]", "&hellip;", "[&hellip;]")
_DC = "{http://purl.org/dc/elements/1.1/}"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"


def recognises(head: bytes, _name: str) -> bool:
    """Tell a feed by its root."""
    return xml.root_name(head) in ("rss", "feed", "rdf")


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record | Rejected]:
    """
    Yield the entries of a feed.

    Raises:
        UnusableError: it does not parse.
    """
    root = xml.parse(whole(stream, context.max_file_bytes))
    channel = xml.first(root, "channel")
    outlet = _child(channel if channel is not None else root, "title")
    for number, entry in enumerate(root.iter("{*}item", "{*}entry"), start=1):
        record, teaser = _atom(entry) if _local(entry) == "entry" else _rss(entry)
        if not record["text"]:
            words = len(markup.text_of(teaser or "").split())
            detail = f"only a teaser of {words} words: {str(record['title'] or record['url'])[:100]}"
            yield Rejected(number, Reason.SCHEMA, detail)
            continue
        record["outlet"] = record.get("outlet") or outlet
        yield Record(number, record, _understand, len(str(record["text"])), name)


def _understand(record: dict[str, Any], context: ReadLimits) -> list[Article]:
    return [fields.article(record, context)]


def _rss(item: etree._Element) -> tuple[dict[str, Any], str | None]:
    description = _child(item, "description")
    guid = item.find("{*}guid")
    link = _child(item, "link")
    if guid is not None and link is None and (guid.get("isPermaLink") or "true").lower() == "true":
        link = _text(guid)
    content = _text(item.find(_CONTENT)) or _child(item, "fulltext")
    record: dict[str, Any] = {
        "title": _child(item, "title"),
        "text": content or _if_whole(description),
        "url": link,
        "guid": _text(guid),
        "published": _child(item, "pubDate") or _text(item.find(f"{_DC}date")),
        "authors": _text(item.find(f"{_DC}creator")) or _author(_child(item, "author")),
        "language": _text(item.find(f"{_DC}language")),
        "outlet": _child(item, "source"),
    }
    return record, description


def _atom(entry: etree._Element) -> tuple[dict[str, Any], str | None]:
    links = {link.get("rel") or "alternate": link.get("href") for link in reversed(entry.findall("{*}link"))}
    summary = _markup(entry.find("{*}summary"))
    record: dict[str, Any] = {
        "title": markup.text_of(_markup(entry.find("{*}title")) or ""),
        "text": _markup(entry.find("{*}content")) or _if_whole(summary),
        "url": links.get("alternate"),
        "guid": _child(entry, "id"),
        "published": _child(entry, "published") or _child(entry, "issued") or _child(entry, "updated"),
        "authors": [name for a in entry.findall("{*}author") if (name := _child(a, "name"))],
        "language": entry.get("{http://www.w3.org/XML/1998/namespace}lang"),
        "outlet": _child(source, "title") if (source := entry.find("{*}source")) is not None else None,
    }
    return record, summary


def _if_whole(description: str | None) -> str | None:
    """Return a description that is long enough to be the article, and not cut off."""
    text = markup.text_of(description or "").strip()
    return description if len(text.split()) >= _TEASER_WORDS and not text.endswith(_CUT_OFF) else None


def _markup(element: etree._Element | None) -> str | None:
    """Return what an Atom text construct holds, as HTML: escaped in it, or as elements of XHTML."""
    if element is None:
        return None
    if element.get("type") == "xhtml":
        return "".join(etree.tostring(child, encoding="unicode", method="html", with_tail=False) for child in element)
    return _text(element)


def _author(value: str | None) -> str | None:
    """RSS writes `mail@example.org (Name)`."""
    if value and value.endswith(")") and "(" in value:
        return value[value.index("(") + 1 : -1]
    return value


def _child(element: etree._Element, name: str) -> str | None:
    # {*} also matches no namespace, which is where RSS 2.0 lives; media:title and the like come later in the item.
    found = [child for child in element if isinstance(child.tag, str) and _local(child) == name]
    plain = [child for child in found if not child.tag.startswith("{") or child.prefix is None]
    return _text(next(iter(plain or found), None))


def _text(element: etree._Element | None) -> str | None:
    if element is None:
        return None
    return "".join(element.itertext()).strip() or None


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]
