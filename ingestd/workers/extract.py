"""Files and chunks turned into fingerprinted articles: the work spread over all cores."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ingestd.core.article import Article
from ingestd.core.fingerprint import Fingerprint, fingerprint_articles
from ingestd.core.source_file import Reason, Rejected, SeenFile
from ingestd.errors import IngestdError, UnusableError
from ingestd.formats import ReadLimits, Record, parse_record, read_records
from ingestd.formats.language import detect_language
from ingestd.inbox.beneath import OpenFolders
from ingestd.workers.chunks import CHUNK_RECORDS, Chunk, base_name, collect_chunk
from ingestd.workers.faults import FaultTrap
from ingestd.workers.safe_open import read_content
from ingestd.workers.word_frequencies import load_term_weighter

# A file with more than this is not read at once, but in chunks.
AT_ONCE_RECORDS = 4 * CHUNK_RECORDS
AT_ONCE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """
    The articles of a file or chunk, and the problems.

    Where there are articles and a failure, the articles before the failure are good.
    """

    file: SeenFile
    sha256: str | None = None
    articles: tuple[Article, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)  # records that are not meant to be articles, by reason
    failure: IngestdError | None = None
    large: bool = False  # too much for one answer: the file is to be read in chunks


def read_files(files: Sequence[SeenFile], limits: ReadLimits) -> list[ExtractionResult]:
    """Read files and fingerprint the articles; a problem of a file is in the result and stops no other file."""
    with OpenFolders() as folders:
        results = [_read_file(file, limits, folders) for file in files]
    with FaultTrap():
        return _add_fingerprints(results)
    return [_add_fingerprints_alone(result) for result in results]


def extract_chunk(file: SeenFile, chunk: Chunk, limits: ReadLimits) -> ExtractionResult:
    """Turn the records of a chunk into fingerprinted articles."""
    articles, rejected = _parse_records(chunk.records, limits)
    return _add_fingerprints_alone(
        ExtractionResult(file, chunk.sha256, articles, (), (*chunk.rejected, *rejected), chunk.skipped, chunk.failure)
    )


def compute_fingerprints(articles: Sequence[Article]) -> list[Fingerprint]:
    """Return the fingerprint of each article."""
    return fingerprint_articles(articles, load_term_weighter) if articles else []


def explain_unusable(rejected: Sequence[Rejected], skipped: Mapping[str, int]) -> UnusableError:
    """Return the reason why a file without a single article cannot be used."""
    if not rejected:
        return UnusableError(Reason.EMPTY, f"the file holds no articles{describe_skipped(skipped, '; left out: ')}")
    first = rejected[0]
    more = f"; {len(rejected) - 1} more records with errors" if len(rejected) > 1 else ""
    return UnusableError(first.reason, f"record {first.record_no}: {first.detail}{more}")


def describe_skipped(skipped: Mapping[str, int], before: str = "") -> str:
    """Return a text about the records left out, after the words `before`; empty where there are none."""
    counts = ", ".join(f"{n} {why}" for why, n in sorted(skipped.items(), key=lambda item: -item[1]))
    return before + counts if counts else ""


def _read_file(file: SeenFile, limits: ReadLimits, folders: OpenFolders) -> ExtractionResult:
    """Read a file as a whole; the result of a larger file is marked as `large`."""
    try:
        data, sha256 = read_content(file, AT_ONCE_BYTES, folders)
    except IngestdError as error:
        return ExtractionResult(file, failure=error)
    if data is None:
        return ExtractionResult(file, large=True)
    records = read_records(io.BytesIO(data), base_name(file), limits)
    chunk = collect_chunk(records, sha256, AT_ONCE_RECORDS, 2 * AT_ONCE_BYTES)
    if not chunk.last:
        return ExtractionResult(file, sha256, large=True)
    articles, problems = _parse_records(chunk.records, limits)
    rejected = (*chunk.rejected, *problems)
    failure = chunk.failure or (None if articles else explain_unusable(rejected, chunk.skipped))
    return ExtractionResult(file, sha256, articles, (), rejected, chunk.skipped, failure)


def _parse_records(records: Iterable[Record], limits: ReadLimits) -> tuple[tuple[Article, ...], tuple[Rejected, ...]]:
    """Parse records into articles; a fault of ours in a record is kept with the record."""
    articles: list[Article] = []
    rejected: list[Rejected] = []
    for record in records:
        with FaultTrap() as trap:
            for result in parse_record(record, limits):
                if isinstance(result, Rejected):
                    rejected.append(result)
                else:
                    articles.append(_add_language(result))
        if trap.error:
            rejected.append(Rejected(record.record_no, trap.error.reason, trap.error.detail))
    return tuple(articles), tuple(rejected)


def _add_fingerprints(results: Sequence[ExtractionResult]) -> list[ExtractionResult]:
    """Fingerprint the articles of all results together: faster than result by result."""
    prints = iter(compute_fingerprints([article for result in results for article in result.articles]))
    return [replace(result, fingerprints=tuple(next(prints) for _ in result.articles)) for result in results]


def _add_fingerprints_alone(result: ExtractionResult) -> ExtractionResult:
    with FaultTrap() as trap:
        return _add_fingerprints([result])[0]
    return replace(result, articles=(), fingerprints=(), failure=trap.error)


def _add_language(article: Article) -> Article:
    if article.lang:
        return article
    lang, confidence = detect_language(article.title, article.text)
    return replace(article, lang=lang, lang_confidence=confidence)
