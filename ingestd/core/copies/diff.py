"""Differences between two texts, in words, for people to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestd.core.copies.passages import ParsedText, find_shared_passages, is_fact, parse_text
from ingestd.core.text.tokens import Tokens

SHOWN_PASSAGES = 3
SHOWN_WORDS = 24


@dataclass(frozen=True, slots=True)
class Differences:
    """Shared passages and different words of two texts."""

    longest_passages: tuple[str, ...]  # shared, the longest first, in the words of the first text
    only_here: tuple[str, ...]  # words of the first text alone, names and figures first
    only_there: tuple[str, ...]


def find_differences(one: str, other: str) -> Differences:
    """Return the longest passages that two texts share, and the words of only one of the texts."""
    text, other_text = parse_text(one), parse_text(other)
    passages = sorted(find_shared_passages(text, other_text), key=lambda span: (span[0] - span[1], span[0]))
    return Differences(
        tuple(_quote_passage(text.tokens, start, end) for start, end in passages[:SHOWN_PASSAGES]),
        _list_new_words(text, other_text),
        _list_new_words(other_text, text),
    )


def split_into_segments(one: str, other: str) -> list[tuple[str, bool]]:
    """Return the first text in pieces; true marks a piece that the other text has too."""
    text, segments, at = parse_text(one), [], 0
    tokens = text.tokens
    for first, end in find_shared_passages(text, parse_text(other)):
        start, stop = tokens.begins[first], tokens.ends[end - 1]
        segments += [(tokens.text[at:start], False), (tokens.text[start:stop], True)]
        at = stop
    return [(piece, shared) for piece, shared in [*segments, (tokens.text[at:], False)] if piece]


def _quote_passage(tokens: Tokens, start: int, end: int) -> str:
    """Return the words of a passage; of a long passage the beginning and the end."""
    if end - start <= SHOWN_WORDS:
        return " ".join(tokens.take(np.arange(start, end)))
    half = SHOWN_WORDS // 2
    begin, rest = _quote_passage(tokens, start, start + half), _quote_passage(tokens, end - half, end)
    return f"{begin} … {rest} ({end - start} words)"


def _list_new_words(text: ParsedText, other: ParsedText) -> tuple[str, ...]:
    """Return words of a text that the other text lacks, names and figures first, at most `SHOWN_WORDS`."""
    new = dict.fromkeys(text.tokens.take(np.flatnonzero(text.find_words_missing_in(other))))
    return tuple(sorted(new, key=lambda word: not is_fact(word))[:SHOWN_WORDS])
