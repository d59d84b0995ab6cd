"""
The documentation says what is true: commands and tables are generated, statements run.

    python -m tests.acceptance.test_docs     writes docs/commands.md and docs/tables.md anew
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from ingestd.cli import app
from ingestd.formats import fields
from ingestd.store.tables import Base
from tests.conftest import ROOT, Corpus

DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


def command_names(of: typer.Typer, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield before
    for command in of.registered_commands:
        assert command.callback is not None
        yield (*before, command.name or command.callback.__name__)
    for group in of.registered_groups:
        assert group.typer_instance is not None
        assert group.name is not None
        yield from command_names(group.typer_instance, (*before, group.name))


def commands_page() -> str:
    """All commands, in the words of their help."""
    pages = ["# Commands\n\nIn the words of `--help`; every listing takes `--json`.\n"]
    for names in command_names(app):
        answer = CliRunner().invoke(app, [*names, "--help"], prog_name="ingestd", env={"COLUMNS": "100"})
        assert answer.exit_code == 0, answer.output
        help_ = "\n".join(line.rstrip() for line in answer.output.strip().splitlines())
        pages.append(f"##{'#' * len(names)} {' '.join(('ingestd', *names))}\n\n```\n{help_}\n```\n")
    return "\n".join(pages)


def tables_page() -> str:
    """All tables, with what their models say of them."""
    pages = ["# Tables\n\nAll times are UTC. Columns may be added; none is renamed.\n"]
    source = (ROOT / "ingestd/store/tables.py").read_text()
    for mapper in sorted(Base.registry.mappers, key=lambda m: source.index(f"class {m.class_.__name__}(")):
        body = source[source.index(f"class {mapper.class_.__name__}(") :]
        pages.append(
            f"## {mapper.local_table.name}\n\n{(mapper.class_.__doc__ or '').strip()}\n\n| column | type | |\n|---|---|---|"
        )  # type: ignore[attr-defined]
        for column in mapper.local_table.columns:
            found = re.search(rf"^    {column.name}: .*?(?:# (.*))?$", body, re.MULTILINE)
            kind = type(column.type).__name__.removeprefix("Utc")
            pages.append(
                f"| `{column.name}` | {kind}{'' if column.nullable else ', not null'} | {(found and found.group(1)) or ''} |"
            )
        pages.append("")
    return "\n".join(pages)


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    assert (DOCS / "commands.md").read_text() == commands_page()


def test_the_page_of_tables_is_what_the_tables_are() -> None:
    assert (DOCS / "tables.md").read_text() == tables_page()


def test_every_statement_of_the_cookbook_and_the_readme_runs(corpus_on_each: Corpus) -> None:
    shutil.copytree(
        ROOT / "seeds",
        corpus_on_each.folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*.csv", "*.py", "__pycache__"),
    )
    corpus_on_each.ingest()
    statements = [
        statement
        for page in (DOCS / "sql.md", ROOT / "README.md")
        for block in re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
        for statement in block.split(";")
        if "SELECT" in statement
    ]
    assert len(statements) >= 16
    with corpus_on_each.database.begin_read() as connection:
        found = [len(connection.execute(text(statement)).all()) for statement in statements]
    assert sum(map(bool, found)) >= len(found) - 2  # no revisions among the seeds


def test_every_key_that_is_read_is_documented() -> None:
    page = (DOCS / "files.md").read_text()
    assert [key for keys in fields.KEYS.values() for key in keys if f"`{key}`" not in page] == []


def headings(page: Path) -> set[str]:
    """The anchors that a page offers, as GitHub makes them of its headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page.read_text()):
        assert (page.parent / target).exists(), target
        assert not anchor or anchor in headings(page.parent / target if target else page), anchor


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / target).resolve() for target in re.findall(r"\]\((?!http)([^)#]+)", README.read_text())}
    assert [page.name for page in PAGES if page != README and page not in linked] == []


def test_every_target_of_make_that_the_pages_name_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named
    assert named - targets == set()


def test_every_figure_of_the_readme_stands_on_the_page_that_its_row_leads_to() -> None:
    section = README.read_text().partition("## How good, how fast")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \| (.*) \| \[\w+\]\(([^)#]+)", section, re.MULTILINE)
    assert len(rows) >= 6
    for question, result, page in rows:
        there = re.findall(r"[\d.,]*\d", (ROOT / page).read_text())
        figures = re.findall(r"[\d.,]*\d", f"{question} {re.sub(r'[(].*?[)]', '', result)}")
        assert [figure for figure in figures if figure not in there] == [], question


def test_the_run_that_the_readme_shows_comes_out_as_shown(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("*.csv", "*.py", "__pycache__")
    shutil.copytree(ROOT / "seeds", tmp_path / "seeds", ignore=ignored)
    (block,) = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command = re.match(r'[^"\n]*(?:"[^"]*")?[^"\n]*\n', part)
        assert command
        want, got = part[command.end() :], run_in_shell(command[0], tmp_path)
        assert checker.check_output(want, got, flags), f"{command[0]}\n{got}"


def run_in_shell(command: str, folder: Path) -> str:
    """Run one command of an example as a user would; return what it prints. SQLite's shell may not be there."""
    if command.startswith("sqlite3 "):
        _, path, statement = shlex.split(command)
        with closing(sqlite3.connect(folder / path)) as database:
            return "\n".join("|".join(map(str, row)) for row in database.execute(statement))
    environment = os.environ | {"COLUMNS": "110", "PYTHON": sys.executable}
    done = subprocess.run(
        ["sh", "-c", command.replace("ingestd ", '"$PYTHON" -m ingestd ', 1)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands_page())
    (DOCS / "tables.md").write_text(tables_page())
