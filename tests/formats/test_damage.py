"""A file that is cut off or damaged gives all whole records before the damage, and one precise reason."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from backports import zstd

from ingestd.core.article import Article
from ingestd.errors import Reason
from ingestd.formats import Rejected
from tests.formats.documents import make_page, make_response, pack_tar, pack_zip
from tests.formats.stories import EN
from tests.formats.test_documents import read_document

_RANDOM = random.Random(11)
LINES = [
    json.dumps({"title": f"Headline {i}", "text": f"{_RANDOM.random()} " * 20}).encode() + b"\n" for i in range(600)
]
DATA = b"".join(LINES)
CODECS: dict[str, tuple[Callable[[bytes], bytes], Reason]] = {
    "gz": (gzip.compress, Reason.GZIP),
    "xz": (lzma.compress, Reason.XZ),
    "bz2": (lambda data: b"".join(bz2.compress(line) for line in data.splitlines(keepends=True)), Reason.BZIP2),
    "zst": (lambda data: b"".join(zstd.compress(line) for line in data.splitlines(keepends=True)), Reason.ZSTD),
}


def read_titles(content: bytes, name: str, reason: Reason) -> list[str | None]:
    """Return the titles of a file that ends with a reason."""
    results = read_document(content, name)
    assert isinstance(results[-1], Rejected)
    assert (results[-1].record_no, results[-1].reason) == (0, reason)
    return [result.title for result in results if isinstance(result, Article)]


def list_titles(count: int) -> list[str]:
    return [f"Headline {i}" for i in range(count)]


@pytest.mark.parametrize("cut", [50, 1000, 5000])
def test_every_whole_line_before_a_cut_is_read(cut: int) -> None:
    packed = gzip.compress(DATA)[:-cut]
    readable = zlib.decompressobj(31).decompress(packed)
    assert read_titles(packed, "a.jsonl.gz", Reason.GZIP) == list_titles(readable.count(b"\n"))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_in_any_compression_costs_what_cannot_be_unpacked(codec: str, share: float) -> None:
    compress, reason = CODECS[codec]
    packed = compress(DATA)
    titles = read_titles(packed[: int(len(packed) * share)], f"a.jsonl.{codec}", reason)
    assert titles == list_titles(len(titles))
    assert len(titles) > len(LINES) * (share - 0.1)


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_in_a_later_member_costs_nothing_of_the_earlier_members(codec: str) -> None:
    compress, reason = CODECS[codec]
    packed = compress(b"".join(LINES[:200])) + compress(b"".join(LINES[200:]))[:40]
    assert read_titles(packed, f"a.jsonl.{codec}", reason)[:200] == list_titles(200)


def test_every_whole_line_before_damage_is_read() -> None:
    packed = bytearray(gzip.compress(DATA))
    at = len(packed) // 2
    readable = zlib.decompressobj(31).decompress(bytes(packed[:at]))
    packed[at : at + 40] = b"\xff" * 40
    titles = read_titles(bytes(packed), "a.jsonl.gz", Reason.GZIP)
    assert titles == list_titles(len(titles))
    assert len(titles) >= readable.count(b"\n")


@pytest.mark.parametrize("wrong", ["checksum", "length"])
def test_a_wrong_checksum_costs_no_line(wrong: str) -> None:
    packed = gzip.compress(DATA)
    packed = packed[:-8] + bytes(4) + packed[-4:] if wrong == "checksum" else packed[:-4] + bytes(4)
    assert read_titles(packed, "a.jsonl.gz", Reason.GZIP) == list_titles(len(LINES))


@pytest.mark.parametrize("packed", [False, True])
def test_the_last_member_of_a_cut_tar_archive_is_read_up_to_the_cut(packed: bool) -> None:
    whole = pack_tar({"a.jsonl": b"".join(LINES[:100]), "b.jsonl": b"".join(LINES[100:])})
    if packed:
        compressed = gzip.compress(whole)
        content = compressed[: len(compressed) * 3 // 4]
        readable = zlib.decompressobj(31).decompress(content)
    else:
        content = readable = whole[: len(whole) * 3 // 4]
    # Of an archive that is not compressed the last block of 512 bytes may be lost.
    titles = read_titles(content, "a.tar.gz" if packed else "a.tar", Reason.GZIP if packed else Reason.ARCHIVE)
    assert titles == list_titles(len(titles))
    assert len(titles) >= readable.count(b"}\n") - 2


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.999])
def test_a_cut_zip_archive_is_called_cut_off(kept: float) -> None:
    content = pack_zip({"a.jsonl": DATA, "b.jsonl": DATA})
    (result,) = read_document(content[: int(len(content) * kept)], "a.zip")
    assert isinstance(result, Rejected)
    assert (result.reason, "cut off" in result.detail) == (Reason.ARCHIVE, True)


@pytest.mark.parametrize("one_member_a_record", [False, True])
def test_the_pages_before_a_cut_in_a_web_archive_are_read(one_member_a_record: bool) -> None:
    records = [make_response(f"https://gazette.example/{i}", make_page(EN, f"<!-- {i} -->")) for i in range(5)]
    content = b"".join(map(gzip.compress, records)) if one_member_a_record else gzip.compress(b"".join(records))
    last = gzip.compress(records[-1]) if one_member_a_record else b""
    cut = len(content) - len(last) // 2 if one_member_a_record else len(content) - 20
    assert len(read_titles(content[:cut], "a.warc.gz", Reason.GZIP)) == 4


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_page_in_the_encoding_of_a_web_server_is_read(encoding: str) -> None:
    page = ENCODERS[encoding](make_page(EN, "<!-- x -->" * 20_000))  # decoded in several steps
    record = make_response("https://gazette.example/1", page, more=f"Content-Encoding: {encoding}\r\n")
    (article,) = read_document(record, "a.warc")
    assert isinstance(article, Article)
    assert article.title == EN.title


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_a_page_that_decodes_to_more_than_a_page_is_refused_in_little_memory(encoding: str) -> None:
    bomb = brotli.compress(bytes(400 << 20), quality=1) if encoding == "br" else zstd.compress(bytes(400 << 20))
    assert len(bomb) < 128 << 10
    record = make_response("https://gazette.example/1", bomb, more=f"Content-Encoding: {encoding}\r\n")
    tracemalloc.start()
    (rejected, article) = read_document(record + make_response("https://gazette.example/2", make_page(EN)), "a.warc")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(rejected, Rejected)
    assert isinstance(article, Article)
    assert (rejected.reason, peak < 100 << 20) == (Reason.TOO_LARGE, True)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_page_that_cannot_be_decoded_costs_no_other_page(encoding: str) -> None:
    page = make_page(EN)
    records = [make_response(f"https://gazette.example/{i}", page) for i in range(5)]
    records[2] = make_response(
        "https://gazette.example/2", b"\x8b\x7f" + bytes(range(256)) * 40, more=f"Content-Encoding: {encoding}\r\n"
    )
    results = read_document(b"".join(records), "a.warc")
    assert [r.url for r in results if isinstance(r, Article)] == [f"https://gazette.example/{i}" for i in (0, 1, 3, 4)]
    (rejected,) = (r for r in results if not isinstance(r, Article))
    assert isinstance(rejected, Rejected)
    assert rejected.record_no == 3
