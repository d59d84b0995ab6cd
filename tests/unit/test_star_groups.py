"""Groups of copies, on graphs of matches that are made up: numbers stand for articles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.copies.overlap import Overlap
from ingestd.core.copies.star_groups import CanonicalRank, group_copies

START = datetime(2025, 3, 1, tzinfo=UTC)
ranks = st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.integers(50, 53)), min_size=1, max_size=6).map(
    lambda drawn: [
        CanonicalRank(article_id=i, published_at=None if day is None else START + timedelta(days=day), n_words=words)
        for i, (day, words) in enumerate(drawn)
    ]
)


Pair = tuple[int, int]


def match_pairs(pairs: Iterable[Pair]) -> dict[Pair, Overlap]:
    """Return the matches of just these pairs, as near copies, in both directions."""
    return {pair: Overlap(80, 100, 100) for a, b in pairs for pair in ((a, b), (b, a))}


def select_matches(articles: Sequence[CanonicalRank], overlaps: Mapping[Pair, Overlap | None]) -> dict[Pair, Overlap]:
    """Return the matches among some articles."""
    ids = {article.article_id for article in articles}
    return {pair: shared for pair, shared in overlaps.items() if shared is not None and ids.issuperset(pair)}


@given(ranks, st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] < p[1])))
def test_groups_do_not_depend_on_the_order_of_arrival(
    articles: list[CanonicalRank], pairs: set[tuple[int, int]]
) -> None:
    outcomes = [
        group_copies(list(order), select_matches(articles, match_pairs(pairs)))
        for order in list(permutations(articles))[:30]
    ]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(ranks, st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda p: p[0] < p[1])))
def test_every_copy_matches_the_article_it_is_filed_under(
    articles: list[CanonicalRank], pairs: set[tuple[int, int]]
) -> None:
    memberships = group_copies(articles, select_matches(articles, match_pairs(pairs)))
    for article, membership in memberships.items():
        canonical = memberships[membership.canonical_id]
        assert canonical.canonical_id == membership.canonical_id  # a canonical article is no copy
        if membership.matched_id is not None:
            assert (min(article, membership.matched_id), max(article, membership.matched_id)) in pairs


overlaps = st.sampled_from([None, None, Overlap(80, 100, 100), Overlap(95, 100, 900), Overlap(95, 900, 100)])


@given(ranks, st.data())
def test_excerpts_and_collections_keep_to_the_same_rules(articles: list[CanonicalRank], data: st.DataObject) -> None:
    drawn = {(a, b): data.draw(overlaps) for a in range(6) for b in range(a + 1, 6)}
    found = drawn | {(b, a): shared.swap_sides() if shared else None for (a, b), shared in drawn.items()}
    memberships = group_copies(articles, select_matches(articles, found))
    for order in list(permutations(articles))[:30]:
        assert group_copies(list(order), select_matches(articles, found)) == memberships
    for article, membership in memberships.items():
        assert memberships[membership.canonical_id].matched_id is None  # a canonical article is no copy
        if membership.matched_id is not None:
            assert membership.overlap == found[article, membership.matched_id]
            assert memberships[membership.matched_id].canonical_id == membership.canonical_id


def test_an_excerpt_that_the_middle_lacks_goes_with_the_member_that_holds_it() -> None:
    # 1 and 2 are much the same as 0, which is the middle; 3 is a passage of 2 that 0 does not have.
    articles = [CanonicalRank(article_id=i, published_at=START, n_words=300 - i) for i in range(4)]
    near, part = Overlap(80, 100, 100), Overlap(20, 21, 100)
    found = {(0, 1): near, (0, 2): near, (3, 2): part}
    found |= {(b, a): shared.swap_sides() for (a, b), shared in found.items()}
    memberships = group_copies(articles, found)
    assert (memberships[3].canonical_id, memberships[3].matched_id, memberships[3].overlap) == (0, 2, part)


def test_a_chain_does_not_become_one_group() -> None:
    chain = [CanonicalRank(article_id=i, published_at=START + timedelta(days=i), n_words=100) for i in range(5)]
    memberships = group_copies(chain, match_pairs({(0, 1), (1, 2), (2, 3), (3, 4)}))
    assert memberships[0].canonical_id != memberships[4].canonical_id


def test_the_earliest_is_canonical_then_the_longer_then_the_lower_id() -> None:
    everyone = {(a, b) for a in range(4) for b in range(a + 1, 4)}

    def choose_canonical(*articles: tuple[int | None, int]) -> int:
        ranks = [
            CanonicalRank(article_id=i, published_at=None if d is None else START + timedelta(days=d), n_words=n)
            for i, (d, n) in enumerate(articles)
        ]
        return group_copies(ranks, match_pairs(everyone))[0].canonical_id

    assert choose_canonical((2, 900), (1, 100), (None, 900)) == 1
    assert choose_canonical((1, 100), (1, 200), (1, 150)) == 1
    assert choose_canonical((1, 100), (1, 100)) == 0
    assert choose_canonical((None, 100), (5, 100)) == 1


def test_a_page_that_collects_stories_does_not_make_them_copies_of_one_another() -> None:
    stories = [CanonicalRank(article_id=i, published_at=START, n_words=300) for i in range(3)]
    collection = CanonicalRank(article_id=9, published_at=START + timedelta(days=1), n_words=900)

    matches = {(i, 9): Overlap(290, 296, 896) for i in range(3)}
    matches |= {(b, a): shared.swap_sides() for (a, b), shared in matches.items()}
    memberships = group_copies([*stories, collection], matches)
    assert len({memberships[i].canonical_id for i in range(3)}) == 3


def test_an_excerpt_of_the_same_day_is_never_canonical() -> None:
    original = CanonicalRank(article_id=2, published_at=START, n_words=600)
    excerpt = CanonicalRank(article_id=1, published_at=START, n_words=90)
    shared = {(1, 2): Overlap(80, 86, 596), (2, 1): Overlap(80, 596, 86)}
    memberships = group_copies([excerpt, original], shared)
    assert memberships[1].canonical_id == 2
