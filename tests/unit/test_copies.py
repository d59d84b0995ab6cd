from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.copies.diff import find_differences, split_into_segments
from ingestd.core.copies.overlap import Overlap
from ingestd.core.copies.star_groups import CanonicalRank, group_copies
from ingestd.core.copies.verify import ComparedText, PairVerdict, Relation, classify_relation, compare_texts
from ingestd.core.text.shingles import hash_shingles

START = datetime(2025, 3, 1, tzinfo=UTC)
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


def compared(*texts: str) -> list[ComparedText]:
    return [ComparedText(text, text, shingles) for text, shingles in zip(texts, hash_shingles(texts), strict=True)]


def notice(place: str, day: str, rain: int, gusts: int, river: str, name: str) -> str:
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
    comparison = compare_texts(*compared(STORY, edited))
    assert comparison.verdict is PairVerdict.COPY
    assert classify_relation(*compared(edited, STORY)) is Relation.NEAR


def test_notices_of_one_form_with_other_facts_are_no_copies() -> None:
    one = notice("the Callow Hills", "Wednesday", 45, 90, "Wend", "Helen Strand")
    other = notice("the Sorrel Coast", "Friday", 80, 125, "Amber", "Marcus Vale")
    comparison = compare_texts(*compared(one, other))
    assert comparison.overlap.containment > 0.25  # more than two reports of one event ever share
    assert comparison.verdict is PairVerdict.TEMPLATE


def test_the_same_notice_with_one_figure_corrected_is_a_copy() -> None:
    one = notice("the Callow Hills", "Wednesday", 45, 90, "Wend", "Helen Strand")
    assert compare_texts(*compared(one, one.replace("45", "54"))).verdict is PairVerdict.COPY


def test_an_excerpt_says_which_way_round_it_is() -> None:
    long = f"{STORY} {OTHER}"
    part = STORY[: len(STORY) // 2]
    assert compare_texts(*compared(part, long)).verdict is PairVerdict.COPY
    assert classify_relation(*compared(part, long)) is Relation.EXCERPT
    assert classify_relation(*compared(long, part)) is Relation.EXPANDED
    assert classify_relation(*compared(long, long)) is Relation.EXACT


@given(st.lists(st.sampled_from([*STORY.split()[:30], "Zinc", "€", "47", "ﬁn"]), max_size=60).map(" ".join))
def test_pieces_of_a_text_put_together_are_the_text(text: str) -> None:
    pieces = split_into_segments(text, STORY)
    assert "".join(piece for piece, _ in pieces) == unicodedata.normalize("NFKC", text)
    assert all(len(piece.split()) >= 3 for piece, shared in pieces if shared)


def test_differences_name_what_is_shared_and_what_is_not() -> None:
    found = find_differences(STORY, STORY.replace("Agneta Foyle", "Helen Strand").replace("boldest", "bravest"))
    assert found.only_here == ("Agneta", "Foyle", "boldest")  # names first
    assert found.only_there == ("Helen", "Strand", "bravest")
    assert found.longest_passages[0].startswith("decision since the harbour was dredged")


def test_different_stories_are_no_copies() -> None:
    assert compare_texts(*compared(STORY, OTHER)).verdict is PairVerdict.NONE


# Groups, on graphs of matches that are made up: numbers stand for articles.

standings = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.integers(50, 53)), min_size=1, max_size=6
).map(
    lambda drawn: [
        CanonicalRank(article_id=i, published_at=None if day is None else START + timedelta(days=day), n_words=words)
        for i, (day, words) in enumerate(drawn)
    ]
)


def matches_of(pairs: set[tuple[int, int]]) -> object:
    def compared(a: int, b: int) -> Overlap | None:
        return Overlap(80, 100, 100) if (min(a, b), max(a, b)) in pairs else None

    return compared


@given(standings, st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] < p[1])))
def test_groups_do_not_depend_on_the_order_of_arrival(
    articles: list[CanonicalRank], pairs: set[tuple[int, int]]
) -> None:
    outcomes = [group_copies(list(order), matches_of(pairs)) for order in list(permutations(articles))[:30]]  # type: ignore[arg-type]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(standings, st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] < p[1])))
def test_every_copy_matches_what_it_is_filed_under(articles: list[CanonicalRank], pairs: set[tuple[int, int]]) -> None:
    places = group_copies(articles, matches_of(pairs))  # type: ignore[arg-type]
    for article, place in places.items():
        speaker = places[place.canonical_id]
        assert speaker.canonical_id == place.canonical_id  # who speaks is nobody's copy
        if place.matched_id is not None:
            assert (min(article, place.matched_id), max(article, place.matched_id)) in pairs


