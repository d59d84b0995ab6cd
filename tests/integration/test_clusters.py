"""Clusters over time: open while they are fed, closed when they are quiet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import permutations
from typing import Any

import pytest

from ingestd.core.events.medoid import find_medoids
from ingestd.core.window.columns import WindowColumns, WindowRow
from ingestd.core.window.window import Window
from ingestd.query import explain
from tests.conftest import Corpus
from tests.unit.test_window import entry, replace_terms

FERRY = [
    "The ferry Lady Marisol struck the pier of Port Ellory in thick fog on Wednesday morning and forty people were hurt.",
    "Forty passengers were injured when the Lady Marisol, a ferry from Brannoc, hit a pier at Port Ellory in dense fog.",
    "Fog hid the pier at Port Ellory from the Lady Marisol: the Brannoc ferry rammed it and dozens of people were hurt.",
]


def report(n: int, day: str | None, text: str) -> dict[str, Any]:
    return {"id": f"r{n}", "title": "Lady Marisol ferry hits Port Ellory pier", "text": text, "outlet": f"o{n}"} | (
        {"published": day} if day else {}
    )


def clusters(corpus: Corpus) -> list[Any]:
    return corpus.rows("select status, n_articles from clusters order by id")


def test_what_comes_within_the_quiet_time_is_the_same_event_and_later_it_is_another(corpus_on_each: Corpus) -> None:
    corpus_on_each.take_in(a=[report(0, "2025-03-01", FERRY[0]), report(1, "2025-03-08", FERRY[1])])
    assert clusters(corpus_on_each) == [("open", 2)]
    corpus_on_each.take_in(b=[report(2, "2025-03-16", FERRY[2])])
    assert clusters(corpus_on_each) == [("closed", 2), ("open", 1)]
    assert corpus_on_each.rows("select cluster_id from cluster_log where kind = 'closed'") == [1]


def test_time_is_that_of_the_articles(corpus: Corpus) -> None:
    corpus.take_in(old=[report(0, "2019-03-01", FERRY[0]), report(1, "2019-03-02", FERRY[1])])
    assert clusters(corpus) == [("open", 2)]  # an archive's last days are open, however long ago they were


def test_a_closed_cluster_that_is_fed_after_all_opens_again(corpus_on_each: Corpus) -> None:
    other = {"id": "x", "title": "Wind farm", "text": "Voters in Little Garrow rejected a wind farm.", "outlet": "x"}
    corpus_on_each.take_in(a=[report(0, "2025-03-01", FERRY[0]), other | {"published": "2025-03-10"}])
    assert clusters(corpus_on_each) == [("closed", 1), ("open", 1)]
    corpus_on_each.take_in(late=[report(1, "2025-03-06", FERRY[1])])
    assert clusters(corpus_on_each) == [("open", 2), ("open", 1)]


def test_a_late_arrival_joins_its_closed_cluster_which_stays_closed(corpus: Corpus) -> None:
    other = {"id": "x", "title": "Wind farm", "text": "Voters in Little Garrow rejected a wind farm.", "outlet": "x"}
    corpus.take_in(a=[report(0, "2025-03-01", FERRY[0]), other | {"published": "2025-03-20"}])
    corpus.take_in(late=[report(1, "2025-03-03", FERRY[1])])
    assert clusters(corpus) == [("closed", 2), ("open", 1)]
    assert corpus.rows("select count(*) from cluster_log where kind = 'closed'") == [1]


def test_an_article_without_a_date_may_belong_to_any(corpus: Corpus) -> None:
    corpus.take_in(a=[report(0, "2025-03-01", FERRY[0]), report(1, None, FERRY[1])])
    assert clusters(corpus) == [("open", 2)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_article_without_a_date_holds_what_lies_apart_together_whenever_it_comes(
    corpus: Corpus, order: Sequence[int]
) -> None:
    reports = [report(n, day, FERRY[n]) for n, day in enumerate(("2025-03-01", None, "2025-03-12"))]
    corpus.take_in(a=[reports[n] for n in order])
    assert [n for status, n in clusters(corpus) if status != "merged"] == [3]


def why(corpus: Corpus, one: str, other: str) -> dict[str, Any]:
    with corpus.database.begin_read() as connection:
        return asdict(explain.explain_pair(connection, one, other).event)


def test_why_says_what_would_have_had_to_be_different(corpus: Corpus) -> None:
    farm = {
        "id": "x",
        "title": "Wind farm near Brannoc",
        "text": "Voters in Little Garrow rejected a wind farm in fog.",
    }
    corpus.take_in(a=[report(0, "2025-03-01", FERRY[0]), report(1, "2025-03-01", FERRY[1]), farm])
    near, far = why(corpus, "r0", "r1"), why(corpus, "r0", "x")
    assert (near["probability"] > 0.9, far["probability"] < 0.1) == (True, True)
    assert "marisol" in near["too_far_without"]
    assert far["near_enough_on_one_day"] is None  # one has no date
    needed = far["near_enough_if_both_said"]
    assert needed and all((word in FERRY[0].lower()) != (word in farm["text"].lower()) for word in needed)
    # Had both said so, as prominently, they would be near enough.
    both = [
        {**told, "id": f"{told['id']} told"}
        | {key: f"{told[key]} {' '.join(needed).title()}" for key in ("title", "text")}
        for told in (report(0, None, FERRY[0]), farm)
    ]
    corpus.take_in(b=both)
    assert why(corpus, "r0 told", "x told")["verdict"].startswith("near enough")


def test_articles_that_time_alone_keeps_apart_are_said_to_be(corpus: Corpus) -> None:
    later = {
        "id": "later", "title": "Cheaper berths wanted", "published": "2025-03-25",
        "text": "The board met about signals. A line from Sund asked for cheaper berths and will run a second ferry from "
        "a new pier all summer, with music on board, it said on Wednesday.",
    }  # fmt: skip
    corpus.take_in(a=[report(0, "2025-03-01", FERRY[0]), later, later | {"id": "same day", "published": "2025-03-01"}])
    found = why(corpus, "r0", "later")
    assert (found["near_enough_on_one_day"], found["time_penalty"]) == (True, 0.08)
    assert why(corpus, "r0", "same day")["verdict"].startswith("near enough")


def test_the_keywords_of_a_cluster_set_it_apart_from_the_rest_of_the_window() -> None:
    def with_terms(number: int, terms: dict[int, float], cluster: int) -> WindowRow:
        return replace_terms(entry(number, 0, cluster=cluster), [term << 10 for term in terms], [*terms.values()])

    def telling() -> list[int]:
        return find_medoids(window, [1])[1].telling_terms.tolist()

    window = Window(days=30, max_articles=1000)
    window.add(WindowColumns.from_rows([with_terms(n, {1: 0.8, 2: 0.6}, cluster=1) for n in (1, 2)]))
    assert telling() == [1, 2]  # alone: the heaviest first
    window.add(WindowColumns.from_rows([with_terms(n, {1: 1.0}, cluster=n) for n in range(3, 60)]))
    assert telling() == [2, 1]
