"""
Is one text an edited copy of another, and who speaks for a group of copies?

Sharing enough shingles is not sufficient: notices of one form (earnings, weather, quakes) share more with each other
than many true copies do. What differs tells them apart. In a copy the words that differ are scattered and mostly
common; between two notices they are names and figures, in one short gap after the other.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestd.core.copies.overlap import Overlap, overlap
from ingestd.core.text.boilerplate import without_known_forms
from ingestd.core.text.tokens import Words, plain_words

# All set on the labelled near-duplicates. There a true copy has a Jaccard of at least .36 or a containment of at
# least .63, and texts that merely report the same event reach .06 and .20.
MIN_JACCARD = 0.3
MIN_CONTAINMENT = 0.5
# A copy whose smaller side holds this share of the other's shingles, and is this much shorter, is an excerpt.
EXCERPT_CONTAINMENT = 0.8
EXCERPT_SIZE = 0.6
# Two texts are notices of one form when this share of the short gaps between shared passages brings a new name or
# figure, and there are so many of them in 100 words. Edited copies stay below one of the two.
FORM_SHARE = 0.7
FORM_GAPS_IN_100_WORDS = 1.5
FORM_GAPS = 3
# Notices of one form have a containment between .28 and .84; above, too little differs for another filling.
FORM_CONTAINMENT = 0.25
SURE_CONTAINMENT = 0.9
GAP_WORDS = 8  # a longer gap is a passage put in or taken out, not a blank filled in
SHOWN_PASSAGES = 3
SHOWN_WORDS = 24
_PASSAGE = 3  # words in a row that count as shared when looking for gaps
_PASSAGE_BASE = np.uint64(0x5851F42D4C957F2D)


class Relation(Enum):
    """What a copy is to its canonical article."""

    EXACT = "exact"  # the same text
    NEAR = "near"
    EXCERPT = "excerpt"  # a part of the canonical article
    EXPANDED = "expanded"  # the canonical article and much more


@dataclass(frozen=True, slots=True)
class ComparedText:
    """What the comparison needs of one text."""

    text: str  # as stored
    body: str  # without the lines that its outlet puts under other stories, too
    shingles: NDArray[np.uint32]  # of what is compared

    @property
    def compared(self) -> str:
        """The text without the lines that are not its story. Made when it is asked for, which is seldom."""
        return without_known_forms(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalRank:
    """What decides who speaks for a group: the earliest published; ties: the longer, then the lower id."""

    article_id: int
    published_at: datetime | None
    n_words: int

    @property
    def order(self) -> tuple[bool, float, int, int]:
        """Sort key: who comes first speaks. An unknown date comes after every known one."""
        known = self.published_at.timestamp() if self.published_at else 0.0
        return (self.published_at is None, known, -self.n_words, self.article_id)


class PairVerdict(Enum):
    """What two texts are to each other."""

    COPY = "copy"  # one is an edited copy of the other
    FORM = "form"  # notices of one form, about different things
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two texts are to each other, and what they share."""

    kinship: PairVerdict
    shared: Overlap


def compare(one: ComparedText, other: ComparedText) -> Verdict:
    """Judge two texts by their shingles and, where those are not sure, by the words that differ."""
    shared = overlap(one.shingles, other.shingles)
    if FORM_CONTAINMENT <= shared.containment < SURE_CONTAINMENT and same_form(one.text, other.text):
        return Verdict(PairVerdict.FORM, shared)
    if shared.jaccard >= MIN_JACCARD or shared.containment >= MIN_CONTAINMENT:
        return Verdict(PairVerdict.COPY, shared)
    return Verdict(PairVerdict.NONE, shared)


def relation(text: ComparedText, canonical: ComparedText) -> Relation:
    """Name what a copy is to its canonical article."""
    if text.text == canonical.text:
        return Relation.EXACT
    shared = overlap(text.shingles, canonical.shingles)
    if _is_excerpt(shared):
        return Relation.EXCERPT
    if _is_excerpt(shared.turned):
        return Relation.EXPANDED
    return Relation.NEAR


def same_form(one: str, other: str) -> bool:
    """Tell whether two texts are notices of one form, filled in with other names and figures."""
    text, other_text = _parsed(one), _parsed(other)
    gaps = [*_gaps(text, other_text), *_gaps(other_text, text)]
    filled = sum(any(map(_is_fact, gap)) for gap in gaps)
    return (
        filled >= FORM_GAPS
        and filled >= FORM_SHARE * len(gaps)
        and filled * 100 >= FORM_GAPS_IN_100_WORDS * (text.size + other_text.size)
    )


