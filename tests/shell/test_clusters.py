"""Clusters over time: open while they are fed, closed when they are quiet."""

from __future__ import annotations

from typing import Any

from tests.conftest import Corpus

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
