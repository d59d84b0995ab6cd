"""
Normalise texts for comparison: typography, case and line breaks make no difference.

Stored texts stay as the source wrote them. Most texts are ASCII with some typographic punctuation, and need a single
translation of bytes; other texts need Unicode normalisation.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from ingestd.core.text.languages import UNSPACED_CLASS

_ASCII = bytes(range(0x80))
# Lower case, and a space for every byte beyond ASCII: correct if all such bytes belong to punctuation.
_PLAIN = _ASCII.lower() + b" " * 0x80
# Characters beyond ASCII in most texts: no-break spaces, dashes, quotes, bullets, ellipses, currency signs.
_ONLY_PUNCTUATION = re.compile(
    rb"(?:\xe2\x80[\x80-\x8a\x90-\xa9\xaf-\xbf]|\xc2[\xa0-\xa7\xa9\xab\xac\xae\xb0\xb1\xb6\xb7\xbb\xbf])*"
)
# Quotes, dashes, spaces and symbols of every kind only ever separate words. In UTF-8: U+00A1 to U+00BF, U+02BC,
# U+2000 to U+206F, U+20A0 to U+20CF, U+2100 to U+2BFF, U+3000 to U+303F, U+FF00 to U+FF0F.
_PUNCTUATION = re.compile(
    rb"\xe2(?:[\x80\x81\x84-\xaf][\x80-\xbf]|\x82[\xa0-\xbf]|\x83[\x80-\x8f])"
    rb"|\xc2[\xa1-\xbf]|\xca\xbc|\xe3\x80[\x80-\xbf]|\xef\xbc[\x80-\x8f]"
)
# Soft hyphens, zero-width characters, byte order marks and directional marks carry no text.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_HARD_WRAP = re.compile(rb"(?<=[a-z\x80-\xff])-\n(?=[a-z\x80-\xff])")
# Marks on one letter. The time in which Python sorts the marks of a letter grows with the square of their number; no
# text has more (UAX #15, Stream-Safe Text Format).
_MOST_MARKS = 30
_MARKS_END = (
    0x1F000  # no character from here on is a mark that Unicode sorts (Unicode 14, of Python 3.11, ends at U+1E94A)
)
# Every run of too many marks: all marks but two of Japanese are neither letters nor digits.
_NO_LETTERS = re.compile(rf"[\W\uff9e\uff9f]{{{_MOST_MARKS + 1}}}")
# Scripts written without spaces: every character is a word of its own.
_UNSPACED = re.compile(f"([{UNSPACED_CLASS}])")


def normalise_text(text: str) -> bytes:
    """
    Return the text in UTF-8, lower case and Unicode form NFKC, without punctuation and invisible characters.

    The words of a normalised text do not change if normalised again. The function joins words broken by a hyphen at the
    end of a line, and puts spaces around the characters of scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer,
    Burmese).
    """
    encoded = text.encode("utf-8", "replace")
    beyond_ascii = b"" if text.isascii() else encoded.translate(None, _ASCII)
    if _ONLY_PUNCTUATION.fullmatch(beyond_ascii):
        plain = encoded.translate(_PLAIN)
    else:
        plain = _PUNCTUATION.sub(b" ", _fold_text(text, beyond_ascii.decode()).encode("utf-8", "replace"))
    return _HARD_WRAP.sub(b"", plain) if b"-\n" in plain else plain


def compose_text(text: str) -> str:
    """Return a text in Unicode form NFKC, without the marks beyond `_MOST_MARKS` on one letter."""
    return unicodedata.normalize("NFKC", limit_marks(text))


def limit_marks(text: str) -> str:
    """Return a text without the marks beyond `_MOST_MARKS` on one letter."""
    # Almost every text is known for harmless by the length of the words, and almost every other by the second look.
    if text.isascii() or max(map(len, text.split()), default=0) <= _MOST_MARKS or not _NO_LETTERS.search(text):
        return text
    return _compile_marks().sub(r"\1", text)


@cache
def _compile_marks() -> re.Pattern[str]:
    """Return an expression for too many marks; the search for the marks takes some 20 ms."""
    marks = "".join(
        chr(code)
        for code in range(0x300, _MARKS_END)
        if unicodedata.combining(unicodedata.normalize("NFKD", chr(code))[0])
    )
    return re.compile(f"([{marks}]{{{_MOST_MARKS}}})[{marks}]++")


def _fold_text(text: str, beyond_ascii: str) -> str:
    """Return a text in lower case and composed form; `beyond_ascii`: the characters of the text beyond ASCII."""
    if _INVISIBLE.search(beyond_ascii):
        text = _INVISIBLE.sub("", text)
    # The searches read only the characters beyond ASCII where those are few.
    few = 4 * len(beyond_ascii) < len(text)
    limited = limit_marks(beyond_ascii) if few else ""
    if not few or limited is not beyond_ascii:
        text = limit_marks(text)
    # Compatibility characters can decompose into capitals and into characters that compose again.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    is_unspaced = _UNSPACED.search(unicodedata.normalize("NFKC", limited) if few else text)
    return _UNSPACED.sub(r" \1 ", text) if is_unspaced else text
