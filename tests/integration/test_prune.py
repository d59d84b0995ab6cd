"""What is pruned is gone, what is not stays as it was, and work goes on with what is left."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingestd.admin.fsck import find_problems
from ingestd.admin.prune import PrunedPart, PruneResult, prune
from ingestd.admin.rebuild import rebuild
from ingestd.errors import CannotStartError
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus, Run
from tests.support.made_corpus import articles

# 2,000 articles a day are made: every 20th of 16,000 gives eight days.
MADE = [made for number, made in enumerate(articles(16_000, seed=9, words=80)) if number % 64 == 0]
DAY = date(2025, 1, 5)


def record(made: Any) -> dict[str, Any]:
    return {"id": made.id, "title": made.title, "text": made.text, "outlet": made.outlet, "url": f"https://x.example/{made.id}",
            "published": made.published.isoformat()}  # fmt: skip


@pytest.fixture
def aged(corpus_on_each: Corpus) -> Corpus:
    """Eight days of news: events, copies of early and late ones, a revision, an event with reports on both sides of DAY."""
    early, late = [record(m) for m in MADE if m.published.day < 4], [record(m) for m in MADE if m.published.day > 5]
    saga = record(MADE[0]) | {"id": "saga", "url": "https://x.example/saga", "published": "2025-01-04T12:00:00Z"}
    follow = saga | {
        "id": "follow",
        "outlet": "other",
        "url": "https://x.example/follow",
        "published": "2025-01-06T12:00:00Z",
    }
    corpus_on_each.take_in(
        early=[*early[1:], early[5] | {"id": "c", "outlet": "reprints", "url": "https://x.example/c"}],
        late=[
            *late,
            saga
            | {"text": "A text of its own about the saga of Port Ellory. " * 9, "title": "The saga of Port Ellory"},
        ],
    )
    corpus_on_each.take_in(
        more=[early[2] | {"text": early[2]["text"] + " And more."},
              follow | {"text": "A text of its own about the saga of Port Ellory. " * 9, "title": "The saga of Port Ellory"}],
        again=early[3] | {"added": 1},
    )  # fmt: skip
    return corpus_on_each


def damage(corpus: Corpus) -> list[Any]:
    with corpus.database.begin_read() as connection:
        return list(find_problems(connection, hashes=False))


def counted(corpus: Corpus, what: PrunedPart, *, apply: bool) -> PruneResult:
    return prune(corpus.database, DAY, what, apply=apply)


def everything(corpus: Corpus) -> list[Any]:
    tables = ("articles", "copies", "clusters", "cluster_members", "signatures", "article_revisions", "corpus_state")
    return [corpus.rows(f"select * from {table} order by 1, 2") for table in tables]


@pytest.mark.parametrize("what", list(PrunedPart))
def test_without_being_told_to_nothing_is_changed_and_the_count_is_right(aged: Corpus, what: PrunedPart) -> None:
    before = everything(aged)
    said = counted(aged, what, apply=False)
    assert everything(aged) == before
    assert replace(said, applied=True) == counted(aged, what, apply=True)
    assert said.articles > 80
    if what is not PrunedPart.ARTICLES:
        assert counted(aged, what, apply=True) == PruneResult(0, 0, 0, applied=True)


def test_old_articles_go_and_what_is_left_holds_together(aged: Corpus) -> None:
    total, ids = aged.rows("select count(*) from articles")[0], aged.rows("select id from clusters order by id")
    said = counted(aged, PrunedPart.ARTICLES, apply=True)
    assert aged.rows("select count(*) from articles") == [total - said.articles]
    assert damage(aged) == []
    assert aged.rows("select id from cluster_resolve order by id") == ids
    assert aged.rows("select count(*) from cluster_log where kind = 'pruned'") == [said.clusters]
    # The event that began before the day and went on after it is whole.
    assert aged.rows("select external_id from articles where external_id in ('saga', 'follow') order by 1") == [
        "follow",
        "saga",
    ]
    oldest = aged.rows("select count(*) from articles a where day < '2025-01-05' and not exists (select 1 from cluster_members m "
                       "join cluster_members n on n.cluster_id = m.cluster_id join articles b on b.id = n.article_id "
                       "where m.article_id = a.id and b.day >= '2025-01-05')")  # fmt: skip
    assert oldest == [0]


def test_a_file_that_comes_again_is_known_though_its_article_is_gone(aged: Corpus, tmp_path: Path) -> None:
    counted(aged, PrunedPart.ARTICLES, apply=True)
    total = aged.rows("select count(*) from articles")
    (aged.folder / "again.json").rename(aged.folder / "once-more.json")
    aged.ingest()
    assert aged.rows("select count(*) from articles") == total
    assert aged.rows("select state from source_files where path = 'once-more.json'") == ["duplicate"]
    assert damage(aged) == []


def test_texts_go_and_all_else_stays(aged: Corpus) -> None:
    members = aged.rows("select article_id, cluster_id from cluster_members order by 1")
    said = counted(aged, PrunedPart.TEXTS, apply=True)
    assert aged.rows("select count(*) from articles where text = '' and title <> ''") == [said.articles]
    assert aged.rows("select article_id, cluster_id from cluster_members order by 1") == members
    assert damage(aged) == []
    with pytest.raises(CannotStartError, match="pruned"):
        rebuild(aged.settings, aged.database, check=False)


def test_an_article_whose_text_was_given_up_and_that_comes_with_another_is_whole_again(aged: Corpus) -> None:
    counted(aged, PrunedPart.TEXTS, apply=True)
    early = record(MADE[5])
    aged.take_in(
        again=early | {"text": "Nothing of what it said at first has turned out to be true.", "title": "Corrected"}
    )
    found = aged.rows("select pruned, revision, text from articles where external_id = :id", id=early["id"])
    assert found == [(None, 2, "Nothing of what it said at first has turned out to be true.")]
    assert damage(aged) == []
    assert counted(aged, PrunedPart.TEXTS, apply=True).clusters == 1


def test_signatures_go_and_a_rebuild_makes_them_again(aged: Corpus) -> None:
    said = counted(aged, PrunedPart.SIGNATURES, apply=True)
    assert aged.rows("select count(*) from articles where pruned = 'signatures'") == [said.articles]
    assert damage(aged) == []
    rebuild(aged.settings, aged.database, check=False)
    assert aged.rows("select count(*) from articles where pruned is not null") == [0]
    assert damage(aged) == []


@pytest.mark.parametrize("what", list(PrunedPart))
def test_a_process_at_work_goes_on_with_what_is_left(aged: Corpus, tmp_path: Path, what: PrunedPart) -> None:
    root = tmp_path / "root"
    root.mkdir()
    line = IngestPipeline(aged.settings, aged.database, after="archive")

    def take_in(**records: Any) -> None:
        for name, content in records.items():
            (root / f"{name}.json").write_text(json.dumps(content))
        line.submit(list(find_files(root)))
        while line.depth:
            line.step(10)

    early, late = record(MADE[5]), record(MADE[-1])
    take_in(first={"title": "Nothing of note", "text": "Nothing of note happened.", "published": "2025-01-03"})
    assert len(line.window) > 150
    counted(aged, what, apply=True)
    reprints = {name: one | {"id": name, "outlet": name, "url": f"https://x.example/{name}"} for name, one in
                (("of-early", early), ("of-late", late))}  # fmt: skip
    take_in(**reprints)
    line.close()
    copies = aged.rows(
        "select a.external_id from copies c join articles a on a.id = c.article_id where external_id like 'of-%'"
    )
    assert copies == ["of-late"]
    assert damage(aged) == []


def test_the_command_counts_first_and_prunes_when_told(ingestd: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(record(MADE[0])))
    ingestd("ingest", "a.json", "--db", "sqlite:///a.db")
    said = ingestd("prune", "--before", "2026-01-01", "--db", "sqlite:///a.db")
    assert "Nothing was changed" in said.stdout
    for apply, articles_left in (((), 1), (("--apply",), 0)):
        done = ingestd("prune", "--before", "2026-01-01", "--db", "sqlite:///a.db", "--json", *apply)
        assert json.loads(done.stdout)["articles"] == 1
        assert json.loads(ingestd("status", "--json", "--db", "sqlite:///a.db").stdout)["articles"] == articles_left
    assert ingestd("prune", "--before", "soon").returncode == 2
    assert "allowed are signatures" in ingestd("prune", "--before", "2026-01-01", "--what", "all").stderr
