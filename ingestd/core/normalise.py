"""
The form in which texts are compared: typography, case and line breaks make no difference.

Only comparisons see this form; what is stored stays as the source wrote it.
"""

from __future__ import annotations

import re
import unicodedata

# Quotes of every shape become ', dashes become a space: both only ever separate or join words.
_QUOTES = re.compile("[\u2018\u2019\u201a\u201b\u2032\u00b4\u0060\u02bc]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
# Soft hyphens, zero-width characters, byte order marks and directional marks carry no text.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_HARD_WRAP = re.compile(r"(?<=[a-z])[-\u00ad\u2010]\n(?=[a-z])")
# Scripts written without spaces: every character is a word of its own.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)
_OTHER_PUNCTUATION = re.compile("[\u00a1-\u00bf\u2000-\u206f\u20a0-\u20cf\u2100-\u2bff\u3000-\u303f\uff00-\uff0f]")


def normalise(text: str) -> str:
    """
    Return the text in lower case, in Unicode form NFKC, with plain quotes and without what cannot be seen.

    Applying it twice changes nothing more. Words broken by a hyphen at the end of a line are joined, and
    characters of scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are set apart.
    """
    text = _HARD_WRAP.sub("", text.lower())
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).lower()
    text = _OTHER_PUNCTUATION.sub(" ", _DASHES.sub(" ", _QUOTES.sub("'", text)))
    text = _UNSPACED.sub(r" \1 ", text)
    # Lower-casing and the substitutions can leave sequences that compose again.
    return unicodedata.normalize("NFKC", text)
