"""Copies as the line finds them: what is compared, what a group is, and that a restart changes neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestd.matching import copy_groups
from ingestd.query import explain
from tests.conftest import Corpus
from tests.support.made_corpus import articles

IMPRINT = [
    "The Port Post is published daily except on Sundays by the Ellory Printing Company, which has its seat at the old harbour.",
    "Letters to the editors are welcome and may be shortened; those who write them must give their names and their addresses.",
    "Our offices are open on weekdays from nine to five, and on the mornings of market days from seven, at the usual counter.",
]
BRIEFS = [
    "A lorry that carried live crabs overturned on the coast road near Tolbury in the early morning, and a school had to be closed for an hour.",
    "The library of Brannoc will lend out garden tools from April on, its director said, because so many readers had asked for them last year.",
    "Two walkers were brought down from the Callow Hills by a rescue party after they had lost their way in snow and spent a night in a barn.",
    "The choir of Saint Olave won the second prize in Talvaz with a piece that its own organist wrote during a long illness three years ago.",
    "Workers who repair the weir found a bell from 1640 in the mud, and the museum has promised to show it as soon as it has been cleaned.",
    "Voters in Little Garrow rejected a wind farm by eleven votes, and those who lost have asked the returning officer to count once more.",
    "A beekeeper has been fined for keeping forty hives on the roof of a bank, although the bank itself had said that it liked the honey.",
    "The night train to the coast stops again in Wend after nineteen years, and the station master had the waiting room painted for it.",
]  # fmt: skip


def brief(n: int) -> dict[str, Any]:
    return {
        "id": f"b{n}", "title": f"Brief {n}", "outlet": "Port Post", "published": f"2025-03-{n + 1:02}",
        "text": "\n".join([*IMPRINT, BRIEFS[n]]),
    }  # fmt: skip


def originals(corpus: Corpus) -> set[str]:
    return set(corpus.rows("select external_id from articles where id not in (select article_id from copies)"))


def test_what_an_outlet_prints_on_every_page_makes_no_copies(corpus_on_each: Corpus) -> None:
    corpus_on_each.take_in(first=[brief(n) for n in range(4)])
    corpus_on_each.take_in(more=[brief(n) for n in range(4, 8)])
    assert originals(corpus_on_each) == {f"b{n}" for n in range(8)}


def test_it_is_still_known_after_a_restart(corpus: Corpus, tmp_path: Path) -> None:
    corpus.take_in(first=[brief(n) for n in range(4)])
    for n in range(4, 8):  # a process of its own for each: what is known comes from the database
        again = Corpus(corpus.url, tmp_path / f"again{n}")
        again.take_in(one=[brief(n)])
        again.database.close()
    assert originals(corpus) == {f"b{n}" for n in range(8)}


def test_two_pages_that_share_an_imprint_which_nobody_else_has_are_taken_for_copies(corpus: Corpus) -> None:
    # What the test above would show if nothing were learned: most of their words are the same.
    corpus.take_in(first=[brief(0), brief(1)])
    assert len(originals(corpus)) == 1


def test_why_names_the_lines_that_were_left_out(corpus: Corpus) -> None:
    corpus.take_in(first=[brief(n) for n in range(5)])
    with corpus.database.begin_read() as connection:
        found = explain.explain_pair(connection, "b0", "b1")
    assert found.copy.left_out == [IMPRINT, IMPRINT]
    assert found.copy.jaccard == 0
    assert "".join(piece for piece, _ in found.texts[0]) == BRIEFS[0]


LONG = [article for article in articles(60, seed=4, words=900) if article.copy_of is None]


@pytest.mark.parametrize("start", [0, 5, 11])
def test_a_passage_of_a_long_article_is_its_excerpt_wherever_it_comes_from(
    corpus: Corpus, tmp_path: Path, start: int
) -> None:
    # 10 articles in one, as in a live report: the passage is a twentieth of it and shares none of its first lines.
    whole = "\n\n".join(a.text for a in LONG[:10])
    paragraphs = LONG[start // 2 + 1].text.split("\n\n")
    passage = "\n\n".join(paragraphs[2:6])
    assert len(passage.split()) < 0.06 * len(whole.split())
    others = [{"id": a.id, "title": a.title, "text": a.text, "published": "2025-03-02"} for a in LONG[12:]]
    corpus.take_in(
        live=[{"id": "live", "title": "All of it", "text": whole, "published": "2025-03-02"}, *others],
        part=[{"id": "part", "title": "Some of it", "text": passage, "published": "2025-03-03"}],
    )
    query = "select external_id, relation, jaccard, containment, evidence from copies join articles on id = article_id"
    [(which, relation, jaccard, containment, evidence)] = corpus.rows(query)
    assert (which, relation, containment) == ("part", "excerpt", 1.0)
    assert jaccard < 0.06
    assert json.loads(evidence)["share_of_text"] == 1.0


def test_an_excerpt_that_came_first_is_filed_under_the_original_when_that_arrives(corpus_on_each: Corpus) -> None:
    whole = LONG[0].text
    passage = "\n\n".join(whole.split("\n\n")[3:8])
    corpus_on_each.take_in(a=[{"id": "part", "title": "Some of it", "text": passage, "published": "2025-03-01"}])
    corpus_on_each.take_in(b=[{"id": "whole", "title": "All of it", "text": whole, "published": "2025-03-01"}])
    assert originals(corpus_on_each) == {"whole"}
    assert corpus_on_each.rows("select relation from copies") == ["excerpt"]
    # The cluster that the excerpt opened is the original's now, and its id still leads there.
    assert len(set(corpus_on_each.rows("select cluster_id from cluster_members"))) == 1
    log = corpus_on_each.rows("select kind, cluster_id from cluster_log order by id")
    assert set(corpus_on_each.rows("select id from cluster_resolve")) >= {cluster for _, cluster in log}


def test_two_articles_that_would_leave_each_other_alone_for_ever_come_to_rest(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    regroup = copy_groups.CopyGroups.regroup

    def freeing_the_other(self: Any, newcomer: int, places: Any) -> list[int]:
        regroup(self, newcomer, places)
        return [3 - newcomer] if 3 - newcomer in self._window else []

    monkeypatch.setattr(copy_groups.CopyGroups, "regroup", freeing_the_other)
    counts = corpus.take_in(pair=[brief(0), brief(1)])
    assert counts.articles == 2
    assert corpus.rows("select count(*) from cluster_members") == [2]
    assert corpus.rows("select count(*) from source_files where state = 'stored'") == [1]
