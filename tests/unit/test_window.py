from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.features import COPY, EVENT
from ingestd.core.features.copy_feature import COPY_SCHEME, CopySignature
from ingestd.core.features.event_feature import EVENT_SCHEME, EventSketch
from ingestd.core.text.term_weights import TermVector
from ingestd.core.window.columns import WindowColumns, WindowRow
from ingestd.core.window.window import Window

DAY = date(2025, 3, 1)


def entry(
    article_id: int, day: int | None, *, like: int = 0, canonical: int | None = None, cluster: int | None = None
) -> WindowRow:
    """An article; equal `like` means equal signatures and terms."""
    rng = np.random.default_rng(like)
    published = None if day is None else datetime(2025, 3, 1, tzinfo=UTC) + timedelta(days=day)
    return WindowRow(
        article_id=article_id,
        published_at=published,
        day=DAY if published is None else published.date(),
        n_words=100,
        outlet=None,
        features={
            COPY.name: CopySignature(
                rng.integers(0, 2**32, COPY_SCHEME.length, dtype=np.uint32),
                rng.integers(0, 2**28, 20, dtype=np.uint32),
            ),
            EVENT.name: EventSketch(
                rng.integers(0, 2**32, EVENT_SCHEME.length, dtype=np.uint32),
                TermVector(np.array([like << 10], dtype=np.uint32), np.ones(1, dtype=np.float32), ""),
            ),
        },
        canonical_id=canonical or article_id,
        cluster_id=cluster,
    )


def replace_terms(row: WindowRow, hashes: list[int], weights: list[float]) -> WindowRow:
    """The same article with other terms."""
    terms = TermVector(np.array(hashes, dtype=np.uint32), np.array(weights, dtype=np.float32), "")
    sketch: EventSketch = row.features[EVENT.name]  # type: ignore[assignment]
    return replace(row, features={**row.features, EVENT.name: replace(sketch, terms=terms)})


def test_articles_further_apart_than_the_window_are_not_compared() -> None:
    window = Window(days=7, max_articles=1000)
    arrived = WindowColumns.from_rows([entry(1, 0), entry(2, 7), entry(3, 8), entry(4, None)])
    window.add(arrived)
    near = window.candidates.find_candidates(arrived, earlier=True)
    assert [set(n.copies) for n in near] == [set(), {1}, {2}, {1, 2, 3}]
    assert [set(n.coverage) for n in near] == [set(), {1}, {2}, {1, 2, 3}]


def test_days_are_asked_for_once() -> None:
    window = Window(days=2, max_articles=1000)
    missing = window.days.find_missing([DAY])
    assert missing == [DAY + timedelta(days=d) for d in range(-2, 3)]
    window.days.mark_held(missing)
    assert window.days.find_missing([DAY]) == []
    assert window.days.find_missing([DAY + timedelta(days=1)]) == [DAY + timedelta(days=3)]


def test_when_it_is_full_the_days_unused_longest_are_forgotten() -> None:
    window = Window(days=1, max_articles=1000)
    for day in range(30):
        when = DAY + timedelta(days=day)
        window.days.mark_held(window.days.find_missing([when]))
        window.add(WindowColumns.from_rows([entry(day * 100 + i + 1, day, like=day * 100 + i) for i in range(100)]))
        window.evict()
        assert len(window) <= 1100
    assert 2901 in window
    assert 1 not in window
    assert DAY in window.days.find_missing([DAY])  # would be read again
    # What is left answers as before.
    last = WindowColumns.from_rows([entry(9999, 29, like=2905)])
    window.add(last)
    assert window.candidates.find_candidates(last, earlier=True)[0].copies == (2906,)


def test_days_that_no_recent_arrival_asked_for_are_forgotten_though_there_is_room() -> None:
    window = Window(days=3, max_articles=10_000)  # the last tenth of it are recent arrivals
    for day in range(60):
        when = DAY + timedelta(days=day)
        window.days.mark_held(window.days.find_missing([when], arriving=100))
        window.add(WindowColumns.from_rows([entry(day * 100 + i + 1, day, like=day * 100 + i) for i in range(100)]))
        window.evict()
        assert len(window) <= 1_000 + 100 * (3 + 2)  # what came lately, and what is in reach of the first of that
    assert {5901, 4901} <= {a for a in range(1, 6001) if a in window}
    assert 4001 not in window


def test_a_copy_is_of_its_canonical_articles_cluster() -> None:
    window = Window(days=7, max_articles=1000)
    window.add(
        WindowColumns.from_rows([entry(1, 0, cluster=5), entry(2, 1, canonical=1, cluster=5), entry(3, 1, cluster=5)])
    )
    assert window.memberships.get_cluster(2) == 5
    assert sorted(window.memberships.list_members(5)) == [1, 3]  # copies are counted once
    window.memberships.set_cluster(1, 6)
    assert window.memberships.get_cluster(2) == 6
    assert [s.article_id for s in window.memberships.list_group(1)] == [1, 2]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3), st.booleans()), max_size=12))
