"""The page of the architecture names every room, every module and every layer of the package, and no others."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "ingestd"
PAGE = (ROOT / "docs/architecture.md").read_text()


def read_blocks(language: str) -> list[str]:
    """Return the fenced blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def read_tree() -> dict[str, str]:
    """Return what the tree of the page says of each room and module, by path below the package."""
    (tree,) = [block for block in read_blocks("text") if block.startswith("ingestd/\n")]
    lines: dict[str, str] = {}
    above: list[str] = []  # the folders that a line lies in
    for line in tree.splitlines()[1:]:
        indent, name, description = re.fullmatch(r"( +)([\w./]+)(?: +(\S.*))?", line).groups()  # type: ignore[union-attr]
        above = above[: len(indent) // 2 - 1]
        lines["".join([*above, name])] = description or ""
        above.append(name)
    return lines


def list_rooms_and_modules() -> set[str]:
    """Return the rooms (with a slash at the end) and the modules of the package."""
    rooms = {path.parent for path in PACKAGE.rglob("__init__.py")} - {PACKAGE}
    modules = {path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and path.parent.name != "versions"}
    return {f"{room.relative_to(PACKAGE)}/" for room in rooms} | {str(path.relative_to(PACKAGE)) for path in modules}


def test_the_tree_shows_every_room_and_module_and_no_others() -> None:
    shown, there = set(read_tree()), list_rooms_and_modules()
    assert sorted(there - shown) == [], "missing on the page"
    assert sorted(shown - there) == [], "on the page only"


def test_the_tree_says_something_of_each_in_one_line() -> None:
    assert [path for path, description in read_tree().items() if len(description.split()) < 2] == []
    assert [line for block in read_blocks("text") for line in block.splitlines() if len(line) > 120] == []


def test_the_layers_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    (shown,) = [block for block in read_blocks("text") if block.startswith("__main__")]
    assert [line.split("  ")[0] for line in shown.splitlines()] == layers


def test_every_path_and_name_on_the_page_exists() -> None:
    names = re.findall(r"`([\w./]+)`", PAGE)
    paths = {name for name in names if name.endswith((".py", ".md", ".toml", "/"))}
    assert [path for path in sorted(paths) if not (PACKAGE / path).exists() and not (ROOT / path).exists()] == []
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    words = {word for name in set(names) - paths for word in name.split(".")}
    assert [word for word in sorted(words) if not re.search(rf"\b{word}\b", source)] == []


GLOSSARY = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| `([\w.]+)(?::([\w.]+))?` \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE
)


def test_every_term_of_the_glossary_is_listed_once() -> None:
    terms = [term for term, *_ in GLOSSARY]
    assert len(terms) >= 30
    assert [term for term in terms if terms.count(term) > 1] == []


@pytest.mark.parametrize(("term", "module", "name"), [(term, module, name) for term, _, module, name in GLOSSARY])
def test_every_term_of_the_glossary_is_in_the_code(term: str, module: str, name: str) -> None:
    found: object = import_module(f"ingestd.{module}")
    for part in filter(None, name.split(".")):
        assert hasattr(found, part), f"{term}: {module} has no {name}"
        found = getattr(found, part)
