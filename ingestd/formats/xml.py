"""XML without surprises: no entities but those of HTML, no network, no document type loaded, bounded depth."""

from __future__ import annotations

import re
from html.entities import name2codepoint

from lxml import etree

from ingestd.errors import Reason, UnusableError

_NAMED = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_OWN = frozenset((b"amp", b"lt", b"gt", b"quot", b"apos"))
# Atomic: what precedes the root is read in one way, however much there is of it.
_ROOT = re.compile(
    rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*+(?:\[.*?\]\s*)?>)*+<(?:[\w.-]+:)?([\w.-]+)",
    re.DOTALL | re.IGNORECASE,
)
_CONTROL = bytes(range(9)) + b"\x0b\x0c" + bytes(range(0x0E, 0x20))


def root_name(head: bytes) -> str:
    """Return the local name of the first element of a document, in lower case; empty where there is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.replace(b"\0", b"")[2:]
    found = _ROOT.match(head.removeprefix(b"\xef\xbb\xbf"))
    return found[1].decode("ascii", "replace").lower() if found else ""


def parse(data: bytes) -> etree._Element:
    """
    Return the root of a document.

    Raises:
        UnusableError: it is not well-formed, or defines entities, which articles have no use for and attacks have.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False)
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        # Feeds write &nbsp; as if they were HTML, and control characters that XML does not allow.
        data = _NAMED.sub(_as_number, data.lstrip()).translate(None, _CONTROL)
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


def first(element: etree._Element, *names: str) -> etree._Element | None:
    """Return the first element below one with one of these local names, by the order of the names."""
    for name in names:
        found = next(element.iter(f"{{*}}{name}"), None)
        if found is not None:
            return found
    return None


def line(element: etree._Element | None) -> str | None:
    """Return the text of an element as one line."""
    if element is None:
        return None
    return " ".join("".join(element.itertext()).split()) or None


def _as_number(found: re.Match[bytes]) -> bytes:
    name = found[1]
    if name in _OWN or (code := name2codepoint.get(name.decode())) is None:
        return found[0]
    return b"&#%d;" % code
