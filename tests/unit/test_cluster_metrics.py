from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.events.cluster_metrics import compare_clusterings

groupings = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)


@given(groupings)
def test_a_grouping_agrees_with_itself_under_any_names(drawn: dict[str, tuple[int, int]]) -> None:
    one = {k: a for k, (a, _) in drawn.items()}
    found = compare_clusterings(one, {k: f"group {a}" for k, a in one.items()})
    assert (found.b3_f1, found.pair_f1, found.adjusted_rand) == (1.0, 1.0, 1.0)


@given(groupings)
def test_turned_round_precision_and_recall_change_places(drawn: dict[str, tuple[int, int]]) -> None:
    one, other = ({k: pair[i] for k, pair in drawn.items()} for i in (0, 1))
    there, back = compare_clusterings(one, other), compare_clusterings(other, one)
    assert there.b3_precision == pytest.approx(back.b3_recall)
    assert there.pair_precision == pytest.approx(back.pair_recall)
    assert there.adjusted_rand == pytest.approx(back.adjusted_rand)


def test_a_worked_example() -> None:
    gold = dict(zip("abcdef", "xxxyyy", strict=True))
    found = dict(zip("abcdef", "112233", strict=True))
    figures = compare_clusterings(gold, found)
    # B-cubed: a, b and e, f are right in full, c and d by half; of three, a and b have two, c has one.
    assert figures.b3_precision == pytest.approx(5 / 6)
    assert figures.b3_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert (figures.pair_precision, figures.pair_recall) == (pytest.approx(2 / 3), pytest.approx(2 / 6))
    # Pairs 2, by chance 6 * 3 / 15; at most (6 + 3) / 2.
    assert figures.adjusted_rand == pytest.approx((2 - 1.2) / (4.5 - 1.2))


def test_articles_that_only_the_found_grouping_has_do_not_count() -> None:
    assert compare_clusterings({"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}).b3_precision == 1.0


def test_an_article_that_was_not_found_is_refused() -> None:
    with pytest.raises(ValueError, match="in both"):
        compare_clusterings({"a": 1}, {})
