from __future__ import annotations

import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.copies.diff import find_differences, split_into_segments
from ingestd.core.copies.overlap import Overlap, measure_overlap
from ingestd.core.copies.verify import ComparedText, PairVerdict, Relation, classify_relation, compare_texts
from ingestd.core.text.shingles import hash_shingles

STORY = (
    "The council of Port Ellory voted on Monday to close the old fish market and to build a concert hall in its place. "
    "The mayor, Agneta Foyle, called it the boldest decision since the harbour was dredged. Fishmongers who have stood "
    "there for four generations said that nobody had asked them, and announced that they would go to court. The hall is "
    "to cost 48 million and to open within five years, with 1,900 seats and a terrace that looks out over the water. "
    "Two members of the council, both of them former sailors, left the room before the vote and would not say why."
)
OTHER = (
    "Engineers have found a crack in the main girder of the railway bridge over the Little Garrow, and trains between "
    "Talvaz and the coast will run at walking pace until it has been welded. The operator expects delays of twenty "
    "minutes for at least three weeks. Goods trains are being sent over the southern line, which adds two hours to the "
    "journey, and the paper mill at Tolbury has warned that its stores of timber will last for only nine days."
)


def prepare(*texts: str) -> list[ComparedText]:
    return [ComparedText(text, text, shingles) for text, shingles in zip(texts, hash_shingles(texts), strict=True)]


def write_notice(place: str, day: str, rain: int, gusts: int, river: str, name: str) -> str:
    return (
        f"The Weather Desk has issued a severe weather notice for {place}, valid from {day} morning. Thunderstorms with "
        f"up to {rain} millimetres of rain are expected, with gusts of up to {gusts} kilometres an hour. Small rivers may "
        f"rise quickly, in particular the {river}. Residents are advised to stay indoors, to keep away from trees and to "
        f"bring in anything that the wind could carry off. The duty forecaster is {name}."
    )


def test_an_edited_reprint_is_a_copy() -> None:
    edited = (
        STORY.replace("voted on Monday", "decided this week").replace("boldest", "bravest") + " Read more on page 4."
    )
    comparison = compare_texts(*prepare(STORY, edited))
    assert comparison.verdict is PairVerdict.COPY
    assert classify_relation(*prepare(edited, STORY)) is Relation.NEAR


def test_notices_of_one_template_with_other_facts_are_no_copies() -> None:
    one = write_notice("the Callow Hills", "Wednesday", 45, 90, "Wend", "Helen Strand")
    other = write_notice("the Sorrel Coast", "Friday", 80, 125, "Amber", "Marcus Vale")
    comparison = compare_texts(*prepare(one, other))
    assert comparison.overlap.containment > 0.25  # more than two reports of one event ever share
    assert comparison.verdict is PairVerdict.TEMPLATE


def test_the_same_notice_with_one_figure_corrected_is_a_copy() -> None:
    one = write_notice("the Callow Hills", "Wednesday", 45, 90, "Wend", "Helen Strand")
    assert compare_texts(*prepare(one, one.replace("45", "54"))).verdict is PairVerdict.COPY


def test_an_excerpt_says_which_way_round_it_is() -> None:
    long = f"{STORY} {OTHER}"
    part = STORY[: len(STORY) // 2]
    assert compare_texts(*prepare(part, long)).verdict is PairVerdict.COPY
    assert classify_relation(*prepare(part, long)) is Relation.EXCERPT
    assert classify_relation(*prepare(long, part)) is Relation.EXPANDED
    assert classify_relation(*prepare(long, long)) is Relation.EXACT


def test_different_stories_are_no_copies() -> None:
    assert compare_texts(*prepare(STORY, OTHER)).verdict is PairVerdict.NONE


@given(st.lists(st.sampled_from([*STORY.split()[:30], "Zinc", "€", "47", "ﬁn"]), max_size=60).map(" ".join))
def test_pieces_of_a_text_put_together_are_the_text(text: str) -> None:
    pieces = split_into_segments(text, STORY)
    assert "".join(piece for piece, _ in pieces) == unicodedata.normalize("NFKC", text)
    assert all(len(piece.split()) >= 3 for piece, shared in pieces if shared)


def test_differences_name_what_is_shared_and_what_is_not() -> None:
    differences = find_differences(STORY, STORY.replace("Agneta Foyle", "Helen Strand").replace("boldest", "bravest"))
    assert differences.only_here == ("Agneta", "Foyle", "boldest")  # names first
    assert differences.only_there == ("Helen", "Strand", "bravest")
    assert differences.longest_passages[0].startswith("decision since the harbour was dredged")


def test_shared_shingles_are_counted_from_both_sides() -> None:
    a, b = np.array([1, 2, 3, 4], dtype=np.uint32), np.array([3, 4], dtype=np.uint32)
    assert measure_overlap(a, b) == Overlap(2, 4, 2) == measure_overlap(b, a).swap_sides()
    assert (measure_overlap(a, b).jaccard, measure_overlap(a, b).containment) == (0.5, 1.0)
