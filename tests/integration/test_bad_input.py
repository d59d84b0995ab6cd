"""Whatever a scraper drops gets what is promised for it: stored, or kept with a reason. Nothing stops the rest."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import socket
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from backports import zstd

from ingestd.core.source_file import SeenFile
from ingestd.errors import UnsettledError
from ingestd.formats import ReadLimits, load_plugins
from ingestd.inbox.scan import find_files, look_at
from ingestd.pipeline.pipeline import IngestPipeline
from ingestd.workers.extract import ExtractionResult, read_files
from ingestd.workers.pool import Workers
from ingestd.workers.safe_open import classify_os_error
from tests.conftest import Corpus
from tests.formats.documents import pack_tar
from tests.support.plugin import install_plugin

BODY = "The council voted on Monday to close the old fish market and to build a concert hall in its place by the water."
GOOD = {"title": "Council closes fish market", "text": BODY}


def damaged(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def zipped(name: str, content: bytes = BODY.encode()) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


def encrypted(data: bytes) -> bytes:
    """The same archive, said to be encrypted in both places that say so."""
    entry = data.index(b"PK\x01\x02")
    return data[:6] + b"\x01" + data[7 : entry + 8] + b"\x01" + data[entry + 9 :]


def huge_dictionary() -> bytes:
    """xz with a dictionary of 1 GiB, which is what a decompressor would have to set aside."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    try:
        return lzma.compress(BODY.encode(), filters=filters)
    except MemoryError:
        pytest.skip("not enough memory to make the file")


