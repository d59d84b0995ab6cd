"""RSS 0.9 to 2.0 and Atom: the entries with a full text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from ingestd.core.article import Article
from ingestd.core.source_file import Rejected
from ingestd.errors import Reason
from ingestd.formats import fields, markup, xml
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import read_all

_TEASER_WORDS = 60  # a shorter description is a teaser; a longer description may be the article
_CUT_OFF = ("…", "...", "[…]", "[...]", "&hellip;", "[&hellip;]")
_DC = "{http://purl.org/dc/elements/1.1/}"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"


def is_feed(head: bytes, _name: str) -> bool:
    """Return whether the root element is the root of a feed."""
    return xml.find_root_name(head) in ("rss", "feed", "rdf")


def read_feed(stream: BinaryIO, name: str, limits: ReadLimits) -> Iterator[Record | Rejected]:
    """
    Yield the entries of a feed; teasers are rejected.

    Raises:
        UnusableError: the file does not parse.
    """
    root = xml.parse_xml(read_all(stream, limits.max_file_bytes), limits)
    channel = xml.find_first(root, "channel")
    outlet = _get_child_text(channel if channel is not None else root, "title")
    for number, entry in enumerate(root.iter("{*}item", "{*}entry"), start=1):
        record, teaser = _read_atom_entry(entry) if _get_local_name(entry) == "entry" else _read_rss_item(entry)
        if not record["text"]:
            words = len(markup.strip_markup(teaser or "").split())
            detail = f"only a teaser of {words} words: {str(record['title'] or record['url'])[:100]}"
            yield Rejected(number, Reason.SCHEMA, detail)
            continue
        record["outlet"] = record.get("outlet") or outlet
        yield Record(number, record, _parse_entry, len(str(record["text"])), name)


def _parse_entry(record: dict[str, Any], limits: ReadLimits) -> list[Article]:
    return [fields.build_article(record, limits)]


def _read_rss_item(item: etree._Element) -> tuple[dict[str, Any], str | None]:
    description = _get_child_text(item, "description")
    guid = item.find("{*}guid")
    link = _get_child_text(item, "link")
    if guid is not None and link is None and (guid.get("isPermaLink") or "true").lower() == "true":
        link = _get_text(guid)
    content = _get_text(item.find(_CONTENT)) or _get_child_text(item, "fulltext")
    record: dict[str, Any] = {
        "title": _get_child_text(item, "title"),
        "text": content or _accept_full_text(description),
        "url": link,
        "guid": _get_text(guid),
        "published": _get_child_text(item, "pubDate") or _get_text(item.find(f"{_DC}date")),
        "authors": _get_text(item.find(f"{_DC}creator")) or _remove_mail_address(_get_child_text(item, "author")),
        "language": _get_text(item.find(f"{_DC}language")),
        "outlet": _get_child_text(item, "source"),
    }
    return record, description


def _read_atom_entry(entry: etree._Element) -> tuple[dict[str, Any], str | None]:
    links = {link.get("rel") or "alternate": link.get("href") for link in reversed(entry.findall("{*}link"))}
    summary = _get_markup(entry.find("{*}summary"))
    record: dict[str, Any] = {
        "title": markup.strip_markup(_get_markup(entry.find("{*}title")) or ""),
        "text": _get_markup(entry.find("{*}content")) or _accept_full_text(summary),
        "url": links.get("alternate"),
        "guid": _get_child_text(entry, "id"),
        "published": _get_child_text(entry, "published")
        or _get_child_text(entry, "issued")
        or _get_child_text(entry, "updated"),
        "authors": [name for a in entry.findall("{*}author") if (name := _get_child_text(a, "name"))],
        "language": entry.get("{http://www.w3.org/XML/1998/namespace}lang"),
        "outlet": _get_child_text(source, "title") if (source := entry.find("{*}source")) is not None else None,
    }
    return record, summary


def _accept_full_text(description: str | None) -> str | None:
    """Return a description that is long enough for a full article and not cut off."""
    text = markup.strip_markup(description or "").strip()
    return description if len(text.split()) >= _TEASER_WORDS and not text.endswith(_CUT_OFF) else None


def _get_markup(element: etree._Element | None) -> str | None:
    """Return the HTML in an Atom text construct: escaped text, or elements of XHTML."""
    if element is None:
        return None
    if element.get("type") == "xhtml":
        return "".join(etree.tostring(child, encoding="unicode", method="html", with_tail=False) for child in element)
    return _get_text(element)


def _remove_mail_address(value: str | None) -> str | None:
    """Return the name in `mail@example.org (Name)`, as RSS writes authors."""
    if value and value.endswith(")") and "(" in value:
        return value[value.index("(") + 1 : -1]
    return value


def _get_child_text(element: etree._Element, name: str) -> str | None:
    # An element without a namespace (RSS 2.0) wins over media:title and the like.
    children = [child for child in element if isinstance(child.tag, str) and _get_local_name(child) == name]
    plain = [child for child in children if not child.tag.startswith("{") or child.prefix is None]
    return _get_text(next(iter(plain or children), None))


def _get_text(element: etree._Element | None) -> str | None:
    if element is None:
        return None
    return "".join(element.itertext()).strip() or None


def _get_local_name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]
