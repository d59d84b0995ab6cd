"""Commands that answer: listings, one thing in full, explanations, exports."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ingestd.cli.options import LARGEST_COUNT, Json
from ingestd.cli.session import load_settings, open_for_reading, parse_kind
from ingestd.errors import CannotStartError


def show_status(ctx: typer.Context, as_json: Json = False) -> None:
    """Show how much there is of everything, and how far behind the work is."""
    from ingestd.cli import layout, render
    from ingestd.query.status import read_status

    with open_for_reading(ctx) as connection:
        status = read_status(connection, load_settings(ctx).window.days)
    layout.print_json(status) if as_json else render.print_status(status)


def list_clusters(  # noqa: PLR0913 - each is an option
    ctx: typer.Context,
    min_articles: Annotated[
        int, typer.Option(min=1, max=LARGEST_COUNT, help="Only clusters of at least so many articles.")
    ] = 2,
    since: Annotated[
        datetime | None, typer.Option(help="Only clusters with an article published since then (UTC).")
    ] = None,
    outlet: Annotated[str | None, typer.Option(help="Only clusters with an article of this outlet.")] = None,
    lang: Annotated[str | None, typer.Option(help="Only clusters in this language, such as en.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_COUNT, help="At most so many.")] = 20,
    largest: Annotated[bool, typer.Option("--largest", help="Largest first, instead of newest first.")] = False,
    as_json: Json = False,
) -> None:
    """Show clusters with their members, newest first; ★ marks the article that speaks for its cluster."""
    from ingestd.cli import layout, render
    from ingestd.query import clusters

    wanted = clusters.ClusterFilter(
        min_articles=min_articles,
        since=since.replace(tzinfo=UTC) if since else None,
        outlet=outlet,
        lang=lang,
        limit=limit,
        largest=largest,
    )
    with open_for_reading(ctx) as connection:
        summaries = clusters.list_clusters(connection, wanted)
    layout.print_json(summaries) if as_json else render.print_clusters(summaries)


def list_files(
    ctx: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="claimed, stored, duplicate, quarantined, deferred or vanished.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only files quarantined for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LARGEST_COUNT, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the ledger of files, newest first."""
    from ingestd.cli import layout, render
    from ingestd.core.source_file import FileState
    from ingestd.errors import SettingsError
    from ingestd.query import files

    with open_for_reading(ctx) as connection:
        if state is not None and state not in list(FileState):
            raise SettingsError(f"--state {state}: allowed: {', '.join(FileState)}")
        entries = files.list_files(connection, FileState(state) if state else None, reason, limit)
    layout.print_json(entries) if as_json else render.print_files(entries)


def show_cluster(
    ctx: typer.Context, cluster: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False
) -> None:
    """Show a cluster, its members and its history. An id that was merged away leads to where it went."""
    from ingestd.cli import layout, render
    from ingestd.query.clusters import read_cluster

    with open_for_reading(ctx) as connection:
        detail = read_cluster(connection, cluster)
    layout.print_json(detail) if as_json else render.print_cluster(detail)


def show_article(
    ctx: typer.Context,
    article: Annotated[str, typer.Argument(metavar="ARTICLE", help="Id, URL, external id or file name.")],
    as_json: Json = False,
) -> None:
    """Show an article: where it came from, where it belongs, and its text."""
    from ingestd.cli import layout, render
    from ingestd.query.articles import read_article

    with open_for_reading(ctx) as connection:
        detail = read_article(connection, article)
    layout.print_json(detail) if as_json else render.print_article(detail)


def show_file(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Below its root, in full, or the bare name.")],
    as_json: Json = False,
) -> None:
    """Show what became of a file, every version of it, and which of its records were left out."""
    from ingestd.cli import layout, render
    from ingestd.query.files import read_file

    with open_for_reading(ctx) as connection:
        versions = read_file(connection, path)
    layout.print_json(versions) if as_json else render.print_file_versions(versions)


def explain(
    ctx: typer.Context,
    article: Annotated[str, typer.Argument(metavar="ARTICLE", help="Id, URL, external id or file name.")],
    other: Annotated[str | None, typer.Argument(metavar="[ARTICLE]", help="Another one to compare it with.")] = None,
    as_json: Json = False,
) -> None:
    """Show why an article is where it is; with two, why they are together or not."""
    from ingestd.cli import layout, render_explanation
    from ingestd.query.explain import explain_article, explain_pair

    with open_for_reading(ctx) as connection:
        if other is not None:
            pair = explain_pair(connection, article, other)
            layout.print_json(pair) if as_json else render_explanation.print_pair_explanation(pair)
        else:
            single = explain_article(connection, article)
            layout.print_json(single) if as_json else render_explanation.print_article_explanation(single)


def export(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file that does not exist yet; - is standard output.")],
    what: Annotated[
        str, typer.Option("--what", metavar="articles|canonical|clusters|members", help="canonical: without copies.")
    ] = "articles",
    form: Annotated[
        str | None, typer.Option("--format", metavar="jsonl|csv|parquet", help="Default: by the ending of OUT.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV: keep values that a spreadsheet would run as formulas.")
    ] = False,
) -> None:
    """
    Write articles, clusters or who is in which to a file.

    What is exported as articles in JSON lines can be ingested again, here or elsewhere, and gives the same articles.
    In CSV a value that a spreadsheet would run as a formula (it begins with = + - @, a tab or a line break) gets an
    apostrophe in front, unless --raw. Parquet needs `pip install 'ingestd[parquet]'`.
    """
    from ingestd.cli import layout
    from ingestd.cli.progress_bar import choose_progress
    from ingestd.query.export import STANDARD_OUTPUT, ExportedRows, ExportFormat, export_rows, find_form

    with open_for_reading(ctx) as connection:
        kind = parse_kind(ExportedRows, what, "--what")
        written_as = parse_kind(ExportFormat, form, "--format") if form else find_form(out)
        output = None
        if out == STANDARD_OUTPUT and sys.stdout.isatty():
            if written_as is ExportFormat.PARQUET:
                raise CannotStartError("Parquet is binary, and standard output is a terminal: name a file")
            output = layout.open_terminal(as_json=written_as is ExportFormat.JSONL)
        show_progress = choose_progress(as_json=False)
        written = export_rows(connection, kind, written_as, out, show_progress, raw=raw, standard_output=output)
    layout.print_line(f"{written:,} rows in {out}", to_errors=True)


def evaluate(
    ctx: typer.Context,
    gold: Annotated[Path, typer.Argument(metavar="GOLD.jsonl", help="A record a line, with `id` and `event`.")],
    as_json: Json = False,
) -> None:
    """
    Compare the clusters with a sample that people have labelled: B-cubed, pairwise F1, adjusted Rand index.

    `id` is an article's external id, URL or number; `event` any name that articles on one event share.
    """
    from dataclasses import asdict

    from ingestd.cli import layout
    from ingestd.query.evaluate import evaluate_clusters

    with open_for_reading(ctx) as connection:
        evaluation = evaluate_clusters(connection, gold)
    layout.print_json(evaluation) if as_json else layout.print_facts(asdict(evaluation))
