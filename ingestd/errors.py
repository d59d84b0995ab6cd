"""
The errors of the package, by what happens next.

    IngestdError
    |- SettingsError        a setting is wrong: the command says which and does not start
    |- CannotStartError     the surroundings are not ready: the command says why and how to mend it
    |- NotFoundError        an id, URL or name that nothing answers to
    |- UnusableError        the file, or one record of it, will never be ingested as it is: quarantine, with a reason
    |- UnsettledError       the file changed while it was being read: look again later
    |- VanishedError        the file is gone
    `- DeferredError        what is wrong is not the file (permission, disk): try again later, charge no attempt

Anything else is a fault of ours. It is loud, and the file is kept in quarantine with the reason `internal`.
"""

from __future__ import annotations

from ingestd.core.source_file import Reason

__all__ = [
    "CannotStartError",
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
    """A setting is wrong. The message names it and says what is allowed."""


class CannotStartError(IngestdError):
    """A command cannot do its work here. The message says why and how to mend it."""


class NotFoundError(IngestdError):
    """Nothing answers to an id, URL or name."""


class UnusableError(IngestdError):
    """A file or record will never be ingested as it is. Handled in pipeline/storing.py, by quarantine."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)  # all arguments, so that it survives pickling
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


class UnsettledError(IngestdError):
    """The file changed while it was being read."""


class VanishedError(IngestdError):
    """The file is no longer there."""


class DeferredError(IngestdError):
    """What is wrong is not the file."""
