"""
Every setting with default, unit and meaning. `config/ingestd.toml` is written from here; a test holds both together.

Order of precedence: command line, environment (`INGESTD_WATCH__QUIET_SECONDS=2`), the file given with `--config`,
`config/ingestd.toml` below the current folder, the defaults here.
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ingestd.errors import SettingsError
from ingestd.log_config import LogFormat, LogLevel

DEFAULT_FILE = Path("config/ingestd.toml")
_PREFIX = "INGESTD_"
# Fields of a record; formats/fields.py has the usual names of each field.
RECORD_FIELDS = ("title", "text", "published", "url", "outlet", "authors", "lang", "external_id")
_FILE_WIDTH = 118  # columns of a comment
_FILE_HEADER = """\
# Every setting of ingestd with its default. `ingestd` reads this file from ./config, or another with --config FILE.
# The environment overrides the file (INGESTD_WATCH__QUIET_SECONDS=2), and options of the command line override both.
# An unknown setting, or a value out of bounds, is refused with its name."""
# Upper bounds: beyond them a value is a slip of the keyboard, and some would overflow a clock, a column or a buffer.
_DAY_S = 86_400.0
_MOST_WORKERS = 1024  # processes; more than the cores of any one machine in use
_MOST_COUNTED = 2**31 - 1  # an INTEGER of PostgreSQL
_LEAST_MEMORY = 512 * 1024**2  # twice what a reading process holds before the first file
_MOST_BYTES = 2**50  # 1 PiB; a read of 2**63 bytes overflows
_MAY_HOLD_PASSWORD = ("database", "database.url")
_NOT_SETTINGS = ("INGESTD_TEST_",)  # read by the tests


def _validate_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("allowed: a name of the IANA time zone database, such as Europe/Berlin or UTC") from error
    return name


