"""Commands that take files in, and those that say what became of them."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestd.cli.session import (
    Json,
    Watch,
    load,
    open_database,
    reading,
    reporting,
    settings_of,
    start_readers,
    writing_process,
)
from ingestd.errors import SettingsError

if TYPE_CHECKING:
    from ingestd.core.stats import StatsSnapshot


def run(watch: Watch = None) -> None:
    """
    Watch folders and take in what is dropped there, until SIGTERM or Ctrl-C. SIGHUP reads the settings anew.

    A file is taken up when it is complete: at once if it was renamed into place, else when it has not changed for
    watch.quiet_seconds. Afterwards it is moved to DIR/.ingestd/archive, or to DIR/.ingestd/quarantine with the reason
    beside it. Nothing is ever deleted unless watch.after = "delete".
    """
    with reporting():
        settings = settings_of(watch=watch)
        if not settings.watch.roots:
            raise SettingsError("watch.roots: no folder to watch; give one with --watch DIR")
        start_readers(settings)
        from ingestd.daemon.loop import Daemon

        with writing_process(settings) as database:
            Daemon(settings, database, reload=lambda: load(watch)).run()


def ingest(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with all that is below them.")
    ],
    profile: Annotated[bool, typer.Option("--profile", help="Print the time that each stage took.")] = False,
    as_json: Json = False,
) -> None:
    """
    Take in files and folders once, and leave them where they are.

    Ends with 0, or with 1 and the list if any file could not be used. What was taken in before and has not changed is
    passed over, so an interrupted run can simply be repeated.
    """
    with reporting():
        settings = settings_of()
        start_readers(settings)
        from ingestd.pipeline.one_shot import ingest_paths
        from ingestd.progress_bar import bar

        show_progress = partial(bar, shown=True) if not as_json and sys.stderr.isatty() else None
        with writing_process(settings) as database:
            counts = ingest_paths(settings, database, paths, show_progress=show_progress)
    _report_ingest(counts, profile=profile, as_json=as_json)
    raise typer.Exit(1 if counts.quarantined else 0)


def files(
    state: Annotated[
        str | None, typer.Option(help="claimed, stored, duplicate, quarantined, deferred or vanished.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only files quarantined for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the ledger of files, newest first."""
    from ingestd.cli import render
    from ingestd.core.source_file import FileState
    from ingestd.query import queries

    with reading() as connection:
        if state is not None and state not in list(FileState):
            raise SettingsError(f"--state {state}: allowed: {', '.join(FileState)}")
        found = queries.files(connection, FileState(state) if state else None, reason, limit)
    render.as_json(found) if as_json else render.files(found)


def retry(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH...]", help="Below their root, or in full.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="All files quarantined for this reason.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All quarantined files.")] = False,
    as_json: Json = False,
) -> None:
    """
    Take quarantined files up again.

    They are put back where they were dropped; a running daemon takes them up within seconds, else the next `run` or
    `ingest` does. Name files, a reason, or --all.
    """
    with reporting():
        if not paths and not reason and not everything:
            raise SettingsError("retry: name files, a --reason, or --all")
        from ingestd.cli import render
        from ingestd.pipeline.one_shot import requeue_files

        with open_database(settings_of()) as database:
            put, kept = requeue_files(database, paths or [], reason)
    if as_json:
        render.as_json({"put_back": put, "not_put_back": kept})
        return
    typer.echo(f"{len(put)} files will be taken up again.")
    for path, problem in kept:
        typer.echo(f"{path}: {problem}", err=True)


def _report_ingest(counts: StatsSnapshot, *, profile: bool, as_json: bool) -> None:
    from ingestd.cli import render

    summary: dict[str, Any] = {
        "files": {str(state): count for state, count in counts.files.items() if count},
        "articles": counts.articles,
        "repeats": counts.repeats,
        "revisions": counts.revisions,
        "rejected_records": counts.rejected,
        "quarantined": [{"path": path, "reason": reason} for path, reason in counts.quarantined or ()],
    }
    if profile:
        summary["seconds"] = {stage: round(seconds, 3) for stage, seconds in counts.seconds.items()}
    if as_json:
        render.as_json(summary)
        return
    files = ", ".join(f"{count:,} {state}" for state, count in counts.files.items() if count)
    typer.echo(
        f"{counts.articles:,} new articles, {counts.repeats:,} repeats, {counts.revisions:,} revisions; "
        f"files: {files or 'none'}"
    )
    if counts.rejected:
        typer.echo(f"{counts.rejected:,} records left out; `ingestd show file PATH` lists them")
    for path, reason in counts.quarantined or ():
        typer.echo(f"not used: {path}: {reason}")
    for stage, seconds in summary.get("seconds", {}).items():
        typer.echo(f"  {stage:<18} {seconds:9.3f} s")
