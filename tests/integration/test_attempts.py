"""A file in hand at every sudden end of the process is read alone, and given up in the end; its neighbours are not."""

from __future__ import annotations

from collections.abc import Sequence

from ingestd.core.source_file import SeenFile
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus

LIMIT = 2


def drop_files(corpus: Corpus) -> list[SeenFile]:
    for number in range(3):
        corpus.write({f"{number}.json": {"title": f"Number {number}", "text": f"What number {number} says."}})
    return sorted(find_files(corpus.folder), key=lambda file: file.path)


def make_pipeline(corpus: Corpus) -> IngestPipeline:
    limited = corpus.settings.ingest.model_copy(update={"attempts": LIMIT})
    pipeline = IngestPipeline(corpus.settings.model_copy(update={"ingest": limited}), corpus.database, after="keep")
    pipeline.recover([str(corpus.folder)])
    return pipeline


def end_suddenly(corpus: Corpus, files: Sequence[SeenFile]) -> None:
    """Leave claims behind as a process does that is killed."""
    make_pipeline(corpus).submit(files)


def finish(pipeline: IngestPipeline, files: Sequence[SeenFile]) -> list[list[SeenFile]]:
    """Return what is to be looked at again after each step."""
    pipeline.submit(files)
    again = []
    while pipeline.depth:
        again.append(pipeline.step(10))
        pipeline.submit(again[-1])
    pipeline.close()
    return again


def test_files_beyond_the_limit_are_taken_one_at_a_time_and_stored(corpus: Corpus) -> None:
    files = drop_files(corpus)
    for _ in range(LIMIT):
        end_suddenly(corpus, files)
    assert corpus.rows("select attempts from source_files") == [LIMIT] * 3
    again = finish(make_pipeline(corpus), files)
    assert [[file.path for file in step] for step in again] == [[b"1.json"], [b"2.json"], []]
    assert corpus.rows("select state from source_files") == ["stored"] * 3


def test_beyond_the_limit_a_sudden_end_is_charged_to_the_file_in_hand_alone(corpus: Corpus) -> None:
    files = drop_files(corpus)
    for _ in range(LIMIT + 1):
        end_suddenly(corpus, files)
    assert corpus.rows("select attempts from source_files order by path") == [LIMIT + 1, LIMIT, LIMIT]


def test_a_file_alone_in_hand_at_as_many_further_ends_is_given_up_and_the_others_are_stored(corpus: Corpus) -> None:
    files = drop_files(corpus)
    for _ in range(2 * LIMIT):
        end_suddenly(corpus, files)
    finish(make_pipeline(corpus), files)
    rows = corpus.rows("select state from source_files order by path")
    assert rows == ["quarantined", "stored", "stored"]
    (detail,) = corpus.rows("select detail from source_files where state = 'quarantined'")
    assert "in hand 4 times when the process ended" in detail


def test_files_given_back_in_good_order_are_charged_nothing(corpus: Corpus) -> None:
    files = drop_files(corpus)
    for _ in range(3 * LIMIT):
        pipeline = make_pipeline(corpus)
        pipeline.submit(files)
        pipeline.close()
    assert corpus.rows("select attempts from source_files") == [0] * 3
