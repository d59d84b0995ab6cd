"""
Reading and fingerprinting, in processes of their own: the part of the work that spreads over all cores.

A file is opened once, without following links or waiting for a pipe, and read from that one descriptor; when it has
changed by the end of the reading, nothing of it is used. The same processes move files once they are settled.
"""

from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import os
import stat
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from typing import BinaryIO, TypeVar
from zlib import crc32

import numpy as np

from ingestd.archive.moves import Move
from ingestd.archive.moves import move as move_files
from ingestd.core.article import Article
from ingestd.core.fingerprint import Fingerprint, fingerprint_articles
from ingestd.core.source_file import SeenFile
from ingestd.core.text.term_weights import BackgroundFrequencies, TermWeighter, estimate_frequencies
from ingestd.errors import DeferredError, IngestdError, Reason, UnsettledError, UnusableError, VanishedError
from ingestd.formats import ReadLimits, Record, Rejected, Skipped, can_stream, parse_record, read_records
from ingestd.formats.language import detect_language
from ingestd.formats.source import HEAD_BYTES
from ingestd.inbox.scan import full_path, is_regular
from ingestd.workers import forkserver

_T = TypeVar("_T")

# What is read of a file at a time where it holds many records: few enough that one file keeps all cores busy.
PIECE_RECORDS = 64
PIECE_BYTES = 4 << 20
# A file with more than this is not read at once, but in pieces.
AT_ONCE_RECORDS = 4 * PIECE_RECORDS
AT_ONCE_BYTES = 16 << 20
_NICE = 5  # all wait for the process that decides: where cores are scarce it goes first, and they read ahead of it
_WARM_UP_S = 0.1  # of doing nothing, so that no process gets the work of two
MOST_LISTED = 10_000  # records of one file that could not be used and are listed; the others are counted
# Languages that wordfreq lists under another code.
_LISTED_AS = {"no": "nb", "nn": "nb", "sr": "sh", "hr": "sh", "bs": "sh", "tl": "fil"}


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """What came of reading a file, or a piece of it. Articles and a failure: what was read before it is good."""

    file: SeenFile
    sha256: str | None = None
    articles: tuple[Article, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)  # records that are not meant to be articles, by reason
    failure: IngestdError | None = None
    large: bool = False  # too much for one answer: it is to be read in pieces


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file, cut into records."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    skipped: Mapping[str, int]
    sha256: str | None  # of the file
    bytes_read: int
    last: bool
    failure: IngestdError | None = None


