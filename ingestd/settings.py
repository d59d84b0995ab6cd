"""
Every setting, its default, unit and meaning. `config/ingestd.toml` shows them all; a test holds the two together.

Order of precedence: command line, environment (`INGESTD_WATCH__QUIET_SECONDS=2`), the file given with `--config`,
`config/ingestd.toml` below the current folder, the defaults here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ingestd.errors import SettingsError
from ingestd.log_config import LogFormat, LogLevel

DEFAULT_FILE = Path("config/ingestd.toml")
_PREFIX = "INGESTD_"
# What a record can say of an article; formats/fields.py knows the usual names of each.
RECORD_FIELDS = ("title", "text", "published", "url", "outlet", "authors", "lang", "external_id")
_NOT_SETTINGS = ("INGESTD_TEST_",)  # read by the tests


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("allowed: a name of the IANA time zone database, such as Europe/Berlin or UTC") from error
    return name


_Mode = Literal["auto", "inotify", "poll"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """Where articles and clusters are kept."""

    url: str = Field(
        "sqlite:///data/ingestd.db", description="SQLAlchemy URL: sqlite:///FILE or postgresql+psycopg://..."
    )
    lease_seconds: float = Field(
        300, gt=0, description="after this long without a word, a claimed file may be taken over"
    )
    retry_seconds: float = Field(30, gt=0, description="longest pause between attempts when database or disk are away")


class WatchSettings(_Section):
    """The folders and when a file in them is complete."""

    roots: tuple[Path, ...] = Field((), description="folders to watch; --watch replaces them")
    quiet_seconds: float = Field(
        1.0, gt=0, description="a file unchanged for this long is complete; a renamed one at once"
    )
    rescan_seconds: float = Field(30.0, gt=0, description="every folder is read in full this often, events or not")
    mode: _Mode = Field(
        "auto", description="auto: events, reading more often where none come; inotify; poll: read only"
    )
    modes: dict[Path, _Mode] = Field(default_factory=dict, description="of single folders, where it is another")
    done_suffix: str = Field(
        "", pattern=r"^[^/]*$", description="a file is complete when another of its name with this ending is there"
    )
    ignore: tuple[str, ...] = Field((), description="further name patterns to leave alone, such as *.lock")
    after: Literal["archive", "keep", "delete"] = Field(
        "archive", description="finished files: move below .ingestd/archive, leave in place, or delete"
    )


class IngestSettings(_Section):
    """How much is done at once."""

    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=0,
        description="processes that read and fingerprint; 0: in the main process; default: as many as there are cores",
    )
    batch_files: int = Field(
        512, ge=1, le=4096, description="files taken up at a time, and stored together if they are small"
    )


class FormatSettings(_Section):
    """How files are understood."""

    timezone: Annotated[str, AfterValidator(_known_zone)] = Field("UTC", description="of dates that name none")
    max_file_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1,
        description="of what must be in memory as a whole: a page, a JSON array, a feed, a line, a file in an archive",
    )
    max_records: int = Field(1_000_000, ge=1, description="records in one file; the rest of it is not read")
    max_unpacked_bytes: int = Field(64 * 1024**3, ge=1, description="that a compressed file may unpack to")
    max_unpack_ratio: int = Field(200, ge=1, description="of unpacked to packed bytes; beyond 64 MiB more is a bomb")
    max_members: int = Field(100_000, ge=1, description="files in one archive")
    keys: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="further names of the fields of a record, tried before the known ones; outer.inner reaches inside",
    )

    @field_validator("keys")
    @classmethod
    def _known_fields(cls, keys: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if unknown := sorted(set(keys) - set(RECORD_FIELDS)):
            raise ValueError(f"no such field: {', '.join(unknown)}; allowed: {', '.join(RECORD_FIELDS)}")
        return keys


class WindowSettings(_Section):
    """Which articles a new one is compared with."""

    days: int = Field(30, ge=1, le=3650, description="articles published further apart are never compared")
    quiet_days: int = Field(7, ge=1, le=3650, description="a cluster that got no article for so long is closed")
    max_articles: int = Field(
        500_000, ge=1000, description="held in memory, about 2.9 kB each; days unused longest go first"
    )


class LogSettings(_Section):
    """What is said on standard error."""

    format: LogFormat = Field(LogFormat.CONSOLE, description="console: for people; json: a JSON object a line")
    level: LogLevel = Field(LogLevel.INFO, description="debug, info, warning or error")


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )
    _file: ClassVar[Path | None] = None

    database: DatabaseSettings = DatabaseSettings()
    watch: WatchSettings = WatchSettings()
    ingest: IngestSettings = IngestSettings()
    formats: FormatSettings = FormatSettings()
    window: WindowSettings = WindowSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the command line, then the environment, then the file."""
        file = TomlConfigSettingsSource(settings_cls, cls._file) if cls._file else None
        return tuple(source for source in (init_settings, env_settings, file) if source is not None)


def load_settings(file: Path | None, overrides: dict[str, dict[str, Any]]) -> Settings:
    """
    Return the settings in force.

    Args:
        file: given with --config; None: `config/ingestd.toml` if there is one.
        overrides: by section, from the command line.

    Raises:
        SettingsError: names the setting, says what is wrong with it and what is allowed.
    """
    if file is not None and not file.is_file():
        raise SettingsError(f"{file}: no such settings file")
    _refuse_unknown_variables()
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    from_file = type("Settings", (Settings,), {"_file": chosen, "__annotations__": {"_file": ClassVar[Path | None]}})
    try:
        return from_file(**overrides)  # type: ignore[no-any-return] # type() is untyped
    except ValidationError as error:
        raise SettingsError("\n".join(_explained(problem) for problem in error.errors())) from error
    except ValueError as error:  # TOML that does not parse
        raise SettingsError(f"{chosen}: {error}") from error


def _explained(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        section = Settings.model_fields.get(str(problem["loc"][0]))
        known = getattr(section.annotation, "model_fields", {}) if section else Settings.model_fields
        return f"{name}: there is no such setting; allowed: {', '.join(known)}"
    return f"{name}: {problem['msg']} (given: {problem['input']!r})"


def _refuse_unknown_variables() -> None:
    known = {
        f"{_PREFIX}{section}__{name}".upper()
        for section, field in Settings.model_fields.items()
        for name in getattr(field.annotation, "model_fields", {})
    }
    for name in os.environ:
        if name.startswith(_PREFIX) and not name.startswith(_NOT_SETTINGS) and name.upper() not in known:
            raise SettingsError(f"{name}: there is no such setting; allowed: {', '.join(sorted(known))}")
