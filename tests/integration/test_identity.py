"""What is the same article, what is another, and what becomes of a new text of one that is known."""

from __future__ import annotations

from pathlib import Path

from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus

MARKET = (
    "The council of Port Ellory voted on Monday to close the old fish market and to build a concert hall in its place. "
    "The mayor, Agneta Foyle, called it the boldest decision since the harbour was dredged. Fishmongers who have stood "
    "there for four generations said that nobody had asked them, and announced that they would go to court."
)
BRIDGE = (
    "Engineers have found a crack in the main girder of the railway bridge over the Little Garrow, and trains between "
    "Talvaz and the coast will run at walking pace until it has been welded. The operator expects delays of twenty "
    "minutes for at least three weeks. Goods trains are being sent over the southern line."
)


def test_the_same_url_with_the_same_text_is_a_repeat(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    corpus.take_in(a={"url": "https://example.org/market", "title": "Market", "text": MARKET})
    counts = corpus.take_in(b={"url": "http://example.org/market?utm_source=x#top", "title": "Market!", "text": MARKET})
    assert (counts.articles, counts.repeats) == (0, 1)
    assert corpus.rows("select path, state, article_id from source_files order by id") == [
        ("a.json", "stored", 1), ("b.json", "duplicate", 1),
    ]  # fmt: skip


def test_the_same_url_with_another_text_is_a_revision(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    corpus.take_in(a={"url": "https://example.org/market", "title": "Market", "text": MARKET})
    corpus.take_in(
        b={"url": "https://example.org/market", "title": "Market closes", "text": MARKET + " A vote follows."}
    )
    corpus.take_in(c={"url": "https://example.org/market", "title": "Bridge", "text": BRIDGE})
    assert corpus.rows("select id, revision, title, text from articles") == [(1, 3, "Bridge", BRIDGE)]
    assert corpus.rows("select revision, title from article_revisions order by revision") == [
        (1, "Market"),
        (2, "Market closes"),
    ]
    assert corpus.rows("select count(*) from signatures") == [2]
    assert corpus.rows("select article_id, cluster_id from cluster_members") == [(1, 1)]  # alone before and after


def test_membership_follows_the_new_text(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    corpus.take_in(
        market={"url": "https://a.example/1", "title": "Council closes fish market", "text": MARKET},
        copy={"url": "https://b.example/1", "title": "Fish market to close", "text": MARKET + " By arrangement."},
        bridge={"url": "https://c.example/1", "title": "Crack in railway bridge", "text": BRIDGE},
    )
    ((copied, of),) = corpus.rows("select article_id, canonical_article_id from copies")
    url = corpus.rows("select url from articles where id = :id", id=of)[0]
    corpus.take_in(revised={"url": url, "title": "Crack in railway bridge", "text": BRIDGE + " By arrangement."})
    bridge = corpus.rows("select id from articles where url = 'https://c.example/1'")[0]
    pairs = corpus.rows("select article_id, canonical_article_id from copies")
    assert len(pairs) == 1
    assert set(pairs[0]) == {of, bridge}
    clusters = dict(corpus.rows("select article_id, cluster_id from cluster_members"))
    assert clusters[of] == clusters[bridge] != clusters[copied]


def test_two_revisions_in_one_file_are_both_kept(corpus: Corpus) -> None:
    versions = [
        {"url": "https://example.org/m", "title": f"Market {i}", "text": f"{MARKET} Version {i}."} for i in range(4)
    ]
    corpus.take_in(a=versions)
    assert corpus.rows("select revision, title from articles") == [(4, "Market 3")]
    assert corpus.rows("select count(*) from article_revisions") == [3]


def test_a_text_that_the_article_had_before_is_a_repeat(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    first, second = ({"url": "https://example.org/m", "title": "M", "text": f"{MARKET} {i}."} for i in range(2))
    corpus.take_in(a=first, b=second)
    counts = corpus.take_in(c=[first, second, first])
    assert (counts.repeats, counts.revisions) == (3, 0)
    assert corpus.rows("select revision, text from articles") == [(2, second["text"])]


def test_without_a_url_the_id_of_the_same_outlet_is_the_same_article(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    corpus.take_in(
        a={"id": "7", "outlet": "Post", "title": "Market", "text": MARKET},
        b={"id": "7", "outlet": "Ledger", "title": "Bridge", "text": BRIDGE},
        c={"id": "7", "outlet": "Post", "title": "Market", "text": MARKET + " And more."},
    )
    assert corpus.rows("select outlet, revision from articles order by outlet") == [("Ledger", 1), ("Post", 2)]


def test_equal_text_without_any_identity_is_a_repeat(corpus: Corpus) -> None:
    corpus.write({"a.txt": f"Market\n{MARKET}", "b.txt": f"Market\nPublished 2025-02-04\n{MARKET}"})
    counts = corpus.ingest()
    assert (counts.articles, counts.repeats) == (1, 1)


def test_equal_text_of_another_outlet_url_or_id_is_an_exact_copy(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    corpus.take_in(
        a={"url": "https://a.example/1", "title": "Market", "text": MARKET},
        b={"url": "https://b.example/1", "title": "Market", "text": MARKET},
        c={"id": "1", "outlet": "Post", "title": "Market", "text": MARKET},
    )
    assert corpus.rows("select relation, jaccard from copies") == [("exact", 1.0), ("exact", 1.0)]
    assert corpus.rows("select n_articles, n_originals from clusters where status = 'open'") == [(3, 1)]


def test_the_same_bytes_under_another_name_are_a_duplicate_file(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    content = {"title": "Market", "text": MARKET}
    corpus.take_in(a=content, b=content)
    corpus.take_in(c=content)
    assert corpus.rows("select state, article_id from source_files order by id") == [
        ("stored", 1), ("duplicate", 1), ("duplicate", 1),
    ]  # fmt: skip


def test_taking_in_a_folder_again_stores_nothing_new(corpus: Corpus) -> None:
    corpus.take_in(a={"title": "Market", "text": MARKET})
    counts = corpus.ingest()
    assert (counts.articles, counts.files["unchanged"]) == (0, 1)
    assert corpus.rows("select count(*) from source_files") == [1]


def test_a_changed_file_under_its_old_name_is_read_again(corpus: Corpus) -> None:
    corpus.take_in(a={"title": "Market", "text": MARKET})
    corpus.take_in(a={"title": "Bridge", "text": BRIDGE})
    assert corpus.rows("select title from articles order by id") == ["Market", "Bridge"]
    assert corpus.rows("select path, state from source_files order by id") == [("a.json", "stored")] * 2


def test_a_better_original_that_arrives_later_takes_over(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    corpus.take_in(
        late={"id": "late", "title": "Fish market", "text": MARKET + " By arrangement.", "date": "2025-03-04"}
    )
    corpus.take_in(early={"id": "early", "title": "Council closes market", "text": MARKET, "date": "2025-03-03"})
    assert corpus.rows("select article_id, canonical_article_id from copies") == [(1, 2)]
    assert corpus.rows("select article_id, relation from cluster_members order by article_id") == [
        (1, "copy"),
        (2, "coverage"),
    ]
    assert corpus.rows("select id, canonical_article_id, title, n_articles from clusters") == [
        (1, 2, "Council closes market", 2)
    ]
    assert ("canonical", 2) in corpus.rows("select kind, article_id from cluster_log")


def test_a_restart_in_between_changes_nothing(corpus: Corpus) -> None:
    # Every call of the program begins with an empty window, filled from the database.
    corpus.take_in(a={"id": "a", "title": "Fish market to close", "text": MARKET, "date": "2025-03-03"})
    corpus.take_in(b={"id": "b", "title": "Market", "text": MARKET + " By arrangement.", "date": "2025-03-04"})
    corpus.take_in(c={"id": "c", "title": "Crack in bridge", "text": BRIDGE, "date": "2025-03-04"})
    corpus.take_in(d={"id": "d", "title": "Market again", "text": MARKET + " And more.", "date": "2025-03-05"})
    assert corpus.rows("select article_id, canonical_article_id from copies order by 1") == [(2, 1), (4, 1)]
    assert corpus.rows("select article_id, cluster_id from cluster_members order by 1") == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 1),
    ]


def test_more_articles_in_reach_than_can_be_held_fill_the_window_with_the_nearest_days(tmp_path: Path) -> None:
    corpus = Corpus(f"sqlite:///{tmp_path / 'c.db'}", tmp_path / "files", window={"max_articles": 1000})
    days = [f"2025-03-{day:02}" for day in range(1, 13)]
    corpus.take_in(
        many=[{"id": f"{day}-{i}", "title": f"Number {i} of {day}", "date": day} for day in days for i in range(200)]
    )  # fmt: skip
    line = IngestPipeline(corpus.settings, corpus.database, after="keep")
    corpus.write({"a.json": {"id": "a", "title": "On the sixth of March", "date": "2025-03-06"}})
    line.submit([seen for seen in find_files(corpus.folder) if seen.path == b"a.json"])
    line.step(10)
    line.close()
    assert len(line.window) <= 1400
    held = {day for id_, day in corpus.rows("select id, day from articles") if id_ in line.window}
    assert {"2025-03-05", "2025-03-06", "2025-03-07"} <= {str(day) for day in held}
    assert "2025-03-01" not in {str(day) for day in held}


def test_an_article_without_a_date_finds_its_event_after_a_restart(corpus: Corpus) -> None:
    later = MARKET.replace("voted on Monday", "has decided").replace("The mayor", "Mayor")
    report = (
        "Fishmongers at the old market of Port Ellory are to make way for a concert hall. The council voted for it on "
        "Monday. Agneta Foyle, the mayor, spoke of the boldest decision since the harbour was dredged; the fishmongers "
        "want to go to court."
    )
    corpus.take_in(
        a={"id": "a", "title": "Council of Port Ellory closes fish market", "text": later, "date": "2019-03-03"}
    )
    corpus.take_in(b={"id": "b", "title": "Concert hall for Port Ellory's fish market", "text": report})
    corpus.take_in(
        c={"id": "c", "title": "Fish market: Foyle defends concert hall", "text": report[:150], "date": "2019-03-04"}
    )
    assert len(set(corpus.rows("select cluster_id from cluster_members"))) == 1


def test_a_cluster_that_has_members_outside_the_window_is_not_merged_away(corpus_on_each: Corpus) -> None:
    from datetime import UTC, datetime

    from ingestd.core.changeset import ChangeSet
    from ingestd.core.text.term_lookup import TermLookup
    from ingestd.core.window.window import Window
    from ingestd.matching.batch_matcher import Decision
    from ingestd.matching.cluster_summary import keep_inhabited, summarise_touched
    from ingestd.store import writer
    from ingestd.workers.stored_corpus import StoredCorpus

    corpus = corpus_on_each
    corpus.take_in(
        a={"id": "a", "title": "Council closes fish market", "text": MARKET, "date": "2025-03-03"},
        b={"id": "b", "title": "Crack in railway bridge", "text": BRIDGE, "date": "2025-03-05"},
        c={"id": "c", "title": "Zinc prices", "text": "Zinc rose by four per cent.", "date": "2025-03-05"},
    )
    market, bridge, zinc = corpus.rows("select cluster_id from cluster_members order by article_id")
    keywords = corpus.rows("select keywords from clusters where id = :c", c=bridge)
    # In memory both clusters have lost all their members; in the database only one of them has.
    changes = ChangeSet(datetime.now(UTC), batch=9)
    changes.move(3, market)
    changes.merge(bridge, market)
    changes.merge(zinc, market)
    with corpus.database.begin_write() as connection:
        stored = StoredCorpus(connection)
        writer.write_members(connection, changes, [])
        keep_inhabited(changes, stored)
        decision = Decision(changes, [], TermLookup({}))
        writer.write_clusters(connection, changes, summarise_touched(decision, stored, Window(30, 1000)))
    assert corpus.rows("select article_id, cluster_id from cluster_members order by 1") == [
        (1, market),
        (2, bridge),
        (3, market),
    ]
    assert corpus.rows("select id, status, merged_into, n_articles from clusters order by id") == [
        (market, "open", None, 2), (bridge, "open", None, 1), (zinc, "merged", market, 0),
    ]  # fmt: skip
    assert corpus.rows("select keywords from clusters where id = :c", c=bridge) == keywords != [[]]
    assert corpus.rows("select kind, cluster_id, other_cluster_id from cluster_log where kind in ('left', 'merged') order by id") == [
        ("left", bridge, market), ("merged", market, zinc),
    ]  # fmt: skip
