"""
A file with articles: the stamp of the content, the state of the work, and problems found.

Pure values, shared by the inbox, the readers, the ledger and the archive. File names are bytes, as in the file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FileState(StrEnum):
    """Progress of a file, as stored in the ledger."""

    CLAIMED = "claimed"  # a process is at work on the file
    STORED = "stored"  # the articles are in the database
    DUPLICATE = "duplicate"  # every article was in the database before
    QUARANTINED = "quarantined"  # the file cannot be used; reason and detail say why
    DEFERRED = "deferred"  # the fault is not in the file; the next attempt is at retry_at
    VANISHED = "vanished"  # removed before the reading


class Reason(StrEnum):
    """Why a file, or a record of a file, was not ingested."""

    EMPTY = "empty"
    PARSE = "parse"
    SCHEMA = "schema"  # neither a title nor a text
    DEPTH = "depth"
    ENCODING = "encoding"
    TYPE = "type"  # not a supported kind of file
    TOO_LARGE = "too_large"
    BOMB = "bomb"  # a small file that unpacks to a huge one
    GZIP = "gzip"  # cut off or damaged, as are the next four
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"
    ARCHIVE = "archive"  # or a member that is encrypted, nested, or named outside of the archive
    XML = "xml"  # not well-formed, or with entities of its own
    WARC = "warc"
    SYMLINK = "symlink"
    NOT_REGULAR = "not_regular"
    TIMEOUT = "timeout"  # reading took more than ingest.read_seconds
    MEMORY = "memory"  # reading took more than ingest.read_memory_bytes
    INTERNAL = "internal"  # a fault of ours


_INT64_END = 2**63  # BIGINT of SQL, and INTEGER of SQLite: 64 bits with a sign
# Of root and path together: PostgreSQL refuses an index entry of more than 2,704 bytes, with the headers.
MAX_PATH_BYTES = 2500


@dataclass(frozen=True, slots=True)
class FileStamp:
    """
    Size, time and inode: equal stamps mean no writing in between.

    A file system may give any number: a time of the year 2300 in nanoseconds, an inode with the highest bit set. A
    number that no database holds is folded into 64 bits with a sign, in every stamp alike.
    """

    size: int  # bytes
    mtime_ns: int
    inode: int

    def __post_init__(self) -> None:
        """Fold numbers beyond 64 bits with a sign."""
        if not all(-_INT64_END <= number < _INT64_END for number in (self.size, self.mtime_ns, self.inode)):
            object.__setattr__(self, "size", fold_int64(self.size))
            object.__setattr__(self, "mtime_ns", fold_int64(self.mtime_ns))
            object.__setattr__(self, "inode", fold_int64(self.inode))


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A directory entry as seen at a moment: the place, and everything changing with the content."""

    root: str
    path: bytes  # below the root
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int

    @property
    def name(self) -> str:
        """The path below the root, fit for a terminal and a database."""
        return escape_unprintable(self.path.decode("utf-8", "surrogateescape"))

    @property
    def path_bytes(self) -> int:
        """The length of root and path, to compare with MAX_PATH_BYTES."""
        return len(self.root.encode("utf-8", "surrogateescape")) + len(self.path)

    @property
    def stamp(self) -> FileStamp:
        """The part to compare for signs of writing."""
        return FileStamp(self.size, self.mtime_ns, self.inode)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An unusable record, and the reason."""

    record_no: int
    reason: Reason
    detail: str


def fold_int64(number: int) -> int:
    """Return a number of 64 bits with a sign: the number itself, or the number modulo 2**64 (two's complement)."""
    return (number + _INT64_END) % (2 * _INT64_END) - _INT64_END


def escape_unprintable(name: str) -> str:
    """Return a name with control characters and undecodable bytes as escapes."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in name)
