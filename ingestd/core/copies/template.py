"""
Recognise notices of one template, filled in with different names and figures (earnings, weather, quakes).

In an edited copy the words that differ are scattered and mostly common. Between two notices of one template the words
that differ are names and figures, in a row of short gaps.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ingestd.core.copies.passages import ParsedText, find_shared_passages, is_fact, parse_text

# Two texts share a template if this share of the short gaps between shared passages brings a new name or figure, and
# 100 words hold so many such gaps. Edited copies stay below at least one of the two. Set on the labelled
# near-duplicates.
TEMPLATE_SHARE = 0.7
TEMPLATE_GAPS_IN_100_WORDS = 1.5
TEMPLATE_GAPS = 3
GAP_WORDS = 8  # a longer gap is an inserted or removed passage, not a filled blank


def have_same_template(one: str, other: str) -> bool:
    """Return whether two texts are notices of one template, filled in with different names and figures."""
    text, other_text = parse_text(one), parse_text(other)
    gaps = [*_find_gaps(text, other_text), *_find_gaps(other_text, text)]
    filled = sum(any(map(is_fact, gap)) for gap in gaps)
    return (
        filled >= TEMPLATE_GAPS
        and filled >= TEMPLATE_SHARE * len(gaps)
        and filled * 100 >= TEMPLATE_GAPS_IN_100_WORDS * (text.size + other_text.size)
    )


def _find_gaps(text: ParsedText, other: ParsedText) -> list[list[str]]:
    """Return, for each short gap between shared passages, the words that the other text lacks altogether."""
    missing = text.find_words_missing_in(other)
    gaps = []
    for (_, end), (start, _) in pairwise(find_shared_passages(text, other)):
        if start - end <= GAP_WORDS:
            new = end + np.flatnonzero(missing[end:start])
            if new.size:
                gaps.append(text.tokens.take(new))
    return gaps