_Mode = Literal["auto", "inotify", "poll"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """The database of articles and clusters."""

    url: str = Field(
        "sqlite:///data/ingestd.db",
        repr=False,  # it may hold a password
        description="SQLAlchemy URL. SQLite needs nothing else; for PostgreSQL: postgresql+psycopg://USER@HOST/NAME "
        "(ingestd[postgres]).",
    )
    lease_seconds: float = Field(
        300.0,
        gt=0,
        le=_DAY_S,
        description="Seconds without a sign of life from a process until other processes may take over "
        "its claimed files.",
    )
    retry_seconds: float = Field(
        30.0,
        gt=0,
        le=_DAY_S,
        description="Seconds, the longest pause between attempts while the database or the disk is away.",
    )

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None: another database, or one in memory."""
        kind, _, path = self.url.partition(":///")
        path = unquote(path.partition("?")[0])
        return Path(path) if kind.startswith("sqlite") and path not in ("", ":memory:") else None


class WatchSettings(_Section):
    """The folders, and the sign of a complete file."""

    roots: tuple[Path, ...] = Field(
        (), description="Folders to watch, with all folders below. --watch replaces the list."
    )
    quiet_seconds: float = Field(
        1.0,
        gt=0,
        le=_DAY_S,
        description="Seconds without a change after which a file is complete. A file renamed into place is complete at "
        "once.",
    )
    rescan_seconds: float = Field(
        30.0,
        gt=0,
        le=_DAY_S,
        description="Seconds between readings of the folders in full, which find files without events.",
    )
    recheck_seconds: float = Field(
        3600.0,
        ge=0,
        description="Seconds after the end of the work on a file during which writing on the file, in archive or "
        "quarantine, is noticed: the file is taken up again as a new version. 0: never. Not with done_suffix.",
    )
    mode: _Mode = Field(
        "auto",
        description='How changes are noticed: "auto" by events of the file system, and by reading the folder every 5 s '
        'while events are missing; "inotify" by events only, started again whenever events stop; "poll" by '
        "reading only, for network mounts.",
    )
    modes: dict[Path, _Mode] = Field(
        default_factory=dict, description="The mode of single folders.", examples=['"/mnt/share" = "poll"']
    )
    done_suffix: str = Field(
        "",
        pattern=r"^[^/]*$",
        description='With a suffix such as ".done", a file is taken up when NAME.done appears beside the file, and not '
        "before.",
    )
    ignore: tuple[str, ...] = Field(
        (),
        description='Further name patterns to leave alone, such as "*.lock". Names beginning with a dot, *.part, *.tmp '
        "and *~ always are.",
    )
    after: Literal["archive", "keep", "delete"] = Field(
        "archive", description='Finished files: "archive" below .ingestd/archive, "keep" in place, or "delete".'
    )


class IngestSettings(_Section):
    """The amount of parallel work."""

    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=0,
        le=_MOST_WORKERS,
        description="Processes that read and fingerprint; 0: in the main process. Default: as many as there are cores.",
        examples=["workers = 2"],
    )
    batch_files: int = Field(
        512, ge=1, le=4096, description="Files taken up at a time, and stored in one transaction if they are small."
    )
    read_seconds: float = Field(
        60.0,
        gt=0,
        le=_DAY_S,
        description="Seconds that the reading of one file may take, or of one piece of a file of many records. A file "
        "beyond is quarantined as timeout; other files go on meanwhile. Not enforced with workers = 0.",
    )
    read_memory_bytes: int = Field(
        4 * 1024**3,
        ge=_LEAST_MEMORY,
        le=_MOST_BYTES,
        description="Bytes of memory that one reading process may take. A file that needs more is quarantined as "
        "memory. Default: 16 times formats.max_file_bytes, several times what the formats let a file take. "
        "Not enforced with workers = 0.",
    )
    attempts: int = Field(
        5,
        ge=1,
        le=_MOST_COUNTED,
        description="Sudden ends of the process with a file in hand after which the file is read alone. After twice as "
        "many the file is quarantined as internal.",
    )


class FormatSettings(_Section):
    """The reading of files."""

    timezone: Annotated[str, AfterValidator(_validate_zone)] = Field(
        "UTC", description="Time zone of dates without a zone: a name of the IANA database."
    )
    max_file_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1,
        le=_MOST_BYTES,
        description="Bytes that have to be in memory as a whole: a page, a JSON array, a feed, a line, a member of an "
        "archive. More is refused unread. Files of a record a line, web archives and archives of files may be"
        " of any size.",
    )
    max_records: int = Field(
        1_000_000, ge=1, le=_MOST_COUNTED, description="Records in one file; the rest of the file is not read."
    )
    max_unpacked_bytes: int = Field(
        64 * 1024**3, ge=1, le=_MOST_BYTES, description="Bytes that a compressed file may unpack to."
    )
    max_unpack_ratio: int = Field(
        200,
        ge=1,
        le=_MOST_COUNTED,
        description="Unpacked to packed bytes; a file that unpacks to more than 64 MiB, and beyond this ratio, "
        "is a bomb.",
    )
    max_members: int = Field(100_000, ge=1, le=_MOST_COUNTED, description="Files in one archive.")
    keys: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description='Further names of the fields of a record, tried before the known ones; "outer.inner" reaches '
        f"inside an object. Fields: {', '.join(RECORD_FIELDS)}.",
        examples=['title = ["overskrift"]', 'text = ["payload.body"]'],
    )

    @field_validator("keys")
    @classmethod
    def _validate_fields(cls, keys: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if unknown := sorted(set(keys) - set(RECORD_FIELDS)):
            raise ValueError(f"no such field: {', '.join(unknown)}; allowed: {', '.join(RECORD_FIELDS)}")
        return keys


class WindowSettings(_Section):
    """The articles that a new article is compared with."""

    days: int = Field(30, ge=1, le=3650, description="Days; articles published further apart are never compared.")
    quiet_days: int = Field(
        7,
        ge=1,
        le=3650,
        description="Days; a cluster whose last article is older is closed: a later article is another event.",
    )
    max_articles: int = Field(
        500_000,
        ge=1000,
        le=_MOST_COUNTED,
        description="Articles held in memory, about 2.9 kB each. The days unused for longest are evicted first, and "
        "read again if needed.",
    )


class LogSettings(_Section):
    """The log on standard error."""

    format: LogFormat = Field(
        LogFormat.CONSOLE,
        description='"console" for people, "json" for machines: one object a line, on standard error.',
    )
    level: LogLevel = Field(LogLevel.INFO, description="debug, info, warning or error.")


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


def render_settings_file() -> str:
    """Return a settings file (TOML) with every setting: the description as a comment, and the default."""
    parts = [_FILE_HEADER]
    for section, field in Settings.model_fields.items():
        settings: dict[str, FieldInfo] = getattr(field.annotation, "model_fields", {})
        lines, tables = [f"[{section}]"], []
        for name, setting in settings.items():
            comment = [f"# {line}" for line in textwrap.wrap(setting.description or "", _FILE_WIDTH)]
            examples = [f"# {example}" for example in setting.examples or ()]
            if setting.default_factory is dict:  # a table of the user's own names
                tables.append("\n".join([f"[{section}.{name}]", *comment, *examples]))
            else:
                lines += comment
                lines += examples or [f"{name} = {json.dumps(setting.default, default=str)}"]
        parts += ["\n".join(lines), *tables]
    return "\n\n".join(parts) + "\n"


def load_settings(file: Path | None, overrides: dict[str, dict[str, Any]]) -> Settings:
    """
    Return the settings in force.

    Args:
        file: given with --config; None: `config/ingestd.toml` if there is one.
        overrides: by section, from the command line.

    Raises:
        SettingsError: names the setting, the fault and the allowed values.
    """
    if file is not None and not file.is_file():
        raise SettingsError(f"{file}: no such settings file")
    _refuse_unknown_variables()
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    from_file = type("Settings", (Settings,), {"_file": chosen, "__annotations__": {"_file": ClassVar[Path | None]}})
    try:
        return from_file(**overrides)  # type: ignore[no-any-return] # type() is untyped
    except ValidationError as error:
        raise SettingsError("\n".join(_explain_problem(problem) for problem in error.errors())) from error
    except ValueError as error:  # wrong TOML
        raise SettingsError(f"{chosen}: {error}") from error


def _explain_problem(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        section = Settings.model_fields.get(str(problem["loc"][0]))
        known = getattr(section.annotation, "model_fields", {}) if section else Settings.model_fields
        return f"{name}: there is no such setting; allowed: {', '.join(known)}"
    given = "not shown" if name in _MAY_HOLD_PASSWORD else repr(problem["input"])
    return f"{name}: {problem['msg']} (given: {given})"


def _refuse_unknown_variables() -> None:
    known = {
        f"{_PREFIX}{section}__{name}".upper()
        for section, field in Settings.model_fields.items()
        for name in getattr(field.annotation, "model_fields", {})
    }
    for name in os.environ:
        if name.startswith(_PREFIX) and not name.startswith(_NOT_SETTINGS) and name.upper() not in known:
            raise SettingsError(f"{name}: there is no such setting; allowed: {', '.join(sorted(known))}")