kinds = st.sampled_from([None, None, Overlap(80, 100, 100), Overlap(95, 100, 900), Overlap(95, 900, 100)])


@given(standings, st.data())
def test_excerpts_and_collections_keep_to_the_same_rules(articles: list[CanonicalRank], data: st.DataObject) -> None:
    drawn = {(a, b): data.draw(kinds) for a in range(6) for b in range(a + 1, 6)}
    found = drawn | {(b, a): shared.swap_sides() if shared else None for (a, b), shared in drawn.items()}
    places = group_copies(articles, lambda a, b: found[a, b])
    for order in list(permutations(articles))[:30]:
        assert group_copies(list(order), lambda a, b: found[a, b]) == places
    for article, place in places.items():
        assert places[place.canonical_id].matched_id is None  # who speaks is nobody's copy
        if place.matched_id is not None:
            assert place.overlap == found[article, place.matched_id]
            assert places[place.matched_id].canonical_id == place.canonical_id


def test_an_excerpt_that_the_middle_lacks_goes_with_the_member_that_holds_it() -> None:
    # 1 and 2 are much the same as 0, which is the middle; 3 is a passage of 2 that 0 does not have.
    articles = [CanonicalRank(article_id=i, published_at=START, n_words=300 - i) for i in range(4)]
    near, part = Overlap(80, 100, 100), Overlap(20, 21, 100)
    found = {(0, 1): near, (0, 2): near, (3, 2): part}
    found |= {(b, a): shared.swap_sides() for (a, b), shared in found.items()}
    places = group_copies(articles, lambda a, b: found.get((a, b)))
    assert (places[3].canonical_id, places[3].matched_id, places[3].overlap) == (0, 2, part)


def test_a_chain_does_not_become_one_group() -> None:
    chain = [CanonicalRank(article_id=i, published_at=START + timedelta(days=i), n_words=100) for i in range(5)]
    places = group_copies(chain, matches_of({(0, 1), (1, 2), (2, 3), (3, 4)}))  # type: ignore[arg-type]
    assert places[0].canonical_id != places[4].canonical_id


def test_the_earliest_speaks_then_the_longer_then_the_lower_id() -> None:
    everyone = {(a, b) for a in range(4) for b in range(a + 1, 4)}

    def speaker(*articles: tuple[int | None, int]) -> int:
        made = [
            CanonicalRank(article_id=i, published_at=None if d is None else START + timedelta(days=d), n_words=n)
            for i, (d, n) in enumerate(articles)
        ]
        return group_copies(made, matches_of(everyone))[0].canonical_id  # type: ignore[arg-type]

    assert speaker((2, 900), (1, 100), (None, 900)) == 1
    assert speaker((1, 100), (1, 200), (1, 150)) == 1
    assert speaker((1, 100), (1, 100)) == 0
    assert speaker((None, 100), (5, 100)) == 1


def test_a_page_that_collects_stories_does_not_make_them_copies_of_one_another() -> None:
    stories = [CanonicalRank(article_id=i, published_at=START, n_words=300) for i in range(3)]
    collection = CanonicalRank(article_id=9, published_at=START + timedelta(days=1), n_words=900)

    def compared(a: int, b: int) -> Overlap | None:
        if 9 not in (a, b):
            return None
        return Overlap(290, 296, 896) if b == 9 else Overlap(290, 896, 296)

    places = group_copies([*stories, collection], compared)
    assert len({places[i].canonical_id for i in range(3)}) == 3


def test_an_excerpt_of_the_same_day_never_speaks_for_its_original() -> None:
    original = CanonicalRank(article_id=2, published_at=START, n_words=600)
    excerpt = CanonicalRank(article_id=1, published_at=START, n_words=90)
    shared = {(1, 2): Overlap(80, 86, 596), (2, 1): Overlap(80, 596, 86)}
    places = group_copies([excerpt, original], lambda a, b: shared[a, b])
    assert places[1].canonical_id == 2


def test_shared_shingles_are_counted_from_both_sides() -> None:
    a, b = np.array([1, 2, 3, 4], dtype=np.uint32), np.array([3, 4], dtype=np.uint32)
    from ingestd.core.copies.overlap import measure_overlap

    assert measure_overlap(a, b) == Overlap(2, 4, 2) == measure_overlap(b, a).swap_sides()
    assert (measure_overlap(a, b).jaccard, measure_overlap(a, b).containment) == (0.5, 1.0)
