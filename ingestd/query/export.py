"""Export a corpus as JSON lines, CSV or Parquet, row by row; the file appears complete or not at all."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, FromClause, Select, func, select

from ingestd.core.article import DatePrecision
from ingestd.core.progress import ShowProgress, hide_progress
from ingestd.errors import CannotStartError
from ingestd.store.tables import ArticleRow, ClusterMemberRow, ClusterRow, CopyRow

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]
_Write = Callable[[IO[bytes], Sequence[str], Iterator[Row]], Iterator[int]]  # yields the number of rows so far
_ROWS_AT_A_TIME = 1000
STANDARD_OUTPUT = Path("-")
# What a spreadsheet takes for the beginning of a formula, or strips and then takes for one; also in the wide forms of
# East Asian keyboards (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class ExportedRows(StrEnum):
    """The rows of an export."""

    ARTICLES = "articles"
    CANONICAL = "canonical"
    CLUSTERS = "clusters"
    MEMBERS = "members"


class ExportFormat(StrEnum):
    """The form of the file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def find_form(path: Path) -> ExportFormat:
    """
    Return the form by the ending of a file name.

    Raises:
        CannotStartError: the ending names no form.
    """
    try:
        return ExportFormat(path.suffix.removeprefix(".").lower())
    except ValueError as error:
        raise CannotStartError(f"{path}: say --format {'|'.join(ExportFormat)}; the name does not") from error


def export_rows(  # noqa: PLR0913 - all that an export can be asked
    connection: Connection,
    what: ExportedRows,
    form: ExportFormat,
    out: Path,
    show_progress: ShowProgress = hide_progress,
    *,
    raw: bool = False,
    standard_output: IO[bytes] | None = None,
) -> int:
    """
    Write rows to a file that appears when complete; return the number of rows.

    Args:
        connection: to read from.
        what: the rows.
        form: of the file.
        out: a file that does not exist yet; `-` is standard output.
        show_progress: shows the number of written rows.
        raw: leave the values of a CSV file as they are, also those that a spreadsheet would run.
        standard_output: stands for `-`; None: of the process.

    Raises:
        CannotStartError: the file exists or cannot be written, or pyarrow is needed and not installed.
    """
    if out.exists():
        raise CannotStartError(f"{out} exists already; nothing is overwritten")
    columns = _COLUMNS[what]
    writers: Mapping[ExportFormat, _Write] = {
        ExportFormat.JSONL: _write_jsonl,
        ExportFormat.CSV: partial(_write_csv, to_cell=_to_cell if raw else _to_harmless_cell),
        ExportFormat.PARQUET: _write_parquet,
    }
    write = writers[form]
    with (
        show_progress("rows", _count_rows(connection, what)) as advance,
        _open_complete(out, standard_output or sys.stdout.buffer) as stream,
    ):
        written = 0
        rows = (_to_row(row._mapping) for row in connection.execute(_build_query(what)))
        for written in write(stream, columns, rows):
            advance(written, None)
    return written


def _count_rows(connection: Connection, what: ExportedRows) -> int:
    rows = _build_query(what).order_by(None).subquery()
    return connection.execute(select(func.count()).select_from(rows)).scalar_one()


_ARTICLE = ("ingestd_id", "external_id", "url", "outlet", "title", "text", "authors", "lang", "lang_confidence",
            "published_at", "published_source", "published_precision", "first_seen_at", "n_words", "revision",
            "canonical_ingestd_id", "relation", "cluster_id")  # fmt: skip
_COLUMNS: Mapping[ExportedRows, Sequence[str]] = {
    ExportedRows.ARTICLES: _ARTICLE,
    ExportedRows.CANONICAL: _ARTICLE,
    ExportedRows.CLUSTERS: ("cluster_id", "status", "merged_into", "canonical_ingestd_id", "title", "lang", "keywords",
                    "n_articles", "n_originals", "n_outlets", "first_published_at", "last_published_at", "created_at",
                    "updated_at"),
    ExportedRows.MEMBERS: ("cluster_id", "ingestd_id", "relation", "score", "matched_ingestd_id", "joined_at", "outlet",
                   "title", "url", "published_at"),
}  # fmt: skip


