"""Bytes to characters that every database accepts."""

from __future__ import annotations

import codecs
import html
import re
from contextlib import suppress

from ingestd.core.text.pieces import cut_pieces
from ingestd.errors import Reason, UnusableError

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATES = re.compile("[\ud800-\udfff]")
# Control characters that never occur in text in an 8-bit encoding: the file is binary.
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE_BYTES = 1 << 16  # for a guess
# Encodings of pages beside UTF-8. Without this list rare encodings of old Macs win on short texts.
_PAGE_ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "koi8_u", "gb18030",
              "big5", "shift_jis", "euc_jp", "euc_kr", "cp874", "cp1258"]  # fmt: skip


# Python has more codecs: some are slow (Punycode), some are not for text.
_PAGE_CODEC = re.compile(
    r"utf-(?:16|32).*|iso8859-\d+|cp\d+|gb\w+|big5\w*|euc_\w+|shift_jis\w*|iso2022_\w+|koi8-\w|mac-\w+|tis-620"
)
# More digits than the highest code point has; Python refuses to convert more than 4,300 digits.
_LONG_REFERENCE = re.compile(r"&#(?:0{100,}+|0*+(?=[1-9][0-9]{7}))[0-9]*+;?")
# UTF-8 that was read as Windows-1252: one of these letters, and a sign that never follows a letter.
_MISREAD = "ÃÂâÐÑÅÄÎÏ×ØÙ"
_REPAIRED_CHARS = 1 << 10  # at a time: the time of ftfy grows with the square of the misread characters
_MOJIBAKE = re.compile(f"[{_MISREAD}][\x80-\xbfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]")


def decode(data: bytes, declared: str | None = None) -> str:
    """
    Return the characters of a file: by the byte order mark, as UTF-8, by the declared encoding, or by a guess.

    Args:
        data: the content of the file.
        declared: the encoding according to the file or the transport.

    Raises:
        UnusableError: no encoding fits, or the file is binary.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            try:
                return make_storable(data[len(mark) :].decode(encoding))
            except UnicodeDecodeError as error:
                raise UnusableError(Reason.ENCODING, f"marked as {encoding}, but is not: {error.reason}") from error
    try:
        return make_storable(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if declared and (named := _find_page_encoding(declared)):
        with suppress(UnicodeDecodeError):  # declared wrongly
            return make_storable(data.decode(named))
    return make_storable(_decode_by_guess(data))


def _find_page_encoding(declared: str) -> str | None:
    """Return the codec for the declared encoding of a page; None: not an encoding of pages."""
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return None
    # Pages in Windows-1252 are declared as ASCII or Latin-1.
    return "cp1252" if name in ("ascii", "iso8859-1") else name if _PAGE_CODEC.fullmatch(name) else None


def fix_text(text: str) -> str:
    """Return text that every database accepts, with misread UTF-8 (mojibake) repaired."""
    text = make_storable(text)
    if text.isascii() or not any(letter in text for letter in _MISREAD) or not _MOJIBAKE.search(text):
        return text
    from ftfy import fix_encoding  # slow to import, rarely needed

    return make_storable("".join(fix_encoding(piece) for piece in cut_pieces(text, _REPAIRED_CHARS, " ")))


def make_storable(text: str) -> str:
    """Return text without NUL characters (PostgreSQL refuses NUL), and with lone surrogates replaced."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def unescape_references(text: str) -> str:
    """Return text with the character references of HTML as characters; a number without a character becomes U+FFFD."""
    return make_storable(html.unescape(_LONG_REFERENCE.sub("\ufffd", text)))


def _decode_by_guess(data: bytes) -> str:
    if _BINARY.search(data[:_SAMPLE_BYTES]):
        raise UnusableError(Reason.TYPE, "the file is binary, not text")
    from charset_normalizer import from_bytes  # rarely needed, slow to import

    best = from_bytes(data[:_SAMPLE_BYTES], cp_isolation=_PAGE_ENCODINGS).best()
    # Where Latin-1 and Windows-1252 differ, the text of Western European scrapers is in Windows-1252.
    encodings = dict.fromkeys([best.encoding if best else "cp1252", "cp1252"])
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise UnusableError(Reason.ENCODING, f"neither UTF-8 nor {' nor '.join(encodings)}")