class Workers:
    """Processes that read files and fingerprint articles. With none, the work is done on the spot."""

    def __init__(self, processes: int) -> None:
        """Start nothing yet: processes begin with the first work they get, or with `warm_up`."""
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def read(self, files: Sequence[SeenFile], context: ReadLimits) -> Future[list[ExtractionResult]]:
        """Read files and fingerprint what they hold."""
        return self._submit(partial(read_files, tuple(files), context))

    def fingerprint(self, articles: Sequence[Article]) -> Future[list[Fingerprint]]:
        """Fingerprint articles that have been read."""
        return self._submit(partial(_fingerprints, tuple(articles)))

    def understand(self, file: SeenFile, cut: Chunk, context: ReadLimits) -> Future[ExtractionResult]:
        """Turn the records of a piece into fingerprinted articles."""
        return self._submit(partial(_understood, file, cut, context))

    def move(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        """Move files: the deciding process would wait for the disk, some times for each of them."""
        return self._submit(partial(move_files, tuple(moves)))

    def warm_up(self) -> None:
        """Start all processes now, and wait for them: the first files do not have to."""
        wait([self._submit(partial(time.sleep, _WARM_UP_S)) for _ in range(self.processes)])

    def restart(self) -> None:
        """Begin anew after a process died."""
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def abandon(self) -> None:
        """End the processes in the midst of their work, which is to be done again: an exit would wait for it."""
        if self._pool is not None:
            self.close()
            for process in multiprocessing.active_children():
                process.terminate()

    def _submit(self, work: Callable[[], _T]) -> Future[_T]:
        if not self.processes:
            return _done(work)
        if self._pool is None:
            self._pool = _pool(self.processes)
        try:
            return self._pool.submit(work)
        except BrokenProcessPool:
            self.restart()
            return self._submit(work)


class ChunkReader:
    """Cuts one file into records, a piece at a time, in a process of its own where there are any."""

    def __init__(self, file: SeenFile, context: ReadLimits, *, apart: bool) -> None:
        """Open nothing yet."""
        self._file, self._context = file, context
        self._pool = _pool(1) if apart else None
        self._cuts: Iterator[Chunk] | None = None

    def next(self) -> Future[Chunk]:
        """Cut the next piece off; not to be called after the last."""
        if self._pool is not None:
            return self._pool.submit(_next_cut, self._file, self._context)
        self._cuts = self._cuts or _cuts(self._file, self._context)
        cuts = self._cuts
        return _done(lambda: next(cuts))

    def close(self) -> None:
        """Let go of the file."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._cuts = None


def read_files(files: Sequence[SeenFile], context: ReadLimits) -> list[ExtractionResult]:
    """Read files; what is wrong with one of them is in its reading and stops no other."""
    readings = [_read_file(file, context) for file in files]
    try:
        made = iter(_fingerprints([article for reading in readings for article in reading.articles]))
        return [replace(r, fingerprints=tuple(next(made) for _ in r.articles)) for r in readings]
    except Exception:  # noqa: BLE001 - a fault of ours in one article: find it, keep its file, do the others
        return [_fingerprinted_alone(reading) for reading in readings]


def _fingerprinted_alone(reading: ExtractionResult) -> ExtractionResult:
    try:
        return replace(reading, fingerprints=tuple(_fingerprints(reading.articles)))
    except Exception:  # noqa: BLE001 - see above
        return replace(reading, articles=(), fingerprints=(), failure=_our_fault())


def _read_file(file: SeenFile, context: ReadLimits) -> ExtractionResult:
    """Read a file as a whole; one that is too large for that is said to be."""
    try:
        data, sha256 = _content(file, AT_ONCE_BYTES)
    except IngestdError as error:
        return ExtractionResult(file, failure=error)
    if data is None:
        return ExtractionResult(file, large=True)
    cut = _cut(read_records(io.BytesIO(data), _name(file), context), sha256, AT_ONCE_RECORDS, 2 * AT_ONCE_BYTES)
    if not cut.last:
        return ExtractionResult(file, sha256, large=True)
    articles, problems = _articles(cut.records, context)
    rejected = (*cut.rejected, *problems)
    failure = cut.failure or (None if articles else nothing_usable(rejected, cut.skipped))
    return ExtractionResult(file, sha256, articles, (), rejected, cut.skipped, failure)


def _articles(found: Iterable[Record], context: ReadLimits) -> tuple[tuple[Article, ...], tuple[Rejected, ...]]:
    """Understand records; a fault of ours in one of them is kept with it."""
    articles: list[Article] = []
    rejected: list[Rejected] = []
    for record in found:
        try:
            for result in parse_record(record, context):
                if isinstance(result, Rejected):
                    rejected.append(result)
                else:
                    articles.append(_with_language(result))
        except Exception:  # noqa: BLE001 - see above
            failure = _our_fault()
            rejected.append(Rejected(record.record_no, failure.reason, failure.detail))
    return tuple(articles), tuple(rejected)


def _understood(file: SeenFile, cut: Chunk, context: ReadLimits) -> ExtractionResult:
    articles, rejected = _articles(cut.records, context)
    made = tuple(_fingerprints(articles))
    return ExtractionResult(file, cut.sha256, articles, made, (*cut.rejected, *rejected), cut.skipped, cut.failure)


_cutting: dict[SeenFile, Iterator[Chunk]] = {}  # the one file that a process of its own cuts up


def _next_cut(file: SeenFile, context: ReadLimits) -> Chunk:
    return next(_cutting.setdefault(file, _cuts(file, context)))


def _cuts(file: SeenFile, context: ReadLimits) -> Iterator[Chunk]:
    """Yield the pieces of a file; the last one says so, and why where it is not the end of the file."""
    sha256 = None
    try:
        with _opened(file) as opened:
            _refuse_too_large(opened, file, context)
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            found = read_records(opened, _name(file), context)
            while not (cut := _cut(found, sha256, PIECE_RECORDS, PIECE_BYTES)).last:
                yield replace(cut, bytes_read=opened.tell())
            _check_unchanged(opened, file)
            yield replace(cut, bytes_read=file.size)
    except IngestdError as error:
        yield Chunk((), (), {}, sha256, 0, last=True, failure=error)
    except OSError as error:
        yield Chunk((), (), {}, sha256, 0, last=True, failure=_classified(error))


def _cut(found: Iterator[Record | Rejected | Skipped], sha256: str, most_records: int, most_bytes: int) -> Chunk:
    kept: list[Record] = []
    rejected: list[Rejected] = []
    skipped: dict[str, int] = {}  # a Counter takes several times as long from one process to another
    size = 0
    failure: UnusableError | None = None
    try:
        for part in found:
            if isinstance(part, Skipped):
                skipped[part.why] = skipped.get(part.why, 0) + 1
            elif isinstance(part, Rejected):
                rejected.append(part)
            else:
                kept.append(part)
                size += part.size
            if len(kept) + len(rejected) >= most_records or size >= most_bytes:
                return Chunk(tuple(kept), tuple(rejected), skipped, sha256, 0, last=False)
    except UnusableError as error:
        failure = error
    except Exception:  # noqa: BLE001 - a fault of ours in one file must not stop the others; it is kept and reported
        failure = _our_fault()
    return Chunk(tuple(kept), tuple(rejected), skipped, sha256, 0, last=True, failure=failure)


def _refuse_too_large(opened: BinaryIO, file: SeenFile, context: ReadLimits) -> None:
    """Refuse a file that has to be held in memory and is too large for it, before any more of it is read."""
    beginning = opened.read(HEAD_BYTES)
    opened.seek(0)
    if file.size > context.max_file_bytes and not can_stream(beginning, _name(file)):
        raise UnusableError(
            Reason.TOO_LARGE, f"{file.size} bytes, more than formats.max_file_bytes = {context.max_file_bytes}"
        )


def _name(file: SeenFile) -> str:
    return os.fsdecode(file.path).rpartition("/")[2]


def _our_fault() -> UnusableError:
    return UnusableError(Reason.INTERNAL, traceback.format_exc(limit=-4))


def nothing_usable(rejected: Sequence[Rejected], skipped: Mapping[str, int]) -> UnusableError:
    """Return why a file without a single article is of no use."""
    if not rejected:
        return UnusableError(Reason.EMPTY, f"the file holds no articles{left_out(skipped, '; left out: ')}")
    first = rejected[0]
    more = f"; {len(rejected) - 1} more records with errors" if len(rejected) > 1 else ""
    return UnusableError(first.reason, f"record {first.record_no}: {first.detail}{more}")


def left_out(skipped: Mapping[str, int], before: str = "") -> str:
    """Say which records were left out, and how many; nothing where none were."""
    counts = ", ".join(f"{n} {why}" for why, n in sorted(skipped.items(), key=lambda item: -item[1]))
    return before + counts if counts else ""


def _content(file: SeenFile, most: int) -> tuple[bytes | None, str]:
    """Return the bytes of a file and their SHA-256; no bytes where there are more than `most`."""
    with _opened(file) as opened:
        if file.size > most:
            return None, ""
        try:
            data = b"".join(iter(partial(opened.read, most + 1), b""))
        except OSError as error:
            raise _classified(error) from error
        _check_unchanged(opened, file, len(data))
    return data, hashlib.sha256(data).hexdigest()


@contextmanager
def _opened(file: SeenFile) -> Iterator[io.FileIO]:
    """Open a file that is regular and still the one that was seen."""
    if stat.S_ISLNK(file.mode):
        raise UnusableError(Reason.SYMLINK, "links are not followed")
    if not is_regular(file):
        raise UnusableError(Reason.NOT_REGULAR, "a pipe, socket or device, not a file")
    try:
        descriptor = os.open(full_path(file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _classified(error) from error
    with io.FileIO(descriptor) as opened:
        now = os.fstat(descriptor)
        if not stat.S_ISREG(now.st_mode) or (now.st_ino, now.st_size) != (file.inode, file.size):
            raise UnsettledError(f"{file.name}: replaced or changed since it was seen")
        yield opened


def _check_unchanged(opened: io.FileIO, file: SeenFile, n_read: int | None = None) -> None:
    now = os.fstat(opened.fileno())
    if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns) or n_read not in (None, now.st_size):
        raise UnsettledError(f"{file.name}: changed while it was being read")


def _classified(error: OSError) -> IngestdError:
    if error.errno == errno.ELOOP:
        return UnusableError(Reason.SYMLINK, "links are not followed")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return VanishedError(str(error))
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return UnusableError(Reason.NOT_REGULAR, str(error))
    return DeferredError(error.strerror or str(error))


def _with_language(article: Article) -> Article:
    if article.lang:
        return article
    lang, confidence = detect_language(article.title, article.text)
    return replace(article, lang=lang, lang_confidence=confidence)


def _fingerprints(articles: Sequence[Article]) -> list[Fingerprint]:
    return fingerprint_articles(articles, salience) if articles else []


@cache
def salience(lang: str | None) -> TermWeighter:
    """Return the term weights of a language, from the background frequencies that wordfreq carries."""
    import wordfreq  # loads a word list

    listed = _LISTED_AS.get(lang or "", lang)
    if listed not in wordfreq.available_languages("best"):
        return TermWeighter(lang or "", estimate_frequencies)
    return TermWeighter(lang or "", _frequencies(listed or ""))


def _frequencies(lang: str) -> BackgroundFrequencies:
    """
    Return a look-up of many words that takes 8 bytes a word, where the dictionary takes 150.

    A word that is not in the list is taken for one that is with a probability of .0001.
    """
    import wordfreq

    # The list holds words by frequency, in steps of a hundredth of a power of ten.
    steps = wordfreq.get_frequency_list(lang, wordlist="best")
    sizes = [len(words) for words in steps]
    values = np.repeat([wordfreq.cB_to_freq(-step) for step in range(len(steps))], sizes).astype(np.float32)
    words = map(str.encode, chain.from_iterable(steps))
    hashes = np.fromiter(map(crc32, words), dtype=np.uint32, count=sum(sizes))
    order = np.argsort(hashes)
    hashes, values = hashes[order], values[order]
    wordfreq.get_frequency_list.cache_clear()

    def frequency(asked: Sequence[str]) -> list[float]:
        wanted = np.array([crc32(word.encode("utf-8", "replace")) for word in asked], dtype=np.uint32)
        at = hashes[:-1].searchsorted(wanted)
        found: list[float] = np.where(hashes[at] == wanted, values[at], np.float32(0)).tolist()
        return found

    return frequency


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, forkserver.start(), initializer=_begin)


def _begin() -> None:
    forkserver.begin()
    os.nice(_NICE)


def _done(work: Callable[[], _T]) -> Future[_T]:
    future: Future[_T] = Future()
    future.set_result(work())
    return future
