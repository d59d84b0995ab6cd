"""Commands that look after a corpus: checks, decisions made anew, what is old, and the tables."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import datetime
from typing import Annotated

import typer

from ingestd.cli.session import Json, Watch, one_of, open_database, reading, reporting, settings_of, writing_process


def check(watch: Watch = None, as_json: Json = False) -> None:
    """Look for what will not work, before the first file: settings, folders, inotify, database. Ends with 1 if so."""
    from ingestd.admin.preflight import Grade, findings
    from ingestd.cli import render

    with reporting():
        settings = settings_of(watch=watch)
        found = [finding.plain() for finding in findings(settings, settings.watch.roots)]
    render.as_json(found) if as_json else render.findings(found)
    raise typer.Exit(1 if any(finding["grade"] == Grade.ERROR for finding in found) else 0)


def fsck(
    hashes: Annotated[bool, typer.Option("--hash", help="Read every archived file, not only its size.")] = False,
    as_json: Json = False,
) -> None:
    """
    Compare the ledger with the disk and the articles. Changes nothing; exit 1 if something is wrong.

    Finds archived files that are gone, changed or unknown, texts that are not what was stored, articles without file,
    cluster or signature, and counts that do not add up. `ingestd rebuild` mends signatures, copies and clusters; a file
    that is gone can be dropped into the folder again.
    """
    from ingestd.admin import fsck as work
    from ingestd.cli import render
    from ingestd.progress_bar import bar

    with reading() as connection:
        shown = not as_json and sys.stderr.isatty()
        with bar("looking", work.total(connection), shown=shown) as advance:
            found = [problem.plain() for problem in work.problems(connection, hashes=hashes, advance=advance)]
    render.as_json(found) if as_json else render.problems(found)
    raise typer.Exit(1 if found else 0)


def rebuild(
    check: Annotated[bool, typer.Option("--check", help="Only compare with what is stored; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """
    Derive copies and clusters anew from the stored articles, as if all had come in the order of their dates.

    The result takes the place of the old one in one transaction at the end. Clusters keep their ids as far as they are
    the same; every id ever given still resolves. Worth it after an upgrade, or after years of late arrivals. --check
    tells how much would change, also while a daemon is at work.
    """
    from ingestd.cli import render

    with reporting():
        settings = settings_of()
        from ingestd.admin.rebuild import rebuild as rebuilt

        with open_database(settings) if check else writing_process(settings, alone=True) as database:
            found = rebuilt(settings, database, check=check, progress=not as_json and sys.stderr.isatty())
    render.as_json(found) if as_json else render.rebuilt(found, check=check)


def prune(
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
    from ingestd.cli import render

    with reporting():
        settings = settings_of()
        from ingestd.admin.prune import What
        from ingestd.admin.prune import prune as pruned

        kind = one_of(What, what, "--what")
        with open_database(settings) as database:
            shown = not as_json and sys.stderr.isatty()
            found = pruned(database, before.date(), kind, apply=apply, progress=shown).plain()
    render.as_json(found | {"applied": apply}) if as_json else render.pruned(found, applied=apply)


def db_upgrade() -> None:
    """Bring the tables up to this program's version."""
    with reporting(), open_database(settings_of(), prepare=False) as database:
        database.make_folder()
        database.lock(alone=True)
        database.upgrade()
        typer.echo(f"{database.url!r} is at version {database.read_revisions()[0]}")


def db_current(as_json: Json = False) -> None:
    """Show the version of the tables and the one that this program needs."""
    with reporting(), open_database(settings_of(), prepare=False) as database:
        current, needed = database.read_revisions()
    if as_json:
        from ingestd.cli import render

        render.as_json({"current": current, "needed": needed})
    else:
        typer.echo(f"tables: {current or 'none yet'}; this program needs {needed}")


def db_copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="SQLAlchemy URL of the corpus.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="SQLAlchemy URL of an empty database.")],
    as_json: Json = False,
) -> None:
    """
    Copy a corpus into another database, from SQLite to PostgreSQL or back: every row, ids kept, compared at the end.

    The corpus is copied as it is when the command begins, also while a daemon is at work; what it takes in afterwards
    is not in the copy. All is written in one transaction: an interrupted copy leaves the target empty.
    """
    with reporting():
        settings_of()
        from ingestd.admin.copy_database import move
        from ingestd.cli import render
        from ingestd.store.database import Database

        with closing(Database(source)) as old, closing(Database(target)) as new:
            old.prepare()
            new.make_folder()
            new.lock(alone=True)
            new.prepare()
            copied = move(old, new, progress=not as_json and sys.stderr.isatty())
    render.as_json(copied) if as_json else render.figures(copied)