def _build_query(what: ExportedRows) -> Select[*tuple[Any, ...]]:
    articles, copies = ArticleRow.__table__.c, CopyRow.__table__.c
    clusters, members = ClusterRow.__table__.c, ClusterMemberRow.__table__.c
    known: dict[str, Any]
    joined: FromClause
    if what in (ExportedRows.ARTICLES, ExportedRows.CANONICAL):
        known = {
            **{column.name: column for column in articles},
            "ingestd_id": articles.id,
            "canonical_ingestd_id": copies.canonical_article_id,
            "relation": copies.relation,
            "cluster_id": members.cluster_id,
        }
        joined = ArticleRow.__table__.outerjoin(CopyRow, copies.article_id == articles.id).outerjoin(
            ClusterMemberRow, members.article_id == articles.id
        )
        order = articles.id
    elif what is ExportedRows.CLUSTERS:
        known = {
            **{column.name: column for column in clusters},
            "cluster_id": clusters.id,
            "canonical_ingestd_id": clusters.canonical_article_id,
        }
        joined, order = ClusterRow.__table__, clusters.id
    else:
        known = {
            **{column.name: column for column in articles},
            **{column.name: column for column in members},
            "ingestd_id": members.article_id,
            "matched_ingestd_id": members.matched_article_id,
        }
        joined = ClusterMemberRow.__table__.join(ArticleRow, articles.id == members.article_id)
        order = members.article_id
    query = select(*(known[name].label(name) for name in _COLUMNS[what])).select_from(joined).order_by(order)
    if what is ExportedRows.CANONICAL:
        query = query.where(copies.article_id.is_(None))
    return query.execution_options(yield_per=_ROWS_AT_A_TIME)


def _to_row(row: Mapping[Any, Any]) -> Row:
    exported = dict(row)
    precision = exported.get("published_precision")
    if precision is not None and exported["published_at"] is not None:
        exported["published_at"] = _GivenDate(exported["published_at"], precision)
    return exported


class _GivenDate:
    """A date written as precisely as given, so that the exported date reads back as the same date."""

    def __init__(self, at: datetime, precision: str) -> None:
        self.at, self._precision = at, precision

    def __str__(self) -> str:
        if self._precision == DatePrecision.DAY.value:
            return self.at.date().isoformat()
        if self._precision == DatePrecision.MINUTE.value:
            return self.at.strftime("%Y-%m-%dT%H:%MZ")
        return self.at.isoformat()


def _to_text(value: Any) -> str:
    """Return a value without a JSON type as text."""
    return value.isoformat() if isinstance(value, date) else str(value)


def _write_jsonl(stream: IO[bytes], _columns: Sequence[str], rows: Iterator[Row]) -> Iterator[int]:
    written = 0
    while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME
        stream.writelines(orjson.dumps(row, default=_to_text, option=options) for row in chunk)
        yield (written := written + len(chunk))


def _write_csv(
    stream: IO[bytes], columns: Sequence[str], rows: Iterator[Row], *, to_cell: Callable[[Any], Any]
) -> Iterator[int]:
    import io

    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    written = 0
    while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
        writer.writerows([to_cell(row[name]) for name in columns] for row in chunk)
        yield (written := written + len(chunk))
    text.flush()
    text.detach()


def _to_cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return orjson.dumps(value).decode()
    return value if value is None or isinstance(value, (str, int, float)) else _to_text(value)


def _to_harmless_cell(value: Any) -> Any:
    """Return the cell with an apostrophe before a text that a spreadsheet would run."""
    cell = _to_cell(value)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def _write_parquet(stream: IO[bytes], columns: Sequence[str], rows: Iterator[Row]) -> Iterator[int]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise CannotStartError("Parquet needs pyarrow: pip install 'ingestd[parquet]'") from error
    schema = pa.schema([(name, _choose_arrow_type(pa, name)) for name in columns])
    written = 0
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
            plain = [{k: v.at if isinstance(v, _GivenDate) else v for k, v in row.items()} for row in chunk]
            writer.write_table(pa.Table.from_pylist(plain, schema))
            yield (written := written + len(chunk))


def _choose_arrow_type(pa: Any, name: str) -> pyarrow.DataType:
    if name.endswith("_at"):
        return pa.timestamp("us", tz="UTC")
    if name in ("authors", "keywords"):
        return pa.list_(pa.string())
    if name in ("score", "lang_confidence"):
        return pa.float64()
    if name.endswith("_id") and name != "external_id":
        return pa.int64()
    return pa.int64() if name.startswith("n_") or name in ("revision", "merged_into") else pa.string()


@contextmanager
def _open_complete(out: Path, standard_output: IO[bytes]) -> Iterator[IO[bytes]]:
    """Open a file beside the target, and rename at the end: under the final name the file is always complete."""
    if out == STANDARD_OUTPUT:
        yield standard_output
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CannotStartError(f"{out}: {error.strerror or error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
