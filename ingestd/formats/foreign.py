"""Files of other kinds, which lie beside articles in the folders of scrapers. As text, they would become noise."""

from __future__ import annotations

import re
from collections.abc import Collection

from ingestd.core.text.pieces import cut_lines
from ingestd.errors import Reason, UnusableError

_MAGIC = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a RIFF file (WebP, WAV or AVI)",
    b"%PDF": "a PDF document",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow or Feather file",
    b"FEA1": "a Feather file",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
    b"{\\rtf": "an RTF document",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a document of an older office program",
}
# Text files without articles.
_OTHER_TEXT = (".csv", ".tsv", ".py", ".js", ".css", ".sql", ".sh", ".toml", ".yaml", ".yml", ".ini", ".log")
_MAIL = (".eml", ".mht", ".mhtml", ".mbox")
# The members that tell a document from an archive of files (OCF and OpenDocument: `mimetype`; OPC: the other).
_DOCUMENT_MEMBERS = {
    "mimetype": "a book or a document (EPUB, OpenDocument)",
    "[Content_Types].xml": "a document of an office program",
}
# A line of a header as in RFC 5322: a name without blanks, a colon, the value; a line that begins with a blank goes on.
_HEADER_LINE = re.compile(rb"[!-9;-~]++:[^\n]*+\n(?:[ \t][^\n]*+\n)*+")
_HEADER_BYTES = 1 << 13  # more than mail programs write before the version of MIME
_MIME_LINE = re.compile(rb"^mime-version:\s*1\.0", re.IGNORECASE | re.MULTILINE)
_ADDRESS_LINE = re.compile(r"(?:https?://|www\.)\S++")
# RFC 9309, and the further keys that search engines read.
_ROBOTS_LINE = re.compile(
    r"(?:user-agent|disallow|allow|sitemap|crawl-delay|host|clean-param|request-rate|visit-time|noindex)\s*+:",
    re.IGNORECASE,
)


def refuse_foreign(head: bytes, name: str) -> None:
    """
    Refuse a file of another kind, by the first bytes or by the name.

    Raises:
        UnusableError: the file holds no articles in a form that is read.
    """
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise UnusableError(Reason.TYPE, f"the file is {kind}")
    if name.lower().endswith(_OTHER_TEXT):
        raise UnusableError(Reason.TYPE, f"a file named {name} holds no article")
    if name.lower().endswith(_MAIL) or _is_mail(head):
        raise UnusableError(Reason.TYPE, "the file is an e-mail, or a web page saved as one (MHTML)")


def refuse_document(members: Collection[str]) -> None:
    """
    Refuse a ZIP archive that is a document of another program, by the names of the members.

    Raises:
        UnusableError: the archive is such a document.
    """
    for member, kind in _DOCUMENT_MEMBERS.items():
        if member in members:
            raise UnusableError(Reason.TYPE, f"the archive is {kind}")


def refuse_list(characters: str) -> None:
    """
    Refuse a text of which every line is an address, or a rule of a robots.txt.

    Raises:
        UnusableError: the text is such a list.
    """
    if _holds_only(_ADDRESS_LINE, characters):
        raise UnusableError(Reason.TYPE, "a list of addresses, not an article")
    if _holds_only(_ROBOTS_LINE, characters):
        raise UnusableError(Reason.TYPE, "rules for crawlers (robots.txt), not an article")


def _is_mail(head: bytes) -> bool:
    """Tell whether a file begins with a header that names the version of MIME."""
    start = head[:_HEADER_BYTES].replace(b"\r\n", b"\n")
    end = 0
    while line := _HEADER_LINE.match(start, end):
        end = line.end()
    return _MIME_LINE.search(start, 0, end) is not None


def _holds_only(pattern: re.Pattern[str], characters: str) -> bool:
    """Tell whether there are lines besides blanks and comments, and every one of these lines fits a pattern."""
    lines = (line.strip() for piece in cut_lines(characters) for line in piece.splitlines())
    counted = 0
    for line in lines:
        if line and not line.startswith("#"):
            if not pattern.match(line) or (pattern is _ADDRESS_LINE and " " in line):
                return False
            counted += 1
    return counted > 0
