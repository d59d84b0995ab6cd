"""Matching over plain lists and over a database: the same decisions, and no more reads than the protocol names."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import wordfreq
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ingestd.core.article import Article
from ingestd.core.changeset import NewArticle
from ingestd.core.fingerprint import fingerprint_articles
from ingestd.core.text.term_weights import TermWeighter
from ingestd.core.window.window import Window
from ingestd.matching.matcher import Matcher
from ingestd.pipeline.committer import record_batch
from ingestd.workers.row_readers import read_rows_in_turn
from tests.conftest import Corpus
from tests.support.listed_corpus import ListedRun
from tests.support.made_corpus import Made, articles

NOW = datetime(2025, 6, 1, tzinfo=UTC)
MADE = list(articles(120, seed=5, words=90))


@cache
def make_weighter(_lang: str | None) -> TermWeighter:
    return TermWeighter("en", lambda words: [wordfreq.word_frequency(word, "en") for word in words])


def make_batches(chosen: Sequence[int], size: int) -> list[list[NewArticle]]:
    """Articles as they arrive; a number that comes again is a revision with the text of another article."""
    numbers = count(1)
    ids: dict[int, int] = {}
    parsed: list[tuple[int, Article, bool]] = []
    for number in chosen:
        known = number in ids
        made: Made = MADE[(number + 1) % len(MADE) if known else number]
        article_id = ids.setdefault(number, next(numbers) if not known else 0)
        parsed.append(
            (article_id, Article(title=made.title, text=made.text, outlet=made.outlet, lang="en", published_at=made.published), known)
        )  # fmt: skip
    prints = fingerprint_articles([article for _, article, _ in parsed], make_weighter)
    new = [
        NewArticle(article_id, article, made, (article.published_at or NOW).date(), 1, known)
        for (article_id, article, known), made in zip(parsed, prints, strict=True)
    ]
    batches: list[list[NewArticle]] = [[]]
    for one in new:
        if len(batches[-1]) >= size or one.article_id in {other.article_id for other in batches[-1]}:
            batches.append([])
        batches[-1].append(one)
    return batches


FILE = (
    "insert into source_files (id, root, path, path_bytes, size_bytes, mtime_ns, ctime_ns, inode, state, attempts, fence, n_articles, "
    "first_seen_at) values (1, '', '', x'', 0, 0, 0, 0, 'stored', 0, 0, 0, '2025-01-01 00:00:00.000000')"
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, len(MADE) - 1), min_size=5, max_size=60), st.integers(1, 20))
def test_lists_and_a_database_lead_to_the_same_copies_and_clusters(chosen: list[int], size: int) -> None:
    with TemporaryDirectory() as folder:
        corpus = Corpus(f"sqlite:///{folder}/c.db", Path(folder) / "files")
        listed, matcher, next_cluster = ListedRun(), Matcher(partial(Window, 30, 10_000)), 1
        with corpus.database.begin_write() as connection:
            connection.execute(text(FILE))
        for batch in make_batches(chosen, size):
            expected = listed.decide(batch, NOW)
            with corpus.database.begin_write() as connection:
                decision = record_batch(
                    connection, batch, matcher, next_cluster=next_cluster, now=NOW, quiet_days=10_000,
                    read_rows=read_rows_in_turn,
                )  # fmt: skip
            next_cluster += len(decision.changes.opened)
            assert decision.assignments == expected.assignments
        members = corpus.rows("select article_id, cluster_id, relation from cluster_members order by 1")
        copies = corpus.rows("select article_id, canonical_article_id from copies order by 1")
        stored = corpus.rows(
            "select id, n_articles, n_originals, n_outlets, canonical_article_id, title from clusters "
            "where status <> 'merged' order by id"
        )
        corpus.database.close()
    assert members == [(a, m.cluster_id, m.relation) for a, m in sorted(listed.corpus.members.items())]
    assert copies == sorted(listed.corpus.canonical.items())
    assert stored == [
        (c.cluster_id, c.n_articles, c.n_originals, c.n_outlets, c.canonical_id, c.title)
        for _, c in sorted(listed.corpus.clusters.items())
        if c.cluster_id not in listed.corpus.merged
    ]


def test_a_window_that_starts_anew_decides_as_one_that_was_there_all_the_time() -> None:
    batches = make_batches(range(len(MADE)), 16)
    standing, restarting = ListedRun(), ListedRun()
    for batch in batches:
        restarting.matcher.reset()
        assert restarting.decide(batch, NOW).assignments == standing.decide(batch, NOW).assignments
    assert len(standing.corpus.canonical) > 5
    assert len(standing.corpus.clusters) < len(MADE)


def test_pages_put_together_from_the_same_passages_leave_nobody_a_copy_of_itself_or_of_a_copy() -> None:
    # Round-ups that overlap in every way, with so few divided anew at once that newcomers must choose a canonical one.
    passages = [" ".join(made.text.split()[:60]) for made in articles(14, seed=9, words=90)]
    rng = random.Random(2)
    pages = [
        Article(title=f"Round-up {n}", text="\n\n".join(rng.sample(passages, rng.randint(2, 5))), lang="en")
        for n in range(250)
    ]
    prints = fingerprint_articles(pages, make_weighter)
    new = [
        NewArticle(n, page, made, NOW.date(), 1) for n, (page, made) in enumerate(zip(pages, prints, strict=True), 1)
    ]
    run = ListedRun(most_copies=6)
    for start in range(0, len(new), 50):
        run.decide(new[start : start + 50], NOW)
    canonical = run.corpus.canonical
    assert len(canonical) > 100
    assert not canonical.keys() & set(canonical.values())
    assert all(run.corpus.members[a].cluster_id == run.corpus.members[c].cluster_id for a, c in canonical.items())
    assert run.corpus.members.keys() == run.corpus.articles.keys()
