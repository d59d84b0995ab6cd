"""XML without surprises: no entities but the HTML entities, no network, no document type loaded, bounded depth."""

from __future__ import annotations

import re
from html.entities import name2codepoint

from lxml import etree

from ingestd.errors import Reason, UnusableError
from ingestd.formats.record import ReadLimits

_NAMED = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = frozenset((b"amp", b"lt", b"gt", b"quot", b"apos"))
# Atomic: there is a single way to read the prolog, however long.
_ROOT = re.compile(
    rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*+(?:\[.*?\]\s*)?>)*+<(?:[\w.-]+:)?([\w.-]+)",
    re.DOTALL | re.IGNORECASE,
)
_CONTROL = bytes(range(9)) + b"\x0b\x0c" + bytes(range(0x0E, 0x20))


def find_root_name(head: bytes) -> str:
    """Return the local name of the first element of a document, in lower case; empty if there is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")[2:]
    match = _ROOT.match(head.removeprefix(b"\xef\xbb\xbf"))
    return match[1].decode("ascii", "replace").lower() if match else ""


def parse_xml(data: bytes, limits: ReadLimits) -> etree._Element:
    """
    Return the root of a document.

    Raises:
        UnusableError: the document is not well-formed, defines entities (useful for attacks, not for articles), or
            has too many elements for the memory.
    """
    if len(data) > limits.max_values and (n := data.count(b"<") + data.count(b"=")) > limits.max_values:
        raise UnusableError(Reason.TOO_LARGE, f"{n} tags and attributes, more than {limits.max_values}")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False)
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        # Feeds use entities of HTML (&nbsp;), and control characters, forbidden in XML.
        data = _NAMED.sub(_convert_entity, data.lstrip()).translate(None, _CONTROL)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        reason = Reason.DEPTH if "depth" in str(error).lower() else Reason.XML
        raise UnusableError(reason, str(error)[:300]) from error
    except ValueError as error:
        raise UnusableError(Reason.XML, str(error)[:300]) from error
    definition = root.getroottree().docinfo.internalDTD
    if definition is not None and any(True for _ in definition.iterentities()):
        raise UnusableError(Reason.XML, "it defines entities of its own")
    return root


def find_first(element: etree._Element, *names: str) -> etree._Element | None:
    """Return the first descendant with a local name from `names`; an earlier name wins."""
    for name in names:
        descendant = next(element.iter(f"{{*}}{name}"), None)
        if descendant is not None:
            return descendant
    return None


def get_line(element: etree._Element | None) -> str | None:
    """Return the text of an element as a single line."""
    if element is None:
        return None
    return " ".join("".join(element.itertext()).split()) or None


def _convert_entity(match: re.Match[bytes]) -> bytes:
    """Return an HTML entity as a number; an entity of XML unchanged."""
    name = match[1]
    if name in _XML_ENTITIES or (code := name2codepoint.get(name.decode())) is None:
        return match[0]
    return b"&#%d;" % code
