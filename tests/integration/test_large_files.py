"""Files of many records: read in pieces, stored once however often they are interrupted, in flat memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from ingestd.core.source_file import SeenFile
from ingestd.formats import ReadLimits
from ingestd.inbox.scan import find_files
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.workers.chunks import Chunk
from ingestd.workers.extract import AT_ONCE_RECORDS, ExtractionResult
from ingestd.workers.pool import Workers
from tests.conftest import Corpus
from tests.formats.documents import make_page, make_response
from tests.formats.stories import EN, EN2

N = AT_ONCE_RECORDS + 200


def record(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "outlet": "Post",
        "title": f"Number {number}",
        "text": f"What happened in street {number}.",
    }


def lines(n: int, bad: frozenset[int] = frozenset()) -> bytes:
    return b"".join(b"{broken\n" if i in bad else json.dumps(record(i)).encode() + b"\n" for i in range(n))


@pytest.fixture
def pipeline(corpus: Corpus) -> Iterator[IngestPipeline]:
    made = make_pipeline(corpus)
    yield made
    made.close()


def make_pipeline(corpus: Corpus, workers: Workers | None = None) -> IngestPipeline:
    return IngestPipeline(
        corpus.settings, corpus.database, after="archive", pause=lambda _seconds: False, workers=workers
    )


def finish(pipeline: IngestPipeline, corpus: Corpus) -> None:
    pipeline.submit(list(find_files(corpus.folder)))
    while pipeline.depth:
        pipeline.step(10)


def ids(corpus: Corpus) -> list[int]:
    return sorted(map(int, corpus.rows("select external_id from articles")))


def test_bad_records_are_listed_and_the_good_ones_stored(corpus: Corpus) -> None:
    bad = frozenset({3, 200, N - 1})
    corpus.write({"many.jsonl": lines(N, bad)})
    counts = corpus.ingest()
    assert ids(corpus) == sorted(set(range(N)) - bad)
    assert corpus.rows("select record_no, reason from rejected_records order by 1") == [
        (i + 1, "parse") for i in sorted(bad)
    ]
    assert corpus.rows("select state, n_articles, article_id from source_files") == [("stored", N - 3, 1)]
    assert (counts.articles, counts.rejected) == (N - 3, 3)


def test_what_was_stored_before_an_interruption_is_not_stored_again(corpus: Corpus, pipeline: IngestPipeline) -> None:
    corpus.write({"many.jsonl.gz": gzip.compress(lines(N)), "other.json": record(N)})
    pipeline.submit(list(find_files(corpus.folder)))
    while len(corpus.rows("select 1 from articles")) < 100:
        pipeline.step(10)
    pipeline.release_large_files()
    assert corpus.rows("select distinct state from source_files where path like 'many%'") == ["deferred"]
    assert 0 < len(ids(corpus)) < N
    finish(pipeline, corpus)
    assert ids(corpus) == list(range(N + 1))
    assert corpus.rows("select state, n_articles from source_files order by path") == [("stored", N), ("stored", 1)]
    assert list(find_files(corpus.folder)) == []


def test_small_files_do_not_wait_for_a_large_one(corpus: Corpus, pipeline: IngestPipeline) -> None:
    corpus.write({"many.jsonl": lines(4 * N)})
    pipeline.submit(list(find_files(corpus.folder)))
    pipeline.step(10)
    corpus.write({"new.json": record(10_000)})
    pipeline.submit([f for f in find_files(corpus.folder) if f.path == b"new.json"])
    pipeline.step(10)
    pipeline.step(10)
    assert corpus.rows("select state from source_files where path = 'new.json'") == ["stored"]
    assert corpus.rows("select state from source_files where path = 'many.jsonl'") == ["claimed"]


def test_the_same_content_again_is_known_without_reading_it_through(corpus: Corpus, pipeline: IngestPipeline) -> None:
    corpus.write({"many.jsonl": lines(N)})
    finish(pipeline, corpus)
    corpus.write({"again.jsonl": lines(N)})
    pipeline.submit(list(find_files(corpus.folder)))
    pipeline.step(10)
    pipeline.step(10)
    assert pipeline.depth == 0
    assert corpus.rows("select state, article_id from source_files order by id") == [("stored", 1), ("duplicate", 1)]
    assert pipeline.stats.repeats == 0


def test_a_large_file_that_is_cut_off_keeps_what_was_good_and_says_why(corpus: Corpus) -> None:
    corpus.write({"many.jsonl.gz": gzip.compress(lines(2 * N), compresslevel=0)[:-20]})
    corpus.ingest()
    ((state, reason, n_articles),) = corpus.rows("select state, reason, n_articles from source_files")
    assert (state, reason) == ("quarantined", "gzip")
    assert n_articles == len(ids(corpus)) > N


def test_a_file_that_grows_while_it_is_read_is_read_again(corpus: Corpus, pipeline: IngestPipeline) -> None:
    corpus.write({"many.jsonl": lines(N)})
    pipeline.submit(list(find_files(corpus.folder)))
    pipeline.step(10)
    with (corpus.folder / "many.jsonl").open("ab") as opened:
        opened.write(json.dumps(record(N)).encode() + b"\n")
    again: list[SeenFile] = []
    while pipeline.depth:
        again += pipeline.step(10)
    assert [file.path for file in again] == [b"many.jsonl"]
    finish(pipeline, corpus)
    assert ids(corpus) == list(range(N + 1))


def test_a_web_archive_is_read_page_by_page_in_several_processes(tmp_path: Path) -> None:
    corpus = Corpus(f"sqlite:///{tmp_path / 'c.db'}", tmp_path / "files", ingest={"workers": 2})
    pages = [make_response(f"https://post.example/{n}", make_page(EN if n % 2 else EN2)) for n in range(N)]
    corpus.write({"crawl.warc.gz": b"".join(map(gzip.compress, pages))})
    assert corpus.ingest().articles == N
    assert corpus.rows("select count(distinct url) from articles") == [N]
    corpus.database.close()


class DyingWorkers(Workers):
    """A process that is given a certain record dies of it, and takes with it the piece that the record is in."""

    def extract(self, file: SeenFile, chunk: Chunk, limits: ReadLimits) -> Future[ExtractionResult]:
        if any(record.record_no == 100 for record in chunk.records):
            future: Future[ExtractionResult] = Future()
            future.set_exception(BrokenProcessPool("a process was terminated abruptly"))
            return future
        return super().extract(file, chunk, limits)


def test_the_record_that_a_worker_dies_of_is_listed_and_all_others_are_stored(corpus: Corpus) -> None:
    pipeline = make_pipeline(corpus, DyingWorkers(0))
    corpus.write({"many.jsonl": lines(N)})
    finish(pipeline, corpus)
    assert ids(corpus) == [i for i in range(N) if i != 99]
    assert corpus.rows("select record_no, reason from rejected_records") == [(100, "internal")]
    pipeline.close()


def test_memory_does_not_grow_with_the_file(tmp_path: Path, long: bool) -> None:
    psutil = pytest.importorskip("psutil")
    megabytes = 2000 if long else 150
    padding = "x" * (1 << 20)
    with (tmp_path / "large.jsonl").open("w") as opened:
        for number in range(megabytes):
            opened.write(json.dumps(record(number) | {"page": padding}) + "\n")
    program = subprocess.Popen(
        [sys.executable, "-m", "ingestd", "ingest", "large.jsonl"], cwd=tmp_path,
        env=os.environ | {"INGESTD_INGEST__WORKERS": "1", "INGESTD_LOG__LEVEL": "error"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    most = 0
    while program.poll() is None:
        for process in psutil.Process().children(recursive=True):
            try:
                most = max(most, process.memory_info().rss)
            except psutil.Error:
                continue
        time.sleep(0.05)
    assert f"{megabytes:,} new articles" in program.communicate()[0]
    print(f"{megabytes} MB of JSON lines: no process held more than {most / 2**20:.0f} MiB")
    assert most < 300 << 20  # a process that holds nothing takes some 150 MiB: libraries, word lists, language model
