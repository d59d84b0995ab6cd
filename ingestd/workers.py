"""
Reading and fingerprinting, in processes of their own: the part of the work that spreads over all cores.

A file is opened once, without following links or waiting for a pipe, and read from that one descriptor; when it has
changed by the end of the reading, nothing of it is used.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import multiprocessing
import os
import signal
import stat
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import chain
from typing import TypeVar
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np

from ingestd.core.article import Article
from ingestd.core.fingerprint import Fingerprint, fingerprints
from ingestd.core.salience import Salience, frequency_by_length
from ingestd.errors import DeferredError, IngestdError, Reason, UnsettledError, UnusableError, VanishedError
from ingestd.formats import Context, Rejected, language, read
from ingestd.intake.scan import SeenFile

_T = TypeVar("_T")

# A file with more articles is fingerprinted in pieces of this size, so that one file keeps all cores busy.
PIECE = 64
# Languages that wordfreq lists under another code.
_LISTED_AS = {"no": "nb", "nn": "nb", "sr": "sh", "hr": "sh", "bs": "sh", "tl": "fil"}
_TOO_BIG_TO_SIT_IN_ONE_ANSWER = 4 * PIECE


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker must know of the settings."""

    timezone: str
    max_file_bytes: int
    max_records: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a file."""

    file: SeenFile
    sha256: str | None = None
    articles: tuple[Article, ...] = ()
    fingerprints: tuple[Fingerprint, ...] | None = None  # None: too many articles, to be made in pieces
    rejected: tuple[Rejected, ...] = ()
    failure: IngestdError | None = None


class Workers:
    """Processes that read files and fingerprint articles. With none, the work is done on the spot."""

    def __init__(self, processes: int) -> None:
        """Start nothing yet: processes begin with the first work they get."""
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def read(self, files: Sequence[SeenFile], limits: Limits, now: datetime) -> Future[list[Reading]]:
        """Read files and fingerprint what they hold."""
        return self._submit(partial(read_files, tuple(files), limits, now))

    def fingerprint(self, articles: Sequence[Article]) -> Future[list[Fingerprint]]:
        """Fingerprint articles that have been read."""
        return self._submit(partial(_fingerprints, tuple(articles)))

    def restart(self) -> None:
        """Begin anew after a process died."""
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _submit(self, work: Callable[[], _T]) -> Future[_T]:
        if not self.processes:
            return _done(work)
        if self._pool is None:
            # Not fork: threads of the folder watcher may hold locks. The server imports once what every process needs.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([__name__])
            self._pool = ProcessPoolExecutor(self.processes, context, initializer=_begin)
        try:
            return self._pool.submit(work)
        except BrokenProcessPool:
            self.restart()
            return self._submit(work)


def read_files(files: Sequence[SeenFile], limits: Limits, now: datetime) -> list[Reading]:
    """Read files; what is wrong with one of them is in its reading and stops no other."""
    context = Context(now, ZoneInfo(limits.timezone), limits.max_records)
    readings = [_read_file(file, limits, context) for file in files]
    small = [r for r in readings if len(r.articles) <= _TOO_BIG_TO_SIT_IN_ONE_ANSWER]
    try:
        made = iter(_fingerprints([article for reading in small for article in reading.articles]))
        done = {id(r): replace(r, fingerprints=tuple(next(made) for _ in r.articles)) for r in small}
    except Exception:  # noqa: BLE001 - a fault of ours in one article: find it, keep its file, do the others
        done = {id(r): _fingerprinted_alone(r) for r in small}
    return [done.get(id(r), r) for r in readings]


def _fingerprinted_alone(reading: Reading) -> Reading:
    try:
        return replace(reading, fingerprints=tuple(_fingerprints(reading.articles)))
    except Exception:  # noqa: BLE001 - see above
        failure = UnusableError(Reason.INTERNAL, traceback.format_exc(limit=-4))
        return replace(reading, articles=(), fingerprints=(), failure=failure)


def _read_file(file: SeenFile, limits: Limits, context: Context) -> Reading:
    try:
        data = _content(file, limits.max_file_bytes)
        sha256 = hashlib.sha256(data).hexdigest()
    except IngestdError as error:
        return Reading(file, failure=error)
    try:
        found = list(read(data, os.fsdecode(file.path).rpartition("/")[2], context))
        articles = tuple(_with_language(a) for a in found if isinstance(a, Article))
    except UnusableError as error:
        return Reading(file, sha256, failure=error)
    except Exception:  # noqa: BLE001 - a fault of ours in one file must not stop the others; it is kept and reported
        return Reading(file, sha256, failure=UnusableError(Reason.INTERNAL, traceback.format_exc(limit=-4)))
    rejected = tuple(r for r in found if isinstance(r, Rejected))
    failure = None if articles else _nothing_usable(rejected)
    return Reading(file, sha256, articles, None, rejected, failure)


def _nothing_usable(rejected: Sequence[Rejected]) -> UnusableError:
    if not rejected:
        return UnusableError(Reason.EMPTY, "the file holds no records")
    first = rejected[0]
    more = f"; {len(rejected) - 1} more records with errors" if len(rejected) > 1 else ""
    return UnusableError(first.reason, f"record {first.record_no}: {first.detail}{more}")


def _content(file: SeenFile, max_bytes: int) -> bytes:
    """Return the bytes of a file that is regular, complete and not too large."""
    if stat.S_ISLNK(file.mode):
        raise UnusableError(Reason.SYMLINK, "links are not followed")
    if not file.regular:
        raise UnusableError(Reason.NOT_REGULAR, "a pipe, socket or device, not a file")
    try:
        descriptor = os.open(file.full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _classified(error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as opened:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode) or (before.st_ino, before.st_size) != (file.inode, file.size):
            raise UnsettledError(f"{file.name}: replaced or changed since it was seen")
        if before.st_size > max_bytes:
            raise UnusableError(
                Reason.TOO_LARGE, f"{before.st_size} bytes, more than formats.max_file_bytes = {max_bytes}"
            )
        try:
            data = b"".join(iter(partial(opened.read, max_bytes + 1), b""))
        except OSError as error:
            raise _classified(error) from error
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise UnsettledError(f"{file.name}: changed while it was being read")
    return data


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
    lang, confidence = language.detect(article.title, article.text)
    return replace(article, lang=lang, lang_confidence=confidence)


def _fingerprints(articles: Sequence[Article]) -> list[Fingerprint]:
    return fingerprints(articles, salience) if articles else []


@cache
def salience(lang: str | None) -> Salience:
    """Return the term weights of a language, from the background frequencies that wordfreq carries."""
    import wordfreq  # loads a word list

    listed = _LISTED_AS.get(lang or "", lang)
    if listed not in wordfreq.available_languages("best"):
        return Salience(lang or "", frequency_by_length)
    return Salience(lang or "", _frequencies(listed or ""))


def _frequencies(lang: str) -> Callable[[str], float]:
    """
    Return a look-up that takes 8 bytes a word, where the dictionary takes 150.

    A word that is not in the list is taken for one that is with a probability of .0001.
    """
    import wordfreq

    # The list holds words by frequency, in steps of a hundredth of a power of ten.
    steps = wordfreq.get_frequency_list(lang, wordlist="best")
    sizes = [len(words) for words in steps]
    values = np.repeat([wordfreq.cB_to_freq(-step) for step in range(len(steps))], sizes).astype(np.float32)
    words = chain.from_iterable(steps)
    hashes = np.fromiter((crc32(word.encode()) for word in words), dtype=np.uint32, count=sum(sizes))
    order = np.argsort(hashes)
    hashes, values = hashes[order], values[order]
    wordfreq.get_frequency_list.cache_clear()

    def frequency(word: str) -> float:
        wanted = crc32(word.encode("utf-8", "replace"))
        at = int(np.searchsorted(hashes, wanted))
        return float(values[at]) if at < hashes.size and hashes[at] == wanted else 0.0

    return frequency


def _begin() -> None:
    """Prepare a process for its work."""
    # Ctrl-C reaches the whole process group; the main process decides what is still to be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What all workers share of memory stays shared: the collector would write to every object.
    gc.freeze()


def _done(work: Callable[[], _T]) -> Future[_T]:
    future: Future[_T] = Future()
    future.set_result(work())
    return future
