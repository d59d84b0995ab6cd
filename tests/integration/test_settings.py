"""
The settings: defaults, the file, the environment, and refusals.

    python -m tests.integration.test_settings     writes config/ingestd.toml anew
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from ingestd import settings
from ingestd.errors import SettingsError
from ingestd.settings import Settings
from tests.conftest import ROOT

FILE = ROOT / "config/ingestd.toml"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_file_is_the_one_that_the_settings_describe() -> None:
    assert FILE.read_text() == settings.render_settings_file()


def test_the_file_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads(re.sub(r"^# (workers = )", r"\1", FILE.read_text(), flags=re.M))
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        assert set(shown[section]) == set(model.model_fields), section
    loaded = settings.load_settings(FILE, {}).model_dump(mode="json")
    assert loaded == settings.load_settings(None, {}).model_dump(mode="json")


def test_the_environment_overrides_the_file_and_the_command_line_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[window]\ndays = 5\n[watch]\nquiet_seconds = 9.0\nrescan_seconds = 8.0\n")
    monkeypatch.setenv("INGESTD_WATCH__QUIET_SECONDS", "7")
    monkeypatch.setenv("INGESTD_LOG__LEVEL", "debug")
    loaded = settings.load_settings(file, {"log": {"level": "error"}})
    assert (loaded.window.days, loaded.watch.quiet_seconds, loaded.watch.rescan_seconds) == (5, 7.0, 8.0)
    assert loaded.log.level == "error"


def test_the_file_below_the_current_folder_is_read_by_itself(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/ingestd.toml").write_text("[window]\ndays = 3\n")
    assert settings.load_settings(None, {}).window.days == 3


@pytest.mark.parametrize(
    ("written", "named", "allowed"),
    [
        ("[watch]\nquiet_seconds = 0", "watch.quiet_seconds", "greater than 0"),
        ("[watch]\nafter = 'burn'", "watch.after", "'archive', 'keep' or 'delete'"),
        ("[watch]\nquiet = 1", "watch.quiet", "allowed: roots, quiet_seconds"),
        ("[wacht]\nroots = []", "wacht", "allowed: database, watch"),
        ("[formats]\ntimezone = 'Mars/Olympus'", "formats.timezone", "IANA"),
        ("[window]\ndays = 'many'", "window.days", "integer"),
        ("[log]\nformat = 'xml'", "log.format", "'console' or 'json'"),
        ("days = = 3", "mine.toml", "line 1"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_what_is_allowed(
    tmp_path: Path, written: str, named: str, allowed: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(written)
    with pytest.raises(SettingsError) as refused:
        settings.load_settings(file, {})
    assert named in str(refused.value)
    assert allowed in str(refused.value)


def test_a_variable_that_sets_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGESTD_WATCH__QUIET", "7")
    with pytest.raises(SettingsError, match="INGESTD_WATCH__QUIET"):
        settings.load_settings(None, {})


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        settings.load_settings(tmp_path / "nowhere.toml", {})


def test_a_warning_of_a_library_is_a_line_of_the_log_too(tmp_path: Path) -> None:
    import json
    import subprocess
    import sys

    program = (
        "import warnings; from ingestd import log_config as logs;"
        "logs.configure_logging(logs.LogFormat.JSON, logs.LogLevel.INFO); warnings.warn('old\\nways', DeprecationWarning);"
        "import structlog; structlog.get_logger().info('thing.happened', path='new\\nline')"
    )
    said = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, check=True
    ).stderr
    warning, line = map(json.loads, said.splitlines())
    assert "old" in warning["event"]
    assert (line["event"], line["path"]) == (
        "thing.happened",
        "new\\nline",
    )  # what a terminal must not be sent is escaped


if __name__ == "__main__":
    FILE.write_text(settings.render_settings_file())
