"""The claims of files, and the results: what the ledger takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestd.core.source_file import FileStamp, FileState, Reason, Rejected, SeenFile


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a file until the end of the lease."""

    id: int  # of the row in source_files
    file: SeenFile
    fence: int  # rises with each claim of the file
    attempts: int = 1  # this claim, and the earlier claims that ended with the end of a process
    superseded: tuple[int, ...] = ()  # rows of earlier versions that were read before their writer had finished


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """The result of a claimed file."""

    claim: Claim
    state: FileState  # any but claimed and deferred
    sha256: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    n_articles: int = 0
    article_id: int | None = None
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletedFile:
    """A completed file that has not been moved out of the folder yet."""

    id: int
    root: str
    path: bytes
    stamp: FileStamp
    sha256: str | None
    state: FileState
    reason: str | None
    detail: str | None
    finished_at: datetime  # names the folder in the archive


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The answer to a request for files."""

    claims: tuple[Claim, ...]
    completed: tuple[CompletedFile, ...]  # earlier, and unchanged since
    busy: tuple[SeenFile, ...]  # claimed by another process, or too early for the next attempt
    refused: tuple[SeenFile, ...] = ()  # the path is longer than the ledger indexes
