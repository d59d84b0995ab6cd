"""
The documentation says what is true: commands and tables are generated, statements run.

    python -m tests.acceptance.test_docs     writes docs/commands.md and docs/tables.md anew
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
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


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands_page())
    (DOCS / "tables.md").write_text(tables_page())
