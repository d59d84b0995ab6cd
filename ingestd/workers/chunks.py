"""Files cut into chunks of records, small enough for a file to keep all processes busy without filling the memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from ingestd.core.source_file import Reason, Rejected, SeenFile
from ingestd.errors import IngestdError, UnusableError
from ingestd.formats import ReadLimits, Record, Skipped, can_stream, read_records
from ingestd.formats.source import HEAD_BYTES
from ingestd.workers.faults import FaultTrap
from ingestd.workers.safe_open import check_unchanged, classify_os_error, open_unchanged

# What is read of a file at a time where the file holds many records.
CHUNK_RECORDS = 64
CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive records of a file."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    skipped: Mapping[str, int]  # records that are not meant to be articles, by reason
    sha256: str | None  # of the file
    bytes_read: int  # of the file so far
    last: bool
    failure: IngestdError | None = None


def iterate_chunks(file: SeenFile, limits: ReadLimits) -> Iterator[Chunk]:
    """Yield the chunks of a file; the last chunk is marked, with a failure where the file has not ended."""
    sha256 = None
    try:
        with open_unchanged(file) as stream:
            _refuse_too_large(stream, file, limits)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            records = read_records(stream, base_name(file), limits)
            while not (chunk := collect_chunk(records, sha256, CHUNK_RECORDS, CHUNK_BYTES)).last:
                yield replace(chunk, bytes_read=stream.tell())
            check_unchanged(stream, file)
            yield replace(chunk, bytes_read=file.size)
    except IngestdError as error:
        yield Chunk((), (), {}, sha256, 0, last=True, failure=error)
    except OSError as error:
        yield Chunk((), (), {}, sha256, 0, last=True, failure=classify_os_error(error))


def collect_chunk(
    stream: Iterator[Record | Rejected | Skipped], sha256: str, max_records: int, max_bytes: int
) -> Chunk:
    """Take records from a stream until the chunk is full; the chunk is the last if the stream ends or fails."""
    records: list[Record] = []
    rejected: list[Rejected] = []
    skipped: dict[str, int] = {}  # a Counter takes several times as long from one process to another
    size = 0
    with FaultTrap() as trap:
        for item in stream:
            if isinstance(item, Skipped):
                skipped[item.why] = skipped.get(item.why, 0) + 1
            elif isinstance(item, Rejected):
                rejected.append(item)
            else:
                records.append(item)
                size += item.size
            if len(records) + len(rejected) >= max_records or size >= max_bytes:
                return Chunk(tuple(records), tuple(rejected), skipped, sha256, 0, last=False)
    return Chunk(tuple(records), tuple(rejected), skipped, sha256, 0, last=True, failure=trap.error)


def base_name(file: SeenFile) -> str:
    """Return the name of a file without the folder."""
    return os.fsdecode(file.path).rpartition("/")[2]


def _refuse_too_large(stream: BinaryIO, file: SeenFile, limits: ReadLimits) -> None:
    """Refuse a file too large to be in memory as a whole, before any more of the file is read."""
    beginning = stream.read(HEAD_BYTES)
    stream.seek(0)
    if file.size > limits.max_file_bytes and not can_stream(beginning, base_name(file)):
        raise UnusableError(
            Reason.TOO_LARGE, f"{file.size} bytes, more than formats.max_file_bytes = {limits.max_file_bytes}"
        )
