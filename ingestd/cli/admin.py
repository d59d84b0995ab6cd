"""Commands for the upkeep of a corpus: checks, rebuilding, pruning, and the tables."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ingestd.cli.options import Json, Watch, Yes
from ingestd.cli.session import (
    load_settings,
    open_database,
    open_for_deciding,
    open_for_reading,
    parse_kind,
    report_errors,
)
from ingestd.cli.watched_folders import find_unmeant
from ingestd.errors import SettingsError

if TYPE_CHECKING:
    from ingestd.settings import Settings
    from ingestd.store.database import Database


def check(ctx: typer.Context, watch: Watch = None, yes: Yes = False, as_json: Json = False) -> None:
    """Look for what will not work, before the first file: settings, folders, inotify, database. Ends with 1 if so."""
    from ingestd.admin.preflight import Finding, Grade, check_surroundings
    from ingestd.cli import layout, render_admin

    with report_errors(ctx):
        settings = load_settings(ctx, watch)
        unmeant = {} if yes else find_unmeant(settings)
        meant = [root for root in settings.watch.roots if root not in unmeant]
        findings = [] if unmeant and not meant else list(check_surroundings(settings, meant))
        findings += [
            Finding(Grade.ERROR, f"{root}: {why}", "name another folder; `run` needs --yes for this one")
            for root, why in unmeant.items()
        ]
    layout.print_json(findings) if as_json else render_admin.print_findings(findings)
    raise typer.Exit(1 if any(finding.grade is Grade.ERROR for finding in findings) else 0)


def check_health(
    ctx: typer.Context,
    watch: Watch = None,
    within: Annotated[
        float | None, typer.Option("--within", metavar="SECONDS", help="Age of a sign that is too old.  [default: 120]")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Tell whether a daemon of this host is at work on the watched folders. Ends with 1 if not.

    The daemon gives a sign of life every 5 seconds (the time of DIR/.ingestd/alive-HOST), also while it waits for a
    database that is away. A daemon that hangs or was killed gives none. The database is not asked here, but by
    `ingestd status`.
    """
    from ingestd.cli import layout, render_admin
    from ingestd.inbox.heartbeat import LONGEST_STEP_S, read_sign

    with report_errors(ctx):
        roots = load_settings(ctx, watch).watch.roots
        if not roots:
            raise SettingsError("watch.roots: no folder to ask about; give one with --watch DIR")
        signs = [read_sign(str(root), LONGEST_STEP_S if within is None else within) for root in roots]
    layout.print_json(signs) if as_json else render_admin.print_signs(signs)
    raise typer.Exit(0 if all(sign.is_fresh for sign in signs) else 1)


def check_corpus(
    ctx: typer.Context,
    hashes: Annotated[bool, typer.Option("--hash", help="Read every archived file, not only its size.")] = False,
    as_json: Json = False,
) -> None:
    """
    Compare the ledger with the disk and the articles. Changes nothing; exit 1 if something is wrong.

    Finds archived files that are gone, changed or unknown, texts that are not what was stored, articles without file,
    cluster or signature, and counts that do not add up. `ingestd rebuild` mends signatures, copies and clusters; a file
    that is gone can be dropped into the folder again.
    """
    from ingestd.admin.fsck import find_problems
    from ingestd.cli import layout, render_admin
    from ingestd.cli.progress_bar import choose_progress

    with open_for_reading(ctx) as connection:
        problems = list(find_problems(connection, hashes=hashes, show_progress=choose_progress(as_json=as_json)))
    layout.print_json(problems) if as_json else render_admin.print_problems(problems)
    raise typer.Exit(1 if problems else 0)