@dataclass(frozen=True, slots=True)
class Differences:
    """What a person wants to see of two texts that were compared."""

    longest_passages: tuple[str, ...]  # that both have, the longest first, in the words of the first text
    only_here: tuple[str, ...]  # words that only the first text has, names and figures first
    only_there: tuple[str, ...]


def differences(one: str, other: str) -> Differences:
    """Return the longest passages that two texts share, and the words that only one of them has."""
    text, other_text = _parsed(one), _parsed(other)
    runs = sorted(_shared_runs(text, other_text), key=lambda run: (run[0] - run[1], run[0]))[:SHOWN_PASSAGES]
    return Differences(
        tuple(_clipped(text.words, start, end) for start, end in runs),
        _only(text, other_text),
        _only(other_text, text),
    )


def segments(one: str, other: str) -> list[tuple[str, bool]]:
    """Return a text in pieces, each with whether the other text has it too."""
    text, pieces, at = _parsed(one), [], 0
    for first, end in _shared_runs(text, _parsed(other)):
        start, stop = text.words.begins[first], text.words.ends[end - 1]
        pieces += [(text.words.text[at:start], False), (text.words.text[start:stop], True)]
        at = stop
    return [(piece, shared) for piece, shared in [*pieces, (text.words.text[at:], False)] if piece]


def _clipped(words: Words, start: int, end: int) -> str:
    if end - start <= SHOWN_WORDS:
        return " ".join(words.take(np.arange(start, end)))
    half = SHOWN_WORDS // 2
    return f"{_clipped(words, start, start + half)} … {_clipped(words, end - half, end)} ({end - start} words)"


def _only(text: _Parsed, other: _Parsed) -> tuple[str, ...]:
    new = dict.fromkeys(text.words.take(np.flatnonzero(text.lacking(other))))
    return tuple(sorted(new, key=lambda word: not _is_fact(word))[:SHOWN_WORDS])


@dataclass(frozen=True, slots=True)
class CopyPlace:
    """Where an article stands among its copies."""

    canonical_id: int  # its own id: it speaks for the group, or is alone
    matched_id: int | None  # the article that it was matched with; None: it is canonical
    shared: Overlap | None  # with that article, this one's side first


def group(articles: Sequence[CanonicalRank], compared: Callable[[int, int], Overlap | None]) -> dict[int, CopyPlace]:
    """
    Divide articles into groups of copies and say who speaks for each.

    A group is a star: all its articles match the one in its middle. So A like B and B like C bring A and C together
    only around B, and nothing brings in a D that is like C alone. The middle is the article that is nearly the same
    as most others; containment does not count there, or a page that collects several stories would fuse them. An
    excerpt of a passage that the middle lacks goes with the member that holds most of it. The outcome depends on the
    articles alone, not on the order in which they came.

    Args:
        articles: in any order.
        compared: what two articles share if they match (the first one's side first), else None.

    Returns:
        The place of each article, by id.

    Source: Aslam, Pelekhov and Rus 2004 (star clustering).
    """
    ordered = sorted(articles, key=lambda article: article.order)
    ids = [article.article_id for article in ordered]
    edges = {(a, b): shared for a in ids for b in ids if a != b and (shared := compared(a, b)) is not None}
    near = {a: sum((a, b) in edges and not _one_holds_the_other(edges[a, b]) for b in ids) for a in ids}
    # Among articles that are the same as equally many others, the one that has most excerpts is the most complete.
    matching = {a: sum((a, b) in edges for b in ids) if near[a] else 0 for a in ids}
    middle_of: dict[int, int] = {}
    for middle in sorted(ids, key=lambda a: (-near[a], -matching[a])):  # stable: ties in the order of Standing
        if middle not in middle_of:
            middle_of |= {a: middle for a in ids if a == middle or (a not in middle_of and (a, middle) in edges)}
    holders = _holders(middle_of, edges)
    places: dict[int, CopyPlace] = {}
    for middle in sorted(set(middle_of.values()) - holders.keys()):
        star = [a for a in ids if middle_of[a] == middle]
        speaker = next(a for a in star if a == middle or not _is_excerpt(edges[a, middle]))
        places |= {a: _place(a, speaker, middle, edges) for a in star}
    for excerpt, holder in holders.items():
        places[excerpt] = _place(excerpt, places[holder].canonical_id, holder, edges)
    return places


