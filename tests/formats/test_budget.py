"""One budget a file: whatever is packed in whatever, a file costs no more than its limits in bytes, records and memory."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace

import pytest

from ingestd.core.article import Article
from ingestd.errors import Reason
from ingestd.formats import Rejected
from tests.formats.documents import pack_tar
from tests.formats.test_documents import LIMITS, read_document

MB = 1 << 20
LINE = b'{"title": "A headline", "text": "Some words of a text."}\n'
SMALL = replace(LIMITS, max_unpacked_bytes=20 * MB)


def zip_members(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def share_member(data: bytes, entries: int) -> bytes:
    """Return a ZIP archive with a single member, named many times in the directory."""
    codec = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = codec.compress(data) + codec.flush()
    sizes = (zlib.crc32(data), len(packed), len(data), 7, 0)
    member = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, *sizes) + b"m.jsonl" + packed
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes, 0, 0, 0, 0, 0) + b"m.jsonl"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries, entries, entries * len(entry), len(member), 0)
    return member + entry * entries + end


def pack_sparse(members: int, size: int) -> bytes:
    """Return a tar archive of members that are holes of `size` bytes."""
    archive = io.BytesIO()
    for number in range(members):
        info = tarfile.TarInfo(f"{number}.txt")
        info.type = tarfile.GNUTYPE_SPARSE
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        for start, value in ((386, size), (398, 0), (483, size)):
            header[start : start + 12] = b"%011o\0" % value
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        archive.write(bytes(header))
    return archive.getvalue() + bytes(1024)


BLANKS = gzip.compress(LINE + b" " * 3 * MB)  # alone no bomb for any limit
BOMBS = {
    "gzip members in a ZIP": ("a.zip", zip_members({f"{i}.jsonl.gz": BLANKS for i in range(40)})),
    "gzip members in a tar in gzip": ("a.tgz", gzip.compress(pack_tar({f"{i}.jsonl.gz": BLANKS for i in range(40)}))),
    "sparse members": ("a.tar", pack_sparse(2000, 250 * MB)),
    "sparse members in gzip": ("a.tgz", gzip.compress(pack_sparse(2000, 15 * MB))),
    "entries of one member": ("a.zip", share_member(LINE * 100, 20_000)),
    "members of gzip in a row": ("a.jsonl.gz", BLANKS * 40),
}


@pytest.mark.parametrize("case", BOMBS)
def test_layers_and_members_share_one_budget(case: str) -> None:
    name, content = BOMBS[case]
    results = read_document(content, name, SMALL)
    assert isinstance(results[-1], Rejected)
    assert (results[-1].record_no, results[-1].reason) == (0, Reason.BOMB)  # the file as a whole
    assert len(results) < 50


def test_a_ratio_is_taken_over_the_file() -> None:
    packed = zip_members({f"{i}.jsonl.gz": gzip.compress(LINE + b" " * 40 * MB) for i in range(4)})
    results = read_document(packed, "a.zip")
    assert isinstance(results[-1], Rejected)
    assert (results[-1].record_no, results[-1].reason) == (0, Reason.BOMB)


def test_members_that_fit_the_budget_are_read_to_the_last() -> None:
    packed = gzip.compress(LINE * 1000)
    for name, content in (
        ("a.zip", zip_members({f"{i}.jsonl.gz": packed for i in range(5)})),
        ("a.tgz", gzip.compress(pack_tar({f"{i}.jsonl.gz": packed for i in range(5)}))),
    ):
        results = read_document(content, name, SMALL)
        assert len(results) == 5000
        assert all(isinstance(result, Article) for result in results)


def test_global_metadata_of_a_tar_archive_are_bounded() -> None:
    archive = io.BytesIO()
    names = {f"name{i}": "value" for i in range(5000)}
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT, pax_headers=names) as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    (result,) = read_document(archive.getvalue(), "a.tar")
    assert isinstance(result, Rejected)
    assert result.reason is Reason.ARCHIVE
