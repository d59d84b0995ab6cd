"""
Divide copies into groups and choose the canonical article of each group.

A group is a star: every member matches the article in the middle. So A like B and B like C bring A and C together only
around B, and nothing brings in a D that is like C alone.

Source: Aslam, Pelekhov and Rus 2004 (star clustering).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingestd.core.copies.overlap import Overlap
from ingestd.core.copies.verify import MIN_JACCARD, is_excerpt

# Overlap of every matching pair (first article, second article).
Matches = Mapping[tuple[int, int], Overlap]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalRank:
    """Rank of an article in a group of copies. The canonical article is the earliest; ties: longer, then lower id."""

    article_id: int
    published_at: datetime | None
    n_words: int

    @property
    def sort_key(self) -> tuple[bool, float, int, int]:
        """Sort key: the canonical article comes first. An unknown date comes after every known date."""
        known = self.published_at.timestamp() if self.published_at else 0.0
        return (self.published_at is None, known, -self.n_words, self.article_id)


@dataclass(frozen=True, slots=True)
class CopyMembership:
    """Membership of an article in a group of copies."""

    canonical_id: int  # own id: the article is canonical, or has no copies
    matched_id: int | None  # the article that this one matches; None: this one is canonical
    overlap: Overlap | None  # with the matched article; this article is the first side


def group_copies(articles: Sequence[CanonicalRank], matches: Matches) -> dict[int, CopyMembership]:
    """
    Divide articles into groups of copies and choose the canonical article of each group.

    The middle of a star is the article that is nearly the same as most others. Containment does not count there, or a
    page that collects several stories would fuse the groups of all stories. An excerpt of a passage that the middle
    lacks joins the member that holds most of the excerpt. The result depends on the articles alone, not on the order of
    arrival.

    Args:
        articles: in any order.
        matches: overlap of every ordered pair of articles that match, by id; the first article is the first side.

    Returns:
        The membership of each article, by id.
    """
    ids = [article.article_id for article in sorted(articles, key=lambda article: article.sort_key)]
    middle_of = _assign_middles(ids, matches)
    holders = _find_holders(middle_of, matches)
    memberships: dict[int, CopyMembership] = {}
    for middle in sorted(set(middle_of.values()) - holders.keys()):
        star = [a for a in ids if middle_of[a] == middle]
        canonical = next(a for a in star if a == middle or not is_excerpt(matches[a, middle]))
        memberships |= {a: _create_membership(a, canonical, middle, matches) for a in star}
    for excerpt, holder in holders.items():
        memberships[excerpt] = _create_membership(excerpt, memberships[holder].canonical_id, holder, matches)
    return memberships


def _assign_middles(ids: Sequence[int], matches: Matches) -> dict[int, int]:
    """Return the middle of the star of each article; `ids` in the order of `CanonicalRank`."""
    near = {a: sum((a, b) in matches and not _holds_or_is_held(matches[a, b]) for b in ids) for a in ids}
    # Among articles that are nearly the same as equally many others, the most complete has the most excerpts.
    matching = {a: sum((a, b) in matches for b in ids) if near[a] else 0 for a in ids}
    middle_of: dict[int, int] = {}
    for middle in sorted(ids, key=lambda a: (-near[a], -matching[a])):  # stable: ties in the order of the ranks
        if middle not in middle_of:
            middle_of |= {a: middle for a in ids if a == middle or (a not in middle_of and (a, middle) in matches)}
    return middle_of


def _find_holders(middle_of: Mapping[int, int], matches: Matches) -> dict[int, int]:
    """
    Return, for each excerpt outside of all stars, the article that holds most of the excerpt.

    A member that belongs to a star only by containment cannot bring in an excerpt.
    """
    alone = {middle for middle, size in Counter(middle_of.values()).items() if size == 1}
    same = [a for a, m in middle_of.items() if m not in alone and (a == m or not _holds_or_is_held(matches[a, m]))]
    holder_of = {}
    for excerpt in alone:
        holding = [h for h in same if (excerpt, h) in matches and is_excerpt(matches[excerpt, h])]
        if holding:
            holder_of[excerpt] = max(holding, key=lambda h: (matches[excerpt, h].containment, -h))
    return holder_of


def _create_membership(article: int, canonical: int, middle: int, matches: Matches) -> CopyMembership:
    if article == canonical:
        return CopyMembership(article, None, None)
    matched = canonical if (article, canonical) in matches else middle
    return CopyMembership(canonical, matched, matches[article, matched])


def _holds_or_is_held(overlap: Overlap) -> bool:
    """Return whether two articles match by containment alone."""
    return overlap.jaccard < MIN_JACCARD or is_excerpt(overlap) or is_excerpt(overlap.swap_sides())
