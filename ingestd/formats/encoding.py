"""Bytes to characters that every database keeps."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from ingestd.errors import Reason, UnusableError

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATES = re.compile("[\ud800-\udfff]")
# Control characters that no text in an 8-bit encoding has: the file is binary.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 1 << 16  # bytes that a guess is made from
# What pages are written in that are not in UTF-8. Without this list rare encodings of old Macs win on short texts.
_PLAUSIBLE = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "koi8_u", "gb18030",
              "big5", "shift_jis", "euc_jp", "euc_kr", "cp874", "cp1258"]  # fmt: skip


# Python knows more codecs, some of them slow (Punycode) and some not of text at all.
_OF_PAGES = re.compile(
    r"utf-(?:16|32).*|iso8859-\d+|cp\d+|gb\w+|big5\w*|euc_\w+|shift_jis\w*|iso2022_\w+|koi8-\w|mac-\w+|tis-620"
)
# What UTF-8 looks like that somebody read as Windows-1252: a letter of these and a sign that follows no letter.
_MISREAD = "ÃÂâÐÑÅÄÎÏ×ØÙ"
_MOJIBAKE = re.compile(f"[{_MISREAD}][\x80-\xbfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]")


def decode(data: bytes, declared: str | None = None) -> str:
    """
    Return the characters of a file: by its byte order mark, as UTF-8, as it declares, or by a guess.

    Args:
        data: the bytes.
        declared: an encoding that the file or its transport names.

    Raises:
        UnusableError: they cannot be told, or the file is binary.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            try:
                return storable(data[len(mark) :].decode(encoding))
            except UnicodeDecodeError as error:
                raise UnusableError(Reason.ENCODING, f"marked as {encoding}, but is not: {error.reason}") from error
    try:
        return storable(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if declared and (named := _known(declared)):
        with suppress(UnicodeDecodeError):  # it is not what it says
            return storable(data.decode(named))
    return storable(_guessed(data))


def _known(declared: str) -> str | None:
    """Return the encoding that a page means; None: no encoding of pages."""
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return None
    # ASCII and Latin-1 are what pages in Windows-1252 call themselves.
    return "cp1252" if name in ("ascii", "iso8859-1") else name if _OF_PAGES.fullmatch(name) else None


def readable(text: str) -> str:
    """Return text that every database keeps, with UTF-8 that was once read as something else put right."""
    text = storable(text)
    if text.isascii() or not any(letter in text for letter in _MISREAD) or not _MOJIBAKE.search(text):
        return text
    from ftfy import fix_encoding  # slow to import, rarely needed

    return storable(fix_encoding(text))


def storable(text: str) -> str:
    """Return text without NUL, which PostgreSQL refuses, and with lone surrogates replaced."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def _guessed(data: bytes) -> str:
    if _BINARY.search(data[:_SAMPLE]):
        raise UnusableError(Reason.TYPE, "the file is binary, not text")
    from charset_normalizer import from_bytes  # rarely needed, slow to import

    best = from_bytes(data[:_SAMPLE], cp_isolation=_PLAUSIBLE).best()
    # What a Western European scraper calls Latin-1 is Windows-1252 wherever the two differ.
    encodings = dict.fromkeys([best.encoding if best else "cp1252", "cp1252"])
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise UnusableError(Reason.ENCODING, f"neither UTF-8 nor {' nor '.join(encodings)}")