QUARANTINED: dict[str, tuple[str, bytes, str]] = {
    "zero bytes": ("a.txt", b"", "empty"),
    "white space only": ("a.txt", b" \n\t\n", "empty"),
    "truncated JSON": ("a.json", b'{"title": "Council", "text": "The cou', "parse"),
    "JSON and trailing garbage": ("a.json", b'{"title": "Council", "text": "closed"} <html>', "parse"),
    "JSON and a garbage line": ("a.json", b'{"title": "Council", "text": "closed"}\ngarbage', "parse"),
    "a top-level scalar": ("a.json", b'"just a string"', "schema"),
    "NaN": ("a.json", b'{"title": "Council", "score": NaN}', "parse"),
    "Infinity": ("a.json", b'{"title": "Council", "score": Infinity}', "parse"),
    "nesting 100,000 deep": ("a.json", b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "depth"),
    "unclosed nesting 100,000 deep": ("a.json", b"[" * 100_000, "depth"),
    "a 10,000-digit integer": ("a.json", b'{"title": "Council", "n": ' + b"9" * 10_000 + b"}", "parse"),
    "HTML named .json": ("a.json", b"<!doctype html><html><body>Council</body></html>", "type"),
    "JPEG named .txt": ("a.txt", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200), "type"),
    "a program named .txt": ("a.txt", bytes(range(256)) * 4, "type"),
    "UTF-16 cut in the middle of a character": ("a.txt", "Title\nText".encode("utf-16")[:-1], "encoding"),
    "no title and no text": ("a.json", b'{"url": "https://example.org/a", "text": "  "}', "schema"),
    "only punctuation": ("a.txt", b"...\n---\n", "schema"),
    "an empty array": ("a.json", b"[]", "empty"),
    "a gzip bomb": ("a.txt.gz", gzip.compress(bytes(100 << 20)), "bomb"),
    "truncated gzip": ("a.json.gz", gzip.compress(b'{"title": "Council closes market"}')[:-9], "gzip"),
    "gzip with a bad checksum": ("a.json.gz", damaged(gzip.compress(b'{"title": "Council closes market"}')), "gzip"),
    "truncated bzip2": ("a.bz2", bz2.compress(BODY.encode())[:-9], "bzip2"),
    "truncated xz": ("a.xz", lzma.compress(BODY.encode())[:-9], "xz"),
    "xz that asks for more memory than there is": ("a.xz", huge_dictionary(), "xz"),
    "truncated Zstandard": ("a.zst", zstd.compress(BODY.encode())[:-3], "zstd"),
    "gzip inside gzip": ("a.gz", gzip.compress(gzip.compress(BODY.encode())), "archive"),
    "a zip with ../": ("a.zip", zipped("../../evil.txt"), "archive"),
    "a zip with an absolute name": ("a.zip", zipped("/tmp/evil.txt"), "archive"),
    "a zip in a zip": ("a.zip", zipped("inner.zip", zipped("a.txt")), "archive"),
    "an encrypted zip": ("a.zip", encrypted(zipped("a.txt")), "archive"),
    "a truncated zip": ("a.zip", zipped("a.txt")[:-10], "archive"),
    "a damaged zip": ("a.zip", zipped("a.txt").replace(b"concert", b"xxxxxxx"), "archive"),
    "a tar that is cut off": ("a.tar", pack_tar({"a.txt": BODY.encode() * 20})[:1500], "archive"),
    "a tar with ../": ("a.tar", pack_tar({"../a.txt": BODY.encode()}), "archive"),
    "an XML entity bomb": ("a.xml", b'<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss>&b;</rss>', "xml"),
    "an XML external entity": (
        "a.xml",
        b'<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss><item><title>&a;</title></item></rss>',
        "xml",
    ),
    "a truncated feed": ("a.rss", b'<rss version="2.0"><channel><item><title>Council', "xml"),
    "XML nested 100,000 deep": ("a.rss", b"<rss>" + b"<a>" * 100_000, "depth"),
    "XML that holds no news": ("a.xml", b'<?xml version="1.0"?><urlset><url/></urlset>', "type"),
    "a web archive without a record": ("a.warc", b"WARC/1.0\r\nnothing\r\n\r\n", "empty"),
    "a page without an article": (
        "a.html",
        b"<html><head><title>Login</title></head><body><form></form></body></html>",
        "schema",
    ),
    "front matter that does not parse": ("a.md", b"---\ntitle: [open\n---\nText of it.", "parse"),
    "front matter with an alias": ("a.md", b"---\ntitle: &a [x]\ntext: [*a, *a]\n---\nText of it.", "parse"),
    "a page saved as MHTML": (
        "a.txt",
        b"From: <Saved by a browser>\r\nSubject: Council\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n"
        b' boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>Council</p>',
        "type",
    ),
    "a message": ("a.eml", b"Subject: Council\n\nThe council voted.", "type"),
    "an RTF document": ("a.rtf", rb"{\rtf1\ansi Council closes market\par}", "type"),
    "an EPUB book": ("a.epub", zipped("mimetype", b"application/epub+zip"), "type"),
    "a Word document": ("a.docx", zipped("[Content_Types].xml", b"<Types/>"), "type"),
    "rules for crawlers": (
        "a.txt",
        b"# rules\nUser-agent: *\nDisallow: /search\n\nSitemap: https://a.example/s\n",
        "type",
    ),
    "a list of addresses": ("a.txt", b"https://post.example/a\nhttps://post.example/b\n", "type"),
    "a spreadsheet": ("a.csv", b"id,title\n1,Council closes market\n", "type"),
}

