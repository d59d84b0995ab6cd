"""The command line: reads the settings, calls what does the work, and shows the answer."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ingestd import __version__
from ingestd.errors import CannotStartError, IngestdError, NotFoundError, SettingsError

if TYPE_CHECKING:  # what a command needs, it imports when it runs: --help stays quick
    from sqlalchemy import Connection

    from ingestd.progress import Counts
    from ingestd.settings import Settings
    from ingestd.store.database import Database

_Kind = TypeVar("_Kind", bound=StrEnum)
_COLLECT_AFTER = 50_000  # objects made and not freed
_EVERYWHERE = ("--config", "--db", "--log-format")
_EPILOG = "Everywhere, before or after the command: --config FILE, --db URL, --log-format console|json."

app = typer.Typer(
    help="Watch a folder of news articles. Find copies, and articles on the same event. Query them with SQL.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
show = typer.Typer(help="Everything about one cluster, article or file.", no_args_is_help=True, epilog=_EPILOG)
db = typer.Typer(help="The tables: their version, and bringing them up to date.", no_args_is_help=True, epilog=_EPILOG)
app.add_typer(show, name="show")
app.add_typer(db, name="db")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Watch = Annotated[
    list[Path] | None, typer.Option("--watch", metavar="DIR", help="A folder to watch; may be given several times.")
]
_given: dict[str, dict[str, Any]] = {}
_config: list[Path] = []


def everywhere_first(arguments: Sequence[str]) -> list[str]:
    """Move the options that are allowed everywhere in front of the command, where the parser expects them."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in _EVERYWHERE:
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        elif argument.startswith(tuple(f"{name}=" for name in _EVERYWHERE)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


@app.callback(invoke_without_command=True)
def everywhere(
    config: Annotated[
        Path | None, typer.Option(help="Settings file.  [default: config/ingestd.toml, if there]")
    ] = None,
    db: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL of the database.  [default: sqlite:///data/ingestd.db]")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Remember what was given for all commands."""
    if version:
        typer.echo(f"ingestd {__version__}")
        raise typer.Exit
    _given.clear()
    _config[:] = [config] if config else []
    if db is not None:
        _given["database"] = {"url": db}
    if log_format is not None:
        _given["log"] = {"format": log_format}


@app.command(epilog=_EPILOG)
def run(watch: Watch = None) -> None:
    """
    Watch folders and take in what is dropped there, until SIGTERM or Ctrl-C. SIGHUP reads the settings anew.

    A file is taken up when it is complete: at once if it was renamed into place, else when it has not changed for
    watch.quiet_seconds. Afterwards it is moved to DIR/.ingestd/archive, or to DIR/.ingestd/quarantine with the reason
    beside it. Nothing is ever deleted unless watch.after = "delete".
    """
    with _reporting():
        settings = _settings(watch=watch)
        if not settings.watch.roots:
            raise SettingsError("watch.roots: no folder to watch; give one with --watch DIR")
        _start_readers(settings)
        from ingestd.daemon import Daemon

        with _writer(settings) as database:
            Daemon(settings, database, reload=lambda: _loaded(watch)).run()


@app.command(epilog=_EPILOG)
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
    with _reporting():
        settings = _settings()
        _start_readers(settings)
        from ingestd.once import ingest_paths

        with _writer(settings) as database:
            counts = ingest_paths(settings, database, paths, progress=not as_json and sys.stderr.isatty())
    _report_ingest(counts, profile=profile, as_json=as_json)
    raise typer.Exit(1 if counts.quarantined else 0)


@app.command(epilog=_EPILOG)
def status(as_json: Json = False) -> None:
    """Show how much there is of everything, and how far behind the work is."""
    from ingestd import display
    from ingestd.store import queries

    with _reading() as connection:
        found = queries.status(connection, _settings().window.days)
    display.as_json(found) if as_json else display.status(found)


@app.command(epilog=_EPILOG)
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
    from ingestd import display
    from ingestd.store import queries

    with _reading() as connection:
        found = queries.clusters(
            connection,
            min_articles=min_articles,
            since=since.replace(tzinfo=UTC) if since else None,
            outlet=outlet,
            lang=lang,
            limit=limit,
            largest=largest,
        )
    display.as_json(found) if as_json else display.clusters(found)


@show.command("cluster", epilog=_EPILOG)
def show_cluster(cluster: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show a cluster, its members and its history. An id that was merged away leads to where it went."""
    from ingestd import display
    from ingestd.store import queries

    with _reading() as connection:
        found = queries.cluster(connection, cluster)
    display.as_json(found) if as_json else display.cluster(found)


@show.command("article", epilog=_EPILOG)
def show_article(
    article: Annotated[str, typer.Argument(metavar="ARTICLE", help="Id, URL, external id or file name.")],
    as_json: Json = False,
) -> None:
    """Show an article: where it came from, where it belongs, and its text."""
    from ingestd import display
    from ingestd.store import queries

    with _reading() as connection:
        found = queries.article(connection, article)
    display.as_json(found) if as_json else display.article(found)


@show.command("file", epilog=_EPILOG)
def show_file(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Below its root, in full, or the bare name.")],
    as_json: Json = False,
) -> None:
    """Show what became of a file, every version of it, and which of its records were left out."""
    from ingestd import display
    from ingestd.store import queries

    with _reading() as connection:
        found = queries.file(connection, path)
    display.as_json(found) if as_json else display.file(found)


@app.command(epilog=_EPILOG)
def why(
    article: Annotated[str, typer.Argument(metavar="ARTICLE", help="Id, URL, external id or file name.")],
    other: Annotated[str | None, typer.Argument(metavar="[ARTICLE]", help="Another one to compare it with.")] = None,
    as_json: Json = False,
) -> None:
    """Show why an article is where it is; with two, why they are together or not."""
    from ingestd import display, explain

    with _reading() as connection:
        found = explain.one(connection, article) if other is None else explain.two(connection, article, other)
    if as_json:
        display.as_json(found)
    elif other is None:
        display.why_one(found)
    else:
        display.why_two(found)


@app.command(epilog=_EPILOG)
def files(
    state: Annotated[
        str | None, typer.Option(help="claimed, stored, duplicate, quarantined, deferred or vanished.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only files quarantined for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the ledger of files, newest first."""
    from ingestd import display
    from ingestd.store import queries
    from ingestd.store.tables import FileState

    with _reading() as connection:
        if state is not None and state not in list(FileState):
            raise SettingsError(f"--state {state}: allowed: {', '.join(FileState)}")
        found = queries.files(connection, FileState(state) if state else None, reason, limit)
    display.as_json(found) if as_json else display.files(found)


@app.command(epilog=_EPILOG)
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
    with _reporting():
        if not paths and not reason and not everything:
            raise SettingsError("retry: name files, a --reason, or --all")
        from ingestd import display
        from ingestd.once import put_back

        with _database(_settings()) as database:
            put, kept = put_back(database, paths or [], reason)
    if as_json:
        display.as_json({"put_back": put, "not_put_back": kept})
        return
    typer.echo(f"{len(put)} files will be taken up again.")
    for path, problem in kept:
        typer.echo(f"{path}: {problem}", err=True)


@app.command(epilog=_EPILOG)
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
    from ingestd import export as work
    from ingestd.terminal import bar

    with _reading() as connection:
        chosen = _one_of(work.What, what, "--what")
        written_as = _one_of(work.Form, form, "--format") if form else work.form_of(out)
        with bar("rows", work.count(connection, chosen), shown=sys.stderr.isatty()) as advance:
            written = work.export(connection, chosen, written_as, out, advance)
    typer.echo(f"{written:,} rows in {out}", err=True)


@app.command(epilog=_EPILOG)
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
    from ingestd import display

    with _reporting():
        settings = _settings()
        from ingestd.rebuild import rebuild as rebuilt

        with _database(settings) if check else _writer(settings, alone=True) as database:
            found = rebuilt(settings, database, check=check, progress=not as_json and sys.stderr.isatty())
    display.as_json(found) if as_json else display.rebuilt(found, check=check)


@app.command(epilog=_EPILOG)
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
    from ingestd import display

    with _reporting():
        settings = _settings()
        from ingestd.prune import What
        from ingestd.prune import prune as pruned

        kind = _one_of(What, what, "--what")
        with _database(settings) as database:
            shown = not as_json and sys.stderr.isatty()
            found = pruned(database, before.date(), kind, apply=apply, progress=shown).plain()
    display.as_json(found | {"applied": apply}) if as_json else display.pruned(found, applied=apply)


@app.command(epilog=_EPILOG)
def evaluate(
    gold: Annotated[Path, typer.Argument(metavar="GOLD.jsonl", help="A record a line, with `id` and `event`.")],
    as_json: Json = False,
) -> None:
    """
    Compare the clusters with a sample that people have labelled: B-cubed, pairwise F1, adjusted Rand index.

    `id` is an article's external id, URL or number; `event` any name that articles on one event share.
    """
    from ingestd import display
    from ingestd.evaluate import evaluate as evaluated

    with _reading() as connection:
        found = evaluated(connection, gold)
    display.as_json(found) if as_json else display.figures(found)


@app.command(epilog=_EPILOG)
def check(watch: Watch = None, as_json: Json = False) -> None:
    """Look for what will not work, before the first file: settings, folders, inotify, database. Ends with 1 if so."""
    from ingestd import display
    from ingestd.check import Grade, findings

    with _reporting():
        settings = _settings(watch=watch)
        found = [finding.plain() for finding in findings(settings, settings.watch.roots)]
    display.as_json(found) if as_json else display.findings(found)
    raise typer.Exit(1 if any(finding["grade"] == Grade.ERROR for finding in found) else 0)


@app.command(epilog=_EPILOG)
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
    from ingestd import display
    from ingestd import fsck as work
    from ingestd.terminal import bar

    with _reading() as connection:
        shown = not as_json and sys.stderr.isatty()
        with bar("looking", work.total(connection), shown=shown) as advance:
            found = [problem.plain() for problem in work.problems(connection, hashes=hashes, advance=advance)]
    display.as_json(found) if as_json else display.problems(found)
    raise typer.Exit(1 if found else 0)


@db.command("upgrade", epilog=_EPILOG)
def db_upgrade() -> None:
    """Bring the tables up to this program's version."""
    with _reporting(), _database(_settings(), prepare=False) as database:
        database.make_folder()
        database.lock(alone=True)
        database.upgrade()
        typer.echo(f"{database.url!r} is at version {database.revisions()[0]}")


@db.command("current", epilog=_EPILOG)
def db_current(as_json: Json = False) -> None:
    """Show the version of the tables and the one that this program needs."""
    with _reporting(), _database(_settings(), prepare=False) as database:
        current, needed = database.revisions()
    if as_json:
        from ingestd import display

        display.as_json({"current": current, "needed": needed})
    else:
        typer.echo(f"tables: {current or 'none yet'}; this program needs {needed}")


@db.command("copy", epilog=_EPILOG)
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
    with _reporting():
        _settings()
        from ingestd import display
        from ingestd.move import move
        from ingestd.store.database import Database

        with closing(Database(source)) as old, closing(Database(target)) as new:
            old.prepare()
            new.make_folder()
            new.lock(alone=True)
            new.prepare()
            copied = move(old, new, progress=not as_json and sys.stderr.isatty())
    display.as_json(copied) if as_json else display.figures(copied)


def _loaded(watch: Sequence[Path] | None) -> Settings:
    from ingestd import settings

    overrides = {**_given, **({"watch": {"roots": list(watch)}} if watch else {})}
    return settings.load(_config[0] if _config else None, overrides)


def _settings(watch: Sequence[Path] | None = None) -> Settings:
    from ingestd import logs

    loaded = _loaded(watch)
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded


@contextmanager
def _database(settings: Settings, *, prepare: bool = True) -> Iterator[Database]:
    from ingestd.store.database import Database

    database = Database(settings.database.url)
    try:
        if prepare:
            database.prepare()
        yield database
    finally:
        database.close()


def _start_readers(settings: Settings) -> None:
    """Begin, before the heavy imports, with what takes as long as they do."""
    if settings.ingest.workers:
        from ingestd import forkserver

        forkserver.start()


@contextmanager
def _writer(settings: Settings, *, alone: bool = False) -> Iterator[Database]:
    # What a batch makes lives until it is written, and what the window holds for days: to look through all of it for
    # garbage as often as is usual takes a twentieth of the time.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    with _database(settings, prepare=False) as database:
        database.make_folder()
        database.lock(alone=alone)
        database.prepare()
        yield database


@contextmanager
def _reading() -> Iterator[Connection]:
    with _reporting(), _database(_settings()) as database, database.reading() as connection:
        yield connection


@contextmanager
def _reporting() -> Iterator[None]:
    """Say what is wrong in one sentence, and end with 2: nothing was done."""
    try:
        yield
    except (SettingsError, CannotStartError, NotFoundError) as error:
        typer.echo(f"ingestd: {error}", err=True)
        raise typer.Exit(2) from error
    except IngestdError as error:
        typer.echo(f"ingestd: {error}", err=True)
        raise typer.Exit(1) from error


def _one_of(kinds: type[_Kind], given: str, option: str) -> _Kind:
    try:
        return kinds(given)
    except ValueError as error:
        raise CannotStartError(f"{option} {given}: allowed are {', '.join(kinds)}") from error


def _report_ingest(counts: Counts, *, profile: bool, as_json: bool) -> None:
    from ingestd import display

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
        display.as_json(summary)
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