def rebuild(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only compare with what is stored; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """
    Derive copies and clusters anew from the stored articles, as if all had come in the order of their dates.

    The result takes the place of the old one in one transaction at the end. Clusters keep their ids as far as they are
    the same; every id ever given still resolves. Worth it after an upgrade, or after years of late arrivals. --check
    tells how much would change, also while a daemon is at work.
    """
    from ingestd.cli import layout, render_admin
    from ingestd.cli.progress_bar import choose_progress

    with report_errors(ctx):
        settings = load_settings(ctx)
        from ingestd.admin import rebuild as work

        show_progress = choose_progress(as_json=as_json)
        with _open_for_rebuild(settings, check=check) as database:
            result = work.rebuild(settings, database, check=check, show_progress=show_progress)
    layout.print_json(result) if as_json else render_admin.print_rebuild(result, check=check)


def prune(
    ctx: typer.Context,
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day (UTC) that is kept.")],
    what: Annotated[
        str, typer.Option(help="signatures, texts or articles; each includes those before it.")
    ] = "articles",
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """
    Give up what is old: clusters of which nothing was published since a day, with all their articles.

    Without --apply it only counts. `--what signatures` keeps everything that is read, but nothing is compared with
    these articles any more; `--what texts` keeps title, address, time and cluster of each; `--what articles` keeps the
    row and the log of each cluster, so that its id still resolves, and the ledger, so that its files are known if they
    come again. Daemons may be at work meanwhile. SQLite gives the room back to the disk with VACUUM.
    """
    from ingestd.cli import layout, render_admin
    from ingestd.cli.progress_bar import choose_progress

    with report_errors(ctx):
        settings = load_settings(ctx)
        from ingestd.admin import prune as work

        kind = parse_kind(work.PrunedPart, what, "--what")
        show_progress = choose_progress(as_json=as_json)
        with open_database(settings) as database:
            result = work.prune(database, before.date(), kind, apply=apply, show_progress=show_progress)
    layout.print_json(result) if as_json else render_admin.print_pruning(result)


def upgrade_tables(ctx: typer.Context) -> None:
    """Bring the tables up to this program's version."""
    from ingestd.cli import layout

    with report_errors(ctx), open_database(load_settings(ctx), prepare=False) as database:
        database.make_folder()
        database.lock(alone=True)
        database.upgrade()
        version, _ = database.read_revisions()
        layout.print_line(f"{database.name} is at version {version}")


def show_version(ctx: typer.Context, as_json: Json = False) -> None:
    """Show the version of the tables and the one that this program needs."""
    from ingestd.cli import layout
    from ingestd.store.migrations import NEWEST

    with report_errors(ctx), open_database(load_settings(ctx), prepare=False) as database:
        current, needed = (None, NEWEST) if database.is_missing() else database.read_revisions()
    if as_json:
        layout.print_json({"current": current, "needed": needed})
    else:
        layout.print_line(f"tables: {current or 'none yet'}; this program needs {needed}")


def copy_corpus(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="SQLAlchemy URL of the corpus.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="SQLAlchemy URL of an empty database.")],
    as_json: Json = False,
) -> None:
    """
    Copy a corpus into another database, from SQLite to PostgreSQL or back: every row, ids kept, compared at the end.

    The corpus is copied as it is when the command begins, also while a daemon is at work; what it takes in afterwards
    is not in the copy. All is written in one transaction: an interrupted copy leaves the target empty.
    """
    with report_errors(ctx):
        load_settings(ctx)
        from ingestd.admin.copy_database import copy_database
        from ingestd.cli import layout
        from ingestd.cli.progress_bar import choose_progress
        from ingestd.store.database import Database

        with closing(Database(source)) as old, closing(Database(target)) as new:
            old.prepare(create=False)
            new.make_folder()
            new.lock(alone=True)
            new.prepare()
            copied = copy_database(old, new, show_progress=choose_progress(as_json=as_json))
    layout.print_json(copied) if as_json else layout.print_facts(copied)


def _open_for_rebuild(settings: Settings, *, check: bool) -> AbstractContextManager[Database]:
    return open_database(settings) if check else open_for_deciding(settings, alone=True, create=False)