def _holders(middle_of: Mapping[int, int], edges: Mapping[tuple[int, int], Overlap]) -> dict[int, int]:
    """
    Return the article that holds most of each excerpt that no star took in.

    An article that is in its star because it holds the middle, or is held by it, brings nobody along.
    """
    alone = {middle for middle, size in Counter(middle_of.values()).items() if size == 1}
    same = [a for a, m in middle_of.items() if m not in alone and (a == m or not _one_holds_the_other(edges[a, m]))]
    found = {}
    for excerpt in alone:
        holding = [h for h in same if (excerpt, h) in edges and _is_excerpt(edges[excerpt, h])]
        if holding:
            found[excerpt] = max(holding, key=lambda h: (edges[excerpt, h].containment, -h))
    return found


def _place(article: int, speaker: int, middle: int, edges: Mapping[tuple[int, int], Overlap]) -> CopyPlace:
    if article == speaker:
        return CopyPlace(article, None, None)
    matched = speaker if (article, speaker) in edges else middle
    return CopyPlace(speaker, matched, edges[article, matched])


def _one_holds_the_other(shared: Overlap) -> bool:
    return shared.jaccard < MIN_JACCARD or _is_excerpt(shared) or _is_excerpt(shared.turned)


def _is_excerpt(shared: Overlap) -> bool:
    return shared.containment >= EXCERPT_CONTAINMENT and shared.size <= EXCERPT_SIZE * shared.other_size


@dataclass(frozen=True, slots=True)
class _Hashes:
    """Hashes in a row, ready to be looked up: in ascending order that is several times as fast."""

    order: NDArray[np.int64]
    ascending: NDArray[np.uint64]

    @classmethod
    def of(cls, hashes: NDArray[np.uint64]) -> _Hashes:
        """Sort hashes."""
        order = np.argsort(hashes)
        return cls(order, hashes[order])

    def among(self, others: _Hashes) -> NDArray[np.bool_]:
        """Tell of each, in its place in the row, whether it is among the others."""
        found = np.zeros(self.order.size, dtype=bool)
        if others.order.size:
            at = others.ascending.searchsorted(self.ascending)
            found[self.order] = others.ascending[np.minimum(at, others.order.size - 1)] == self.ascending
        return found


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A text as the search for gaps reads it."""

    words: Words
    known_words: _Hashes
    passages: _Hashes  # of every `_PASSAGE` words in a row

    @property
    def size(self) -> int:
        """How many words it has."""
        return self.words.hashes.size

    def lacking(self, other: _Parsed) -> NDArray[np.bool_]:
        """Tell of each word whether another text lacks it, in either case."""
        return ~self.known_words.among(other.known_words)


# Texts of one group are compared with one another again and again, and soon no more. Some 25 kB each, of 400 words.
@lru_cache(maxsize=256)
def _parsed(text: str) -> _Parsed:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.replace("\u00ad", ""))
    words = plain_words(text)
    passages = words.hashes
    for _ in range(1, _PASSAGE):  # wrapping is wanted
        passages = passages[:-1] * _PASSAGE_BASE ^ passages[1:]
    return _Parsed(words, _Hashes.of(words.hashes), _Hashes.of(passages))


def _shared_runs(text: _Parsed, other: _Parsed) -> list[tuple[int, int]]:
    """Return where words stand, from and to, that are part of a passage which the other text has too."""
    begins = text.passages.among(other.passages)
    shared = np.zeros(text.size + 2, dtype=bool)  # one more on each side, so that every run has two ends
    for offset in range(1, _PASSAGE + 1):
        shared[offset : offset + begins.size] |= begins
    edges = np.flatnonzero(shared[1:] != shared[:-1]).tolist()
    return list(zip(edges[0::2], edges[1::2], strict=True))


def _gaps(text: _Parsed, other: _Parsed) -> list[list[str]]:
    """Return, for each short gap between passages that the other text has too, the words it lacks altogether."""
    lacking = text.lacking(other)
    gaps = []
    for (_, end), (start, _) in pairwise(_shared_runs(text, other)):
        if start - end <= GAP_WORDS:
            new = end + np.flatnonzero(lacking[end:start])
            if new.size:
                gaps.append(text.words.take(new))
    return gaps


def _is_fact(word: str) -> bool:
    return word[0].isupper() or any(map(str.isdigit, word))
