"""
Decide whether one text is an edited copy of another.

Shared shingles are not sufficient evidence: notices of one template (earnings, weather, quakes) share more shingles
with each other than many true copies do. `template` recognises such notices by the words that differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ingestd.core.copies.overlap import Overlap, measure_overlap
from ingestd.core.copies.template import have_same_template
from ingestd.core.text.boilerplate import remove_known_boilerplate

# All thresholds were set on the labelled near-duplicates. A true copy there has a Jaccard of at least .36 or a
# containment of at least .63; texts that merely report the same event reach .06 and .20.
MIN_JACCARD = 0.3
MIN_CONTAINMENT = 0.5
# A copy is an excerpt if the canonical article holds this share of the shingles and the copy is this much shorter.
EXCERPT_CONTAINMENT = 0.8
EXCERPT_SIZE = 0.6
# Notices of one template have a containment between .28 and .84. Above, too little differs for a second filling.
TEMPLATE_CONTAINMENT = 0.25
SURE_CONTAINMENT = 0.9


class Relation(Enum):
    """Kind of a copy, in relation to the canonical article."""

    EXACT = "exact"  # the same text
    NEAR = "near"
    EXCERPT = "excerpt"  # a part of the canonical article
    EXPANDED = "expanded"  # the canonical article and much more


@dataclass(frozen=True, slots=True)
class ComparedText:
    """One text as the comparison reads it."""

    text: str  # as stored
    body: str  # without the lines that the outlet also prints under other headlines
    shingles: NDArray[np.uint32]  # of `compared`, sorted, without repeats

    @property
    def compared(self) -> str:
        """The body without known boilerplate. Computed on demand, because few callers need the text."""
        return remove_known_boilerplate(self.body)


class PairVerdict(Enum):
    """Result of comparing two texts."""

    COPY = "copy"  # one text is an edited copy of the other
    TEMPLATE = "template"  # notices of one template, about different things
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict about two texts, and the overlap behind the verdict."""

    verdict: PairVerdict
    overlap: Overlap


def compare_texts(one: ComparedText, other: ComparedText) -> Comparison:
    """Compare two texts by their shingles and, where shingles leave doubt, by the words that differ."""
    overlap = measure_overlap(one.shingles, other.shingles)
    if TEMPLATE_CONTAINMENT <= overlap.containment < SURE_CONTAINMENT and have_same_template(one.text, other.text):
        return Comparison(PairVerdict.TEMPLATE, overlap)
    if overlap.jaccard >= MIN_JACCARD or overlap.containment >= MIN_CONTAINMENT:
        return Comparison(PairVerdict.COPY, overlap)
    return Comparison(PairVerdict.NONE, overlap)


def classify_relation(text: ComparedText, canonical: ComparedText) -> Relation:
    """Return the kind of a copy in relation to the canonical article."""
    if text.text == canonical.text:
        return Relation.EXACT
    overlap = measure_overlap(text.shingles, canonical.shingles)
    if is_excerpt(overlap):
        return Relation.EXCERPT
    if is_excerpt(overlap.swap_sides()):
        return Relation.EXPANDED
    return Relation.NEAR


def is_excerpt(overlap: Overlap) -> bool:
    """Return whether the first text is a part of the second."""
    return overlap.containment >= EXCERPT_CONTAINMENT and overlap.size <= EXCERPT_SIZE * overlap.other_size
