"""The second net: what is written into a finished file, in archive or quarantine, is taken up as a new version."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus

HEADLINE = "Ferry timetable changes in spring"
FIRST = "The ferry between the two harbours will leave every forty minutes from the first of April onwards."
SECOND = "Commuters had asked for an earlier boat, and the harbour office agreed to try a five o'clock departure."
RECORD = json.dumps({"title": "A record in two parts", "text": SECOND, "url": "https://post.example/parts"})
PARTS = {
    "ferry.txt": (f"{HEADLINE}\n{FIRST}\n", SECOND),  # archived
    "cut.json": (RECORD[:40], RECORD[40:]),  # quarantined as `parse`
    "placeholder.json": ("", json.dumps({"title": "A late one", "text": FIRST + SECOND})),  # quarantined as `empty`
}


@pytest.fixture
def pipeline(corpus_on_each: Corpus) -> Iterator[IngestPipeline]:
    made = IngestPipeline(corpus_on_each.settings, corpus_on_each.database, after="archive")
    yield made
    made.close()


def work_off(pipeline: IngestPipeline, corpus: Corpus) -> None:
    pipeline.submit(list(find_files(corpus.folder)))
    while pipeline.depth:
        pipeline.step(10)
    pipeline.step(0)  # notes the moves


def test_what_writers_add_after_the_end_becomes_a_revision_on_each_database(
    corpus_on_each: Corpus, pipeline: IngestPipeline
) -> None:
    corpus, roots = corpus_on_each, [str(corpus_on_each.folder)]
    corpus.write({name: part for name, (part, _) in PARTS.items()})
    with structlog.testing.capture_logs() as said:
        held = {name: (corpus.folder / name).open("a") for name in PARTS}
        work_off(pipeline, corpus)
        assert list(find_files(corpus.folder)) == []
        assert pipeline.take_up_changed(roots) == 0
        for name, (_, rest) in PARTS.items():
            held[name].write(rest)
            held[name].close()
        assert pipeline.take_up_changed(roots) == 3
        assert pipeline.take_up_changed(roots) == 0
        work_off(pipeline, corpus)
    assert [line["event"] for line in said].count("file.changed_after_archive") == 3
    assert corpus.rows("select title, revision from articles order by title") == [
        ("A late one", 1), ("A record in two parts", 1), (HEADLINE, 2),
    ]  # fmt: skip
    assert corpus.rows("select text from articles where revision = 2") == [f"{FIRST}\n{SECOND}"]
    assert corpus.rows("select count(*), state from source_files group by state order by state") == [
        (2, "quarantined"), (4, "stored"),
    ]  # fmt: skip
