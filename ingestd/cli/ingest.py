"""Commands that take files in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestd.cli.options import Json, Watch, Yes
from ingestd.cli.session import (
    load_settings,
    open_database,
    open_for_deciding,
    read_settings,
    refuse_foreign_folders,
    report_errors,
    start_readers,
)
from ingestd.cli.watched_folders import refuse_unmeant
from ingestd.errors import SettingsError

if TYPE_CHECKING:
    from ingestd.core.stats import StatsSnapshot
    from ingestd.settings import Settings


def run(ctx: typer.Context, watch: Watch = None, yes: Yes = False) -> None:
    """
    Watch folders and take in what is dropped there, until SIGTERM or Ctrl-C. SIGHUP reads the settings anew.

    A file is taken up when it is complete: at once if it was renamed into place, else when it has not changed for
    watch.quiet_seconds. Afterwards it is moved to DIR/.ingestd/archive, or to DIR/.ingestd/quarantine with the reason
    beside it. Nothing is ever deleted unless watch.after = "delete".
    """
    with report_errors(ctx):
        settings = load_settings(ctx, watch)
        if not settings.watch.roots:
            raise SettingsError("watch.roots: no folder to watch; give one with --watch DIR")
        if not yes:
            refuse_unmeant(settings)
        refuse_foreign_folders(settings.watch.roots)
        start_readers(settings)
        from ingestd.daemon.loop import Daemon

        with open_for_deciding(settings) as database:
            Daemon(settings, database, reload=lambda: _read_anew(ctx, watch, yes=yes)).run()


def ingest(
    ctx: typer.Context,
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
    with report_errors(ctx):
        settings = load_settings(ctx)
        start_readers(settings)
        from ingestd.cli.progress_bar import choose_progress
        from ingestd.core.progress import hide_progress
        from ingestd.pipeline.one_shot import ingest_paths

        chosen = choose_progress(as_json=as_json)
        show_progress = None if chosen is hide_progress else chosen  # None: files are not counted beforehand
        with open_for_deciding(settings) as database:
            stats = ingest_paths(settings, database, paths, show_progress=show_progress)
    _report_ingest(stats, profile=profile, as_json=as_json)
    raise typer.Exit(1 if stats.quarantined else 0)


def retry(
    ctx: typer.Context,
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
    with report_errors(ctx):
        if not paths and not reason and not everything:
            raise SettingsError("retry: name files, a --reason, or --all")
        from ingestd.pipeline.one_shot import requeue_files
        from ingestd.query.ids import parse_file_name, parse_text

        with open_database(load_settings(ctx)) as database:
            requeued, problems = requeue_files(
                database, [parse_file_name(path) for path in paths or ()], reason and parse_text(reason)
            )
    from ingestd.cli import layout

    if as_json:
        layout.print_json({"put_back": requeued, "not_put_back": problems})
        return
    layout.print_line(f"{len(requeued)} files will be taken up again.")
    for path, problem in problems:
        layout.print_line(f"{path}: {problem}", to_errors=True)


def _read_anew(ctx: typer.Context, watch: Sequence[Path] | None, *, yes: bool) -> Settings:
    settings = read_settings(ctx, watch)
    if not yes:
        refuse_unmeant(settings)
    return settings


def _report_ingest(stats: StatsSnapshot, *, profile: bool, as_json: bool) -> None:
    from ingestd.cli import layout

    summary: dict[str, Any] = {
        "files": {str(state): count for state, count in stats.files.items() if count},
        "articles": stats.articles,
        "repeats": stats.repeats,
        "revisions": stats.revisions,
        "rejected_records": stats.rejected,
        "quarantined": [{"path": path, "reason": reason} for path, reason in stats.quarantined or ()],
    }
    if profile:
        summary["seconds"] = {stage: round(seconds, 3) for stage, seconds in stats.seconds.items()}
    if as_json:
        layout.print_json(summary)
        return
    files = ", ".join(f"{count:,} {state}" for state, count in stats.files.items() if count)
    typer.echo(
        f"{stats.articles:,} new articles, {stats.repeats:,} repeats, {stats.revisions:,} revisions; "
        f"files: {files or 'none'}"
    )
    if stats.rejected:
        typer.echo(f"{stats.rejected:,} records left out; `ingestd show file PATH` lists them")
    for path, reason in stats.quarantined or ():
        layout.print_line(f"not used: {path}: {reason}")
    for stage, seconds in summary.get("seconds", {}).items():
        typer.echo(f"  {stage:<18} {seconds:9.3f} s")