STORED: dict[str, tuple[str, bytes]] = {
    "a name with byte 0xff": (os.fsdecode(b"caf\xff.txt"), f"Title here\n{BODY}".encode()),
    "a name with a newline and an escape": ("new\nline\x1b[31m.txt", f"Title here\n{BODY}".encode()),
    "a 255-byte name": ("n" * 251 + ".txt", f"Title here\n{BODY}".encode()),
    "a name that looks like an option": ("-rf.json", b'{"title": "Council closes market"}'),
    "a lone surrogate": ("a.json", b'{"title": "Coun\\ud800cil closes market"}'),
    "NUL in the text": ("a.json", b'{"title": "Coun\\u0000cil closes market"}'),
    "a UTF-8 byte order mark": ("a.txt", b"\xef\xbb\xbf" + f"Title here\n{BODY}".encode()),
    "UTF-16 with a byte order mark": ("a.txt", f"Title here\n{BODY}".encode("utf-16")),
    "Windows-1252 in a .txt": (
        "a.txt",
        f"Überfall in Düsseldorf\n„Wir waren schnell“, sagte die Polizei. {BODY}".encode("cp1252"),
    ),
    "the date 0000-00-00": ("a.json", b'{"title": "Council closes market", "date": "0000-00-00"}'),
    "the year 9999": ("a.json", b'{"title": "Council closes market", "date": "9999-12-31"}'),
    "a date without a zone": ("a.json", b'{"title": "Council closes market", "date": "2025-02-04 10:32"}'),
    "a text under 20 words": ("a.txt", b"Short\nVery short indeed."),
    "2 MB in a single line": ("a.txt", b"Long\n" + b"many words in one line " * 90_000),
    "addresses, and a text": ("a.txt", b"https://post.example/a\nCouncil closes market, and builds a hall."),
    "a text that begins like a header": ("a.txt", b"Breaking: council closes market\nWhere: Hall\n\nBody."),
    "JSON without an ending": ("article", b'{"title": "Council closes market"}'),
}


@pytest.mark.parametrize("case", QUARANTINED)
def test_unusable_input_is_quarantined_with_its_reason(case: str, corpus: Corpus) -> None:
    name, content, reason = QUARANTINED[case]
    corpus.write({name: content, "good.json": GOOD})
    counts = corpus.ingest()
    assert corpus.rows("select state, reason from source_files where path = :p", p=name) == [("quarantined", reason)]
    assert corpus.rows("select title from articles") == [GOOD["title"]]
    assert [path for path, _ in counts.quarantined or ()] == [name]
    assert (corpus.folder / name).exists()  # ingest leaves files where they are


@pytest.mark.parametrize("case", STORED)
def test_strange_input_is_stored_all_the_same(case: str, corpus: Corpus) -> None:
    name, content = STORED[case]
    corpus.write({name: content})
    corpus.ingest()
    ((state, path_bytes),) = corpus.rows("select state, path_bytes from source_files")
    assert state == "stored"
    assert bytes(path_bytes) == os.fsencode(name)
    ((title, text),) = corpus.rows("select title, text from articles")
    assert "\0" not in (title or "") + text
    (title or "").encode("utf-8")  # no lone surrogates left


def test_text_in_windows_1252_is_decoded(corpus: Corpus) -> None:
    corpus.write({"a.txt": STORED["Windows-1252 in a .txt"][1]})
    corpus.ingest()
    ((title, text),) = corpus.rows("select title, text from articles")
    assert title == "Überfall in Düsseldorf"
    assert text.startswith("„Wir waren schnell“")


@pytest.mark.parametrize(
    "date", ["0000-00-00", "9999-12-31", "None", "1066-10-14", "soon", {"$date": None}, True, 1e300, -5]
)
def test_a_date_that_cannot_be_true_is_not_stored(date: Any, corpus: Corpus) -> None:
    corpus.take_in(a={"title": "Council closes market", "date_publish": date})
    assert corpus.rows("select published_at, published_source from articles") == [(None, None)]


def test_good_lines_of_a_file_with_bad_ones_are_stored_and_the_bad_ones_listed(corpus: Corpus) -> None:
    lines = [
        '{"id": "1", "title": "First of them"}',
        "{broken",
        '{"id": "3", "title": "Third of them"}',
        "7",
        "",
        '{"id": "6"}',
    ]
    corpus.write({"many.jsonl": "\n".join(lines)})
    counts = corpus.ingest()
    assert corpus.rows("select external_id, record_no from articles order by id") == [("1", 1), ("3", 3)]
    assert corpus.rows("select record_no, reason from rejected_records order by record_no") == [
        (2, "parse"), (4, "schema"), (6, "schema"),
    ]  # fmt: skip
    assert (counts.articles, counts.rejected) == (2, 3)


