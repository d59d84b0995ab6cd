"""
The errors of the package, by what happens next.

    IngestdError
    |- SettingsError        a setting is wrong: the command says which and does not start
    |- CannotStartError     the surroundings are not ready: the command says why and how to mend it
    |- DatabaseGoneError    the file of the database was deleted or replaced: stop at once, and say so
    |- NotFoundError        no article, cluster or file has the id, URL or name
    |- UnusableError        the file or the record can never be ingested unchanged: quarantine, with a reason
    |- UnsettledError       the file changed while it was being read: look again later
    |- VanishedError        the file is gone
    `- DeferredError        the fault is not in the file (permission, disk): try again later, count no attempt

Every other error is a fault of the program: loud, and the file goes into quarantine with the reason `internal`.
"""

from __future__ import annotations

from ingestd.core.source_file import Reason

__all__ = [
    "CannotStartError",
    "DatabaseGoneError",
    "DeferredError",
    "IngestdError",
    "NotFoundError",
    "Reason",
    "SettingsError",
    "UnsettledError",
    "UnusableError",
    "VanishedError",
]


class IngestdError(Exception):
    """Base of every error raised on purpose."""


class SettingsError(IngestdError):
    """A setting is wrong. The message names the setting and the allowed values."""


class CannotStartError(IngestdError):
    """A command cannot do its work here. The message names the cause and the remedy."""


class DatabaseGoneError(IngestdError):
    """The file of the database, or the lock, is no longer the file in use. The message names the remedy."""


class NotFoundError(IngestdError):
    """No article, cluster or file has the id, URL or name."""


class UnusableError(IngestdError):
    """A file or record can never be ingested unchanged. Handled in pipeline/storing.py, by quarantine."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)  # all arguments, so that the error survives pickling
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


class UnsettledError(IngestdError):
    """The file changed while it was being read."""


class VanishedError(IngestdError):
    """The file is no longer there."""


class DeferredError(IngestdError):
    """The fault is not in the file."""
