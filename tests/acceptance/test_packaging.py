"""
The versions of libraries that the package names are those that the tests run with.

    python -m tests.acceptance.test_packaging     writes constraints-lowest.txt anew
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.conftest import ROOT

LOWEST = ROOT / "constraints-lowest.txt"
EXTRAS = ("dev", "parquet", "postgres")  # what `make test-lowest` installs, and what users install
# Libraries of libraries: htmldate 1.11 needs a later charset-normalizer.
ONLY_LOWEST = {"htmldate": "1.10.0"}


def read_pins(path: Path) -> dict[str, str]:
    """Return the version of each library in a constraints file."""
    return dict(line.split("==") for line in path.read_text().splitlines())


def normalise_name(name: str) -> str:
    """Return the name of a library as every registry spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lower_bounds() -> dict[str, str]:
    """Return the lower bound of each direct dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = {}
    for requirement in [*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]:
        name, bound = re.match(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)(?:,<[\w.]+)?$", requirement).groups()  # type: ignore[union-attr]
        bounds[normalise_name(name)] = bound
    return bounds


def derive_lowest_pins() -> dict[str, str]:
    """Return the pins of the lowest versions: the bound of a direct dependency, for the others the usual pin."""
    bounds, pins = read_lower_bounds(), {normalise_name(name): name for name in read_pins(ROOT / "constraints.txt")}
    usual = read_pins(ROOT / "constraints.txt")
    lowest = {spelt: bounds.get(name, usual[spelt]) for name, spelt in pins.items()}
    # The binary half of psycopg goes with it.
    return {**lowest, "psycopg-binary": bounds["psycopg"], **ONLY_LOWEST}


def lowest_page() -> str:
    pins = derive_lowest_pins()
    return "".join(f"{name}=={pins[name]}\n" for name in sorted(pins, key=str.lower))


def test_the_lowest_versions_that_are_tested_are_the_lowest_that_are_allowed() -> None:
    assert LOWEST.read_text() == lowest_page()


def test_every_direct_dependency_is_pinned() -> None:
    pinned = {normalise_name(name) for name in read_pins(ROOT / "constraints.txt")}
    assert set(read_lower_bounds()) <= pinned


if __name__ == "__main__":
    LOWEST.write_text(lowest_page())