def test_every_element_of_an_array_is_an_article(corpus: Corpus) -> None:
    corpus.take_in(many=[{"title": f"Number {i} of the series"} for i in range(5)])
    assert len(corpus.rows("select id from articles")) == 5


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    corpus = Corpus(f"sqlite:///{tmp_path / 'c.db'}", tmp_path / "files", formats={"max_file_bytes": 1000})
    with (corpus.folder / "huge.txt").open("wb") as file:
        file.truncate(10**9)  # sparse: takes no room
    corpus.ingest()
    assert corpus.rows("select reason, sha256 from source_files") == [("too_large", None)]


def test_a_file_with_more_records_than_allowed_is_refused(tmp_path: Path) -> None:
    corpus = Corpus(f"sqlite:///{tmp_path / 'c.db'}", tmp_path / "files", formats={"max_records": 3})
    corpus.take_in(many=[{"title": f"Number {i} of the series"} for i in range(4)])
    assert corpus.rows("select reason from source_files") == ["too_large"]


def test_links_are_never_followed(corpus: Corpus, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"Secret\n{BODY}")
    (corpus.folder / "out.txt").symlink_to(secret)
    (corpus.folder / "dangling.txt").symlink_to(tmp_path / "nowhere")
    (corpus.folder / "loop.txt").symlink_to(corpus.folder / "loop.txt")
    (corpus.folder / "folder").symlink_to(tmp_path)
    corpus.ingest()
    assert corpus.rows("select distinct reason from source_files") == ["symlink"]
    assert corpus.rows("select count(*) from source_files") == [4]
    assert corpus.rows("select count(*) from articles") == [0]


def test_what_is_no_regular_file_is_refused_at_once(corpus: Corpus) -> None:
    os.mkfifo(corpus.folder / "pipe.txt")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(corpus.folder / "socket.txt"))
    start = time.monotonic()
    corpus.ingest()
    listener.close()
    assert time.monotonic() - start < 5  # a pipe without a writer would block for ever
    assert corpus.rows("select path, reason from source_files order by path") == [
        ("pipe.txt", "not_regular"), ("socket.txt", "not_regular"),
    ]  # fmt: skip


def test_names_that_differ_only_in_form_or_case_are_different_files(corpus: Corpus) -> None:
    for i, name in enumerate(["A.json", "a.json", "caf\u00e9.json", "cafe\u0301.json"]):
        corpus.write({name: {"title": f"Article number {i} of four"}})
    corpus.ingest()
    assert corpus.rows("select count(*) from articles") == [4]


def test_files_of_other_programs_are_left_alone(corpus: Corpus) -> None:
    for name in [
        "a.json.part",
        "b.tmp",
        "c.txt~",
        ".hidden.json",
        "._a.json",
        "Thumbs.db",
        "d.crdownload",
        ".stfolder/x.json",
    ]:
        corpus.write({name: GOOD})
    corpus.write({"folder.json/inside.json": GOOD})
    corpus.ingest()
    assert corpus.rows("select path from source_files") == ["folder.json/inside.json"]


def test_a_hard_link_to_a_known_file_is_a_duplicate(corpus: Corpus) -> None:
    corpus.take_in(a=GOOD)
    (corpus.folder / "link.json").hardlink_to(corpus.folder / "a.json")
    corpus.ingest()
    assert corpus.rows("select path, state, article_id from source_files order by id") == [
        ("a.json", "stored", 1), ("link.json", "duplicate", 1),
    ]  # fmt: skip


FAULTY = """
from ingestd.formats import Format, Record

def recognises(head, name):
    return name == "a.txt"

def records(stream, name, context):
    yield Record(1, stream.read(), understand, size=1)

def understand(value, context):
    raise ZeroDivisionError("a fault that nobody foresaw")

FORMAT = Format("faulty", recognises, records)
"""