def test_the_lowest_score_of_a_cluster_is_that_of_those_who_are_in_it(moves: list[tuple[int, int, bool]]) -> None:
    def scored(number: int) -> WindowRow:
        norm = float(np.hypot(number, 3))
        return replace_terms(entry(number, 0), [1 << 10, (number + 1) << 10], [number / norm, 3 / norm])

    window = Window(days=7, max_articles=1000)
    window.add(WindowColumns.from_rows([scored(number) for number in range(1, 7)]))
    for number, cluster, again in moves:
        if again:  # its text has changed
            window.add(WindowColumns.from_rows([replace(scored(number), cluster_id=cluster)]))
        else:
            window.memberships.set_cluster(number, cluster)
        for c in (1, 2, 3):
            scores = window.scores.score_all_pairs(window.memberships.list_members(c))
            apart = scores[~np.eye(len(scores), dtype=bool)]
            assert window.scores.find_lowest(c) == (apart.min() if apart.size else np.inf)
    window.memberships.set_cluster(1, 4)
    window.memberships.set_cluster(2, 4)
    window.memberships.lowest_scores[4] = 0.125
    assert window.scores.find_lowest(4) == 0.125


def test_a_revised_article_takes_the_place_of_its_older_text() -> None:
    window = Window(days=7, max_articles=1000)
    window.add(WindowColumns.from_rows([entry(1, 0, like=1, cluster=5), entry(2, 0, like=2)]))
    window.add(WindowColumns.from_rows([entry(1, 0, like=2)]))
    assert len(window) == 2
    assert window.memberships.list_members(5).size == 0
    assert window.candidates.find_candidates(WindowColumns.from_rows([entry(2, 0, like=2)]), earlier=False)[
        0
    ].copies == (1,)


@pytest.mark.parametrize("canonical", [1, 77])
def test_leaving_a_group_leaves_no_trace(canonical: int) -> None:
    window = Window(days=7, max_articles=1000)
    window.add(WindowColumns.from_rows([entry(1, 0), entry(2, 1, canonical=canonical)]))
    window.memberships.set_canonical(2, 2)
    assert window.memberships.list_copies(canonical) == []
    assert window.memberships.get_canonical(2) == 2


def test_the_window_counts_how_many_of_its_articles_have_a_term() -> None:
    window = Window(days=1, max_articles=1000)
    window.add(WindowColumns.from_rows([entry(1, 0, like=7), entry(2, 1, like=7), entry(3, 1, like=8)]))
    assert window.scores.count_articles_with(np.array([7, 8, 9], dtype=np.uint32)).tolist() == [2, 1, 0]
    window.add(WindowColumns.from_rows([entry(2, 1, like=8)]))  # a revision
    assert window.scores.count_articles_with(np.array([7, 8], dtype=np.uint32)).tolist() == [1, 2]
    window.evict_before(DAY + timedelta(days=1))
    assert window.scores.count_articles_with(np.array([7, 8], dtype=np.uint32)).tolist() == [0, 2]


def test_an_article_without_terms_comes_and_goes() -> None:
    window = Window(days=1, max_articles=1000)
    nothing = replace_terms(entry(1, 0), [], [])
    window.add(WindowColumns.from_rows([nothing]))
    both = WindowColumns.from_rows([nothing, entry(2, 0)])
    window.add(both)
    assert [n.coverage for n in window.candidates.find_candidates(both, earlier=False)] == [(), ()]
    window.evict_before(DAY + timedelta(days=1))
    assert len(window) == 0


def test_filling_leaves_what_is_known_and_adds_the_rest_as_one_by_one() -> None:
    filled, added = Window(days=30, max_articles=1000), Window(days=30, max_articles=1000)
    for window in (filled, added):
        window.add(WindowColumns.from_rows([entry(3, 0, like=3, cluster=9)]))
    batches = [[entry(n, n % 5, like=n // 3, cluster=n) for n in range(first, first + 7)] for first in (1, 8, 15)]
    again = [entry(3, 0, like=3, cluster=3)]
    filled.fill(WindowColumns.from_rows(batch) for batch in (*batches, again))
    for one in (one for batch in batches for one in batch if one.article_id != 3):
        added.add(WindowColumns.from_rows([one]))
    asked = WindowColumns.from_rows([entry(n, n % 5, like=n // 3) for n in (2, 9, 20)])
    found, expected = (window.candidates.find_candidates(asked, earlier=False) for window in (filled, added))
    assert [(set(near.copies), set(near.coverage)) for near in found] == [
        (set(near.copies), set(near.coverage)) for near in expected
    ]
    assert found[0].copies
    assert filled.memberships.get_cluster(3) == 9
    assert len(filled) == len(added) == 21
