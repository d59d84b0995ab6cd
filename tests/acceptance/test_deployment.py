"""The files for systemd and containers say what the documentation promises. No service and no container is started."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ingestd.cli import app
from ingestd.daemon.loop import SHUTDOWN_S
from ingestd.settings import load_settings
from ingestd.store.database import Database
from tests.conftest import ROOT

UNIT = ROOT / "deploy/ingestd.service"
MOST_EXPOSED = 3.0  # of 10, as systemd-analyze counts


def read_unit() -> dict[str, list[str]]:
    """Return the values of each key; a key may stand several times."""
    values: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        values.setdefault(key, []).append(value)
    return values


def read_instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line]  # type: ignore[misc]


def read_compose() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return composed


def check_command(words: list[str]) -> None:
    """Check that the program has the command with these options."""
    at = [word for word in words if not word.startswith("-")]
    answer = CliRunner().invoke(app, [at[0], "--help"])
    assert answer.exit_code == 0, words
    assert [word for word in words if word.startswith("--") and word not in answer.output] == []


def test_the_unit_stops_the_daemon_before_its_readers_and_waits_long_enough() -> None:
    unit = read_unit()
    assert unit["KillMode"] == ["mixed"]
    assert int(unit["TimeoutStopSec"][0]) > SHUTDOWN_S
    assert unit["Type"] == ["notify"]
    assert unit["OOMPolicy"] == ["continue"]
    assert "kill -HUP $MAINPID" in unit["ExecReload"][0]


def test_the_unit_says_how_its_user_and_folder_are_made() -> None:
    unit, text = read_unit(), UNIT.read_text()
    (useradd,) = re.findall(r"^#\s+(useradd .*)$", text, re.MULTILINE)
    assert useradd.split()[-1] == unit["User"][0]
    assert f"--home-dir /var/lib/{unit['StateDirectory'][0]}" in useradd
    assert re.search(rf"^#\s+install .*{unit['ReadWritePaths'][0]}$", text, re.MULTILINE)


@pytest.fixture
def copied_unit(tmp_path: Path) -> Path:
    """The unit, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / "ingestd.service"
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", UNIT.read_text()))
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_to_complain_about(copied_unit: Path) -> None:
    done = analyze("verify", "--man=no", str(copied_unit))
    assert [line for line in done.stderr.splitlines() if "ingestd" in line] == []


def test_the_service_is_hardly_exposed(copied_unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", str(copied_unit))
    (level,) = re.findall(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(level) < MOST_EXPOSED
    assert done.returncode == 0


def test_the_image_holds_the_installed_wheel_and_runs_as_a_user_of_its_own() -> None:
    instructions = read_instructions()
    stages = [n for n, (name, _) in enumerate(instructions) if name == "FROM"]
    assert len(stages) == 2
    last = instructions[stages[-1] :]
    copied = [arguments for name, arguments in last if name in ("COPY", "ADD")]
    assert copied == ["--from=build /opt/ingestd /opt/ingestd"]
    by_name = dict(last)
    assert by_name["USER"] == "ingestd"
    assert by_name["VOLUME"] == "/data"
    assert [name for name, _ in last].index("USER") > [name for name, _ in last].index("RUN")
    assert re.search(r"chown ingestd:ingestd .*/data", by_name["RUN"])


def test_the_image_works_without_postgresql(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (environment,) = [arguments for name, arguments in read_instructions() if name == "ENV"]
    monkeypatch.chdir(tmp_path)
    for name, value in (word.split("=", 1) for word in shlex.split(environment)):
        if name.startswith("INGESTD_"):
            monkeypatch.setenv(name, value)
    assert load_settings(None, {}).database.file == Path("/data/ingestd.db")


def test_the_commands_of_the_image_are_there() -> None:
    by_name = dict(read_instructions())
    entry, command = yaml.safe_load(by_name["ENTRYPOINT"]), yaml.safe_load(by_name["CMD"])
    assert entry == ["ingestd"]
    check_command(command)
    program, *asked = yaml.safe_load(by_name["HEALTHCHECK"].partition(" CMD ")[2])
    assert program == "ingestd"
    check_command(asked)


def test_only_what_the_wheel_needs_is_sent_to_the_builder() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word
        for name, arguments in read_instructions()
        if name == "COPY" and not arguments.startswith("--from")
        for word in arguments.split()[:-1]
    }
    assert sent == copied
    assert all((ROOT / name).exists() for name in sent)
    assert any(fnmatch.fnmatch("ingestd/cli/__pycache__", line.replace("**/", "*")) for line in lines[1:])


def test_every_service_has_limits_and_its_log_is_rotated() -> None:
    for name, service in read_compose()["services"].items():
        assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys(), name
        assert service["restart"] == "unless-stopped", name


def test_only_the_database_is_published_and_only_on_this_machine() -> None:
    services = read_compose()["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["postgres"]
    assert all(port.startswith("127.0.0.1:") for port in services["postgres"]["ports"])


def test_volumes_are_declared_and_the_state_of_the_image_is_one_of_them() -> None:
    composed = read_compose()
    named = {volume.partition(":")[0] for service in composed["services"].values() for volume in service["volumes"]}
    assert {name for name in named if not name.startswith(".")} == composed["volumes"].keys()
    assert "data:/data" in composed["services"]["ingestd"]["volumes"]


def test_a_password_of_any_characters_reaches_the_server_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    conninfo = pytest.importorskip("psycopg.pq").Conninfo
    services, password = read_compose()["services"], "p@ss/w:r?d#% '$"
    given = services["ingestd"]["environment"]
    assert given["PGPASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert "$" not in given["INGESTD_DATABASE__URL"]
    monkeypatch.setenv("PGPASSWORD", password)
    (used,) = [option for option in conninfo.get_defaults() if option.keyword == b"password"]
    assert used.val == password.encode()
    database = Database(given["INGESTD_DATABASE__URL"])
    _, options = database.engine.dialect.create_connect_args(database.url)
    assert {"host": "postgres", "user": "ingestd", "dbname": "ingestd"}.items() <= options.items()
    assert "password" not in options
    database.close()
