"""
Is one text an edited copy of another, and who speaks for a group of copies?

Sharing enough shingles is not sufficient: notices of one form (earnings, weather, quakes) share more with each other
than many true copies do. What differs tells them apart. In a copy the words that differ are scattered and mostly
common; between two notices they are names and figures, in one short gap after the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ingestd.core.similarity import Overlap, overlap

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
SURE_JACCARD = 0.95  # above it too little differs to look at
GAP_WORDS = 8  # a longer gap is a passage put in or taken out, not a blank filled in
_PASSAGE = 3  # words in a row that count as shared when looking for gaps

_WORD = re.compile(r"[^\W_]+")


class Relation(Enum):
    """What a copy is to its canonical article."""

    EXACT = "exact"  # the same text
    NEAR = "near"
    EXCERPT = "excerpt"  # a part of the canonical article
    EXPANDED = "expanded"  # the canonical article and much more


@dataclass(frozen=True, slots=True)
class ComparedText:
    """What the comparison needs of one text."""

    text: str
    shingles: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What decides who speaks for a group: the earliest published; ties: the longer, then the lower id."""

    article_id: int
    published_at: datetime | None
    n_words: int

    @property
    def order(self) -> tuple[bool, float, int, int]:
        """Sort key: who comes first speaks. An unknown date comes after every known one."""
        known = self.published_at.timestamp() if self.published_at else 0.0
        return (self.published_at is None, known, -self.n_words, self.article_id)


@dataclass(frozen=True, slots=True)
class Copy:
    """An article and the one that it is a copy of."""

    article_id: int
    canonical_id: int
    relation: Relation
    overlap: Overlap  # of the article with its canonical article


def compare(one: ComparedText, other: ComparedText) -> Overlap | None:
    """Return what two texts share if one is an edited copy of the other, else None."""
    found = overlap(one.shingles, other.shingles)
    if found.jaccard < MIN_JACCARD and found.containment < MIN_CONTAINMENT:
        return None
    if found.jaccard < SURE_JACCARD and same_form(one.text, other.text):
        return None
    return found


def relation(text: str, canonical: str, shared: Overlap) -> Relation:
    """Name what a copy is to its canonical article."""
    if text == canonical:
        return Relation.EXACT
    if shared.containment >= EXCERPT_CONTAINMENT:
        if shared.size <= EXCERPT_SIZE * shared.other_size:
            return Relation.EXCERPT
        if shared.other_size <= EXCERPT_SIZE * shared.size:
            return Relation.EXPANDED
    return Relation.NEAR


def same_form(one: str, other: str) -> bool:
    """Tell whether two texts are notices of one form, filled in with other names and figures."""
    words, others = _words(one), _words(other)
    gaps = [*_gaps(words, others), *_gaps(others, words)]
    filled = sum(any(map(_is_fact, gap)) for gap in gaps)
    return (
        filled >= FORM_GAPS
        and filled >= FORM_SHARE * len(gaps)
        and filled * 100 >= FORM_GAPS_IN_100_WORDS * (len(words) + len(others))
    )


def regroup(
    newcomer: Standing,
    matches: Mapping[int, Overlap],
    groups: Mapping[int, Sequence[Standing]],
    compared: Callable[[int, int], Overlap | None],
) -> dict[int, tuple[int, Overlap] | None]:
    """
    Place an article among its copies, and move others where it speaks better for them than who does now.

    A group is a star: every copy matches its canonical article itself. Articles are taken in the order of `Standing`,
    and each is a copy of the nearest canonical article before it, or becomes canonical. So A like B and B like C do
    not make C a copy of A, and the outcome is the same whatever the order of arrival.

    Args:
        newcomer: the article.
        matches: articles that it matches, by id, with what they share (the newcomer's side first).
        groups: the groups of those articles, by canonical id; each with its canonical article.
        compared: what two articles share if they match (the first one's side first); asked only where needed.

    Returns:
        For the newcomer and every article whose place changes: its canonical article and what they share, or None
        where it is now canonical itself.
    """
    standing = {member.article_id: member for group in groups.values() for member in group}
    before = [c for c in groups if standing[c].order < newcomer.order]
    placed = _nearest(newcomer.article_id, before, lambda a, b: matches.get(b) or compared(a, b))
    if placed is not None or not matches:
        return {newcomer.article_id: placed}
    # It speaks for itself, and perhaps for articles that had another canonical article until now.
    standing[newcomer.article_id] = newcomer
    return _stars(sorted(standing.values(), key=lambda s: s.order), compared)


def _stars(
    ordered: Sequence[Standing], compared: Callable[[int, int], Overlap | None]
) -> dict[int, tuple[int, Overlap] | None]:
    canonical: list[int] = []
    places: dict[int, tuple[int, Overlap] | None] = {}
    for member in ordered:
        place = _nearest(member.article_id, canonical, compared)
        places[member.article_id] = place
        if place is None:
            canonical.append(member.article_id)
    return places


def _nearest(
    article_id: int, canonical: Sequence[int], compared: Callable[[int, int], Overlap | None]
) -> tuple[int, Overlap] | None:
    """Return the canonical article that shares most with this one, if any matches it."""
    found = [(c, shared) for c in canonical if (shared := compared(article_id, c)) is not None]
    return max(found, key=lambda pair: (pair[1].jaccard, pair[1].containment, -pair[0]), default=None)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text.replace("\u00ad", "")))


def _gaps(words: Sequence[str], others: Sequence[str]) -> list[list[str]]:
    """Return, for each short gap between passages that the other text has too, the words it lacks altogether."""
    folded, others_folded = [w.lower() for w in words], [w.lower() for w in others]
    theirs = set(zip(*(others_folded[i:] for i in range(_PASSAGE)), strict=False))
    shared = [False] * len(words)
    for i, passage in enumerate(zip(*(folded[i:] for i in range(_PASSAGE)), strict=False)):
        if passage in theirs:
            shared[i : i + _PASSAGE] = [True] * _PASSAGE
    known = set(others_folded)
    edges = np.flatnonzero(np.diff(np.array(shared, dtype=np.int8), prepend=0, append=0)).tolist()
    gaps = []
    for end, start in zip(edges[1::2], edges[2::2], strict=False):
        new = [w for w, f in zip(words[end:start], folded[end:start], strict=True) if f not in known]
        if new and start - end <= GAP_WORDS:
            gaps.append(new)
    return gaps


def _is_fact(word: str) -> bool:
    return word[0].isupper() or any(map(str.isdigit, word))