def test_a_fault_of_ours_in_one_file_is_kept_with_it_and_stops_no_other(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.syspath_prepend(install_plugin(tmp_path, "faulty", FAULTY, "faulty = faulty:FORMAT"))
    load_plugins.cache_clear()
    request.addfinalizer(load_plugins.cache_clear)
    corpus.write({"a.txt": f"Title\n{BODY}", "b.json": GOOD})
    corpus.ingest()
    rows = corpus.rows("select path, state, reason, detail from source_files order by path")
    assert [row[:3] for row in rows] == [("a.txt", "quarantined", "internal"), ("b.json", "stored", None)]
    assert "nobody foresaw" in rows[0][3]


def stale(corpus: Corpus, name: str) -> Any:
    """The file as it looks now, to be read after it has changed."""
    seen = look_at(corpus.folder, name.encode())
    assert seen is not None
    return seen


def read_one(corpus: Corpus, seen: Any) -> Any:
    return read_files([seen], ReadLimits(datetime.now(UTC), ZoneInfo("UTC")))[0]


def test_a_file_that_changed_since_it_was_seen_is_not_used(corpus: Corpus) -> None:
    corpus.write({"a.json": GOOD})
    seen = stale(corpus, "a.json")
    corpus.write({"a.json": {"title": "A longer text that replaced it"}})
    assert isinstance(read_one(corpus, seen).failure, UnsettledError)


def test_a_file_replaced_by_another_of_the_same_size_is_not_used(corpus: Corpus) -> None:
    corpus.write({"a.json": GOOD, "b.json": GOOD})
    seen = stale(corpus, "a.json")
    (corpus.folder / "b.json").replace(corpus.folder / "a.json")
    assert isinstance(read_one(corpus, seen).failure, UnsettledError)


class LateWorkers(Workers):
    """Something happens to the folder before the files are read."""

    def __init__(self, happen: Callable[[], None]) -> None:
        super().__init__(0)
        self.happen = happen

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        self.happen()
        return super().read_files(files, limits)


class RefusedWorkers(Workers):
    """The system refuses to open any file, as to a user without the permission; root may read everything."""

    def read_files(self, files: Sequence[SeenFile], limits: ReadLimits) -> Future[list[ExtractionResult]]:
        refused = classify_os_error(PermissionError(errno.EACCES, "Permission denied"))
        future: Future[list[ExtractionResult]] = Future()
        future.set_result([ExtractionResult(file, failure=refused) for file in files])
        return future


def run(corpus: Corpus, workers: Workers) -> None:
    pipeline = IngestPipeline(corpus.settings, corpus.database, after="keep", workers=workers)
    pipeline.submit(list(find_files(corpus.folder)))
    while pipeline.depth:
        pipeline.step(10)
    pipeline.close()


def test_a_file_that_vanished_is_recorded_as_vanished(corpus: Corpus) -> None:
    corpus.write({"a.json": GOOD})
    run(corpus, LateWorkers((corpus.folder / "a.json").unlink))
    assert corpus.rows("select state, article_id from source_files") == [("vanished", None)]


def test_a_file_that_may_not_be_read_is_deferred_and_taken_in_later(corpus: Corpus) -> None:
    corpus.write({"a.json": GOOD})
    run(corpus, RefusedWorkers(0))
    assert corpus.rows("select state, attempts, detail from source_files") == [("deferred", 0, "Permission denied")]
    corpus.ingest()  # not due yet
    assert corpus.rows("select state from source_files") == ["deferred"]
    with corpus.database.begin_write() as connection:
        connection.exec_driver_sql("update source_files set retry_at = '2020-01-01 00:00:00'")
    corpus.ingest()
    assert corpus.rows("select state, attempts from source_files") == [("stored", 1)]
