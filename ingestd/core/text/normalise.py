"""
Normalise texts for comparison: typography, case and line breaks make no difference.

Stored texts stay as the source wrote them. Most texts are ASCII with some typographic punctuation, and need a single
translation of bytes; other texts need Unicode normalisation.
"""

from __future__ import annotations

import re
import unicodedata

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


def _fold_text(text: str, beyond_ascii: str) -> str:
    """Return a text in lower case and composed form; `beyond_ascii`: the characters of the text beyond ASCII."""
    if _INVISIBLE.search(beyond_ascii):
        text = _INVISIBLE.sub("", text)
    # Compatibility characters can decompose into capitals and into characters that compose again.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    # The search reads only the few characters beyond ASCII.
    return _UNSPACED.sub(r" \1 ", text) if _UNSPACED.search(unicodedata.normalize("NFKC", beyond_ascii)) else text
