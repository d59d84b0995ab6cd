"""Commands that answer: what there is, why, and how good it is."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ingestd.cli.session import Json, one_of, reading, settings_of


def status(as_json: Json = False) -> None:
    """Show how much there is of everything, and how far behind the work is."""
    from ingestd.cli import render
    from ingestd.query import queries

    with reading() as connection:
        found = queries.status(connection, settings_of().window.days)
    render.as_json(found) if as_json else render.status(found)


def clusters(  # noqa: PLR0913 - each is an option
    min_articles: Annotated[int, typer.Option(min=1, help="Only clusters of at least so many articles.")] = 2,
    since: Annotated[
        datetime | None, typer.Option(help="Only clusters with an article published since then (UTC).")
    ] = None,
    outlet: Annotated[str | None, typer.Option(help="Only clusters with an article of this outlet.")] = None,
    lang: Annotated[str | None, typer.Option(help="Only clusters in this language, such as en.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    largest: Annotated[bool, typer.Option("--largest", help="Largest first, instead of newest first.")] = False,
    as_json: Json = False,
) -> None:
    """Show clusters with their members, newest first; ★ marks the article that speaks for its cluster."""
    from ingestd.cli import render
    from ingestd.query import queries

    with reading() as connection:
        found = queries.clusters(
            connection,
            min_articles=min_articles,
            since=since.replace(tzinfo=UTC) if since else None,
            outlet=outlet,
            lang=lang,
            limit=limit,
            largest=largest,
        )
    render.as_json(found) if as_json else render.clusters(found)


def show_cluster(cluster: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show a cluster, its members and its history. An id that was merged away leads to where it went."""
    from ingestd.cli import render
    from ingestd.query import queries

    with reading() as connection:
        found = queries.cluster(connection, cluster)
    render.as_json(found) if as_json else render.cluster(found)


def show_article(
    article: Annotated[str, typer.Argument(metavar="ARTICLE", help="Id, URL, external id or file name.")],
    as_json: Json = False,
) -> None:
    """Show an article: where it came from, where it belongs, and its text."""
    from ingestd.cli import render
    from ingestd.query import queries

    with reading() as connection:
        found = queries.article(connection, article)
    render.as_json(found) if as_json else render.article(found)


def show_file(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Below its root, in full, or the bare name.")],
    as_json: Json = False,
) -> None:
    """Show what became of a file, every version of it, and which of its records were left out."""
    from ingestd.cli import render
    from ingestd.query import queries

    with reading() as connection:
        found = queries.file(connection, path)
    render.as_json(found) if as_json else render.file(found)


def why(
    article: Annotated[str, typer.Argument(metavar="ARTICLE", help="Id, URL, external id or file name.")],
    other: Annotated[str | None, typer.Argument(metavar="[ARTICLE]", help="Another one to compare it with.")] = None,
    as_json: Json = False,
) -> None:
    """Show why an article is where it is; with two, why they are together or not."""
    from ingestd.cli import render
    from ingestd.query import explain

    with reading() as connection:
        found = explain.one(connection, article) if other is None else explain.two(connection, article, other)
    if as_json:
        render.as_json(found)
    elif other is None:
        render.why_one(found)
    else:
        render.why_two(found)


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file that does not exist yet; - is standard output.")],
    what: Annotated[
        str, typer.Option("--what", metavar="articles|canonical|clusters|members", help="canonical: without copies.")
    ] = "articles",
    form: Annotated[
        str | None, typer.Option("--format", metavar="jsonl|csv|parquet", help="Default: by the ending of OUT.")
    ] = None,
) -> None:
    """
    Write articles, clusters or who is in which to a file.

    What is exported as articles in JSON lines can be ingested again, here or elsewhere, and gives the same articles.
    Parquet needs `pip install 'ingestd[parquet]'`.
    """
    from ingestd.progress_bar import bar
    from ingestd.query import export as work

    with reading() as connection:
        chosen = one_of(work.What, what, "--what")
        written_as = one_of(work.Form, form, "--format") if form else work.form_of(out)
        with bar("rows", work.count(connection, chosen), shown=sys.stderr.isatty()) as advance:
            written = work.export(connection, chosen, written_as, out, advance)
    typer.echo(f"{written:,} rows in {out}", err=True)


def evaluate(
    gold: Annotated[Path, typer.Argument(metavar="GOLD.jsonl", help="A record a line, with `id` and `event`.")],
    as_json: Json = False,
) -> None:
    """
    Compare the clusters with a sample that people have labelled: B-cubed, pairwise F1, adjusted Rand index.

    `id` is an article's external id, URL or number; `event` any name that articles on one event share.
    """
    from ingestd.cli import render
    from ingestd.query.evaluate import evaluate as evaluated

    with reading() as connection:
        found = evaluated(connection, gold)
    render.as_json(found) if as_json else render.figures(found)
