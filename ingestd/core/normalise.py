"""
The form in which texts are compared: typography, case and line breaks make no difference.

Only comparisons see this form; what is stored stays as the source wrote it.
"""

from __future__ import annotations

import re
import unicodedata

# Quotes, dashes, ellipses, spaces and symbols of every kind only ever separate words.
_PUNCTUATION = re.compile("[\u00a1-\u00bf\u02bc\u2000-\u206f\u20a0-\u20cf\u2100-\u2bff\u3000-\u303f\uff00-\uff0f]+")
# Soft hyphens, zero-width characters, byte order marks and directional marks carry no text.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_HARD_WRAP = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
# Scripts written without spaces: every character is a word of its own.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)


def normalise(text: str) -> str:
    """
    Return the text in lower case, in Unicode form NFKC, without what only separates words or cannot be seen.

    Applying it twice changes no word more. Words broken by a hyphen at the end of a line are joined, and characters of
    scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are set apart.
    """
    text = text.lower()
    if "-\n" in text:
        text = _HARD_WRAP.sub("", text)
    if text.isascii():
        return text
    if _INVISIBLE.search(text):
        text = _INVISIBLE.sub("", text)
    # Compatibility characters can decompose into capitals and into characters that compose again.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    text = _PUNCTUATION.sub(" ", text)
    return _UNSPACED.sub(r" \1 ", text) if _UNSPACED.search(text) else text
