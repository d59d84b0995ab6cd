"""Deriving copies and clusters anew: what is compared, what changes, and that every id still resolves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingestd.admin.rebuild import rebuild
from ingestd.errors import CannotStartError
from ingestd.query.evaluate import evaluate_clusters
from tests.conftest import Corpus
from tests.support.made_corpus import articles

MADE = list(articles(300, seed=3, words=120))


def records() -> list[dict[str, Any]]:
    return [
        {"id": a.id, "title": a.title, "text": a.text, "outlet": a.outlet, "published": a.published.isoformat()}
        for a in MADE
    ]


def state(corpus: Corpus) -> dict[str, list[Any]]:
    """All that a rebuild may write, but for times."""
    return {
        table: corpus.rows(query)
        for table, query in {
            "copies": "select article_id, canonical_article_id, matched_article_id, relation from copies order by 1",
            "members": "select article_id, cluster_id, relation from cluster_members order by 1",
            "clusters": "select id, status, merged_into, canonical_article_id, title, n_articles from clusters order by 1",
            "signatures": "select article_id, kind, scheme, payload from signatures order by 1, 2",
        }.items()
    }


@pytest.fixture
def filled(corpus_on_each: Corpus) -> Corpus:
    corpus_on_each.take_in(all=records())
    return corpus_on_each


def test_a_check_changes_nothing_and_finds_what_is_stored(filled: Corpus) -> None:
    before = state(filled)
    found = rebuild(filled.settings, filled.database, check=True)
    assert state(filled) == before
    assert found.articles == 300
    assert (found.clusters_adjusted_rand, found.copies_adjusted_rand) == (1.0, 1.0)
    assert found.articles_in_another_cluster == 0


def test_what_was_damaged_is_derived_anew_and_keeps_its_ids(filled: Corpus) -> None:
    from sqlalchemy import text

    before = state(filled)
    largest = filled.rows("select id from clusters order by n_articles desc, id limit 1")[0]
    with filled.database.begin_write() as connection:
        connection.execute(text("delete from copies"))
        connection.execute(text("update signatures set scheme = 'of an older program'"))
        # A cluster that never should have been: half of the largest is torn off into one of its own.
        connection.execute(
            text(
                "insert into clusters (id, status, keywords, n_articles, n_originals, n_outlets, created_at, updated_at)"
                " select 9999, status, keywords, 0, 0, 0, created_at, updated_at from clusters where id = :id"
            ),
            {"id": largest},
        )
        connection.execute(
            text(
                "update cluster_members set cluster_id = 9999 where cluster_id = :id"
                " and article_id > (select min(article_id) from cluster_members where cluster_id = :id)"
            ),
            {"id": largest},
        )
    found = rebuild(filled.settings, filled.database, check=False)
    assert found.clusters_adjusted_rand < 1
    assert found.articles_in_another_cluster >= 1
    after = state(filled)
    assert after["copies"] == before["copies"]
    assert after["signatures"] == before["signatures"]
    # Most of the largest cluster's articles were in 9999, so that id stays; the old one leads to it.
    members = {article: largest if c == 9999 else c for article, c, _ in after["members"]}
    assert members == {article: cluster for article, cluster, _ in before["members"]}
    assert filled.rows(f"select live_id from cluster_resolve where id = {largest}") == [9999]
    assert ("merged", 9999, largest) in filled.rows("select kind, cluster_id, other_cluster_id from cluster_log")


def test_a_rebuild_of_a_rebuild_changes_nothing(filled: Corpus) -> None:
    rebuild(filled.settings, filled.database, check=False)
    once = state(filled)
    found = rebuild(filled.settings, filled.database, check=False)
    assert found.articles_in_another_cluster == 0
    assert state(filled) == once


def test_new_articles_find_their_place_after_a_rebuild(filled: Corpus) -> None:
    rebuild(filled.settings, filled.database, check=False)
    again = records()[-1] | {"id": "again", "outlet": "another"}
    filled.take_in(again=again)
    (row,) = filled.rows("select relation from copies join articles on id = article_id where external_id = 'again'")
    assert row == "exact"


def test_an_empty_database_is_rebuilt_into_an_empty_one(corpus: Corpus) -> None:
    assert rebuild(corpus.settings, corpus.database, check=False).articles == 0


def test_clusters_are_compared_with_labels(filled: Corpus, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    # One event and the next are one to whoever labelled them, and an article is missing, which is right by itself.
    one, other = list(dict.fromkeys(a.event for a in MADE))[:2]
    labels = {a.id: one if a.event == other else a.event for a in MADE} | {"?": "e"}
    gold.write_text("".join(f'{{"id": "{id_}", "event": "{event}"}}\n' for id_, event in labels.items()))
    with filled.database.begin_read() as connection:
        found = evaluate_clusters(connection, gold)
    assert (found.articles, found.missing) == (301, 1)
    assert found.b3_precision == 1
    assert 0.95 < found.b3_f1 < 1
    assert found.events == len(set(labels.values()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": 1}\n', "line 1: needs a JSON object"), ("nonsense\n", "line 1"), ("", "no record has an event"),
        ('{"id": "a", "event": null}\n', "no record has an event"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used_are_named(corpus: Corpus, tmp_path: Path, content: str, said: str) -> None:
    gold = tmp_path / "gold.jsonl"
    gold.write_text(content)
    with corpus.database.begin_read() as connection, pytest.raises(CannotStartError, match=said):
        evaluate_clusters(connection, gold)
