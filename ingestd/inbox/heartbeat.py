"""
The sign of life of a daemon: an empty file below each root, touched every few seconds.

Only the time of the file counts. Each host has a sign of its own: several daemons may work on one network folder.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from ingestd.errors import IngestdError
from ingestd.inbox.beneath import OWN_FOLDER, create_file, look_beneath, open_file, open_folder

log = structlog.get_logger()

SIGN_EVERY_S = 5.0
# A step of the daemon may last this long without being stuck: half a minute to read a million articles within reach
# (docs/running.md), and a minute until PostgreSQL gives up a host that died in the middle of a transaction.
LONGEST_STEP_S = 120.0
_NAME = b"alive-" + os.fsencode(os.uname().nodename.replace("/", "_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOfLife:
    """The last sign of life at a root."""

    root: str
    age_s: float | None  # None: there is no sign
    is_fresh: bool


class Heartbeat:
    """The signs of one daemon."""

    def __init__(self, roots: Sequence[str], every_s: float = SIGN_EVERY_S) -> None:
        """Prepare for `beat`; nothing is written yet."""
        self.roots = roots
        self._every_s = every_s
        self._next = 0.0  # by the monotonic clock
        self._failed: set[str] = set()  # roots without a sign, each named once in the log

    def beat(self) -> None:
        """Give a sign at each root, unless the last sign is recent. To be called from the working loop."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every_s
        for root in self.roots:
            try:
                _touch(root)
                self._failed.discard(root)
            except OSError as error:
                if root not in self._failed:
                    self._failed.add(root)
                    log.warning(
                        "daemon.no_sign_of_life", root=root, error=str(error), hint="`ingestd health` will fail"
                    )

    def end(self) -> None:
        """Remove the signs: the daemon ends."""
        for root in self.roots:
            with suppress(OSError):
                folder = open_folder(root, OWN_FOLDER)
                try:
                    os.unlink(_NAME, dir_fd=folder)
                finally:
                    os.close(folder)


def read_sign(root: str, within_s: float) -> SignOfLife:
    """
    Return the last sign of a daemon of this host at a root.

    Args:
        root: the watched folder.
        within_s: seconds for which a sign is fresh, before now or, where the clock was set back, after now.

    Raises:
        IngestdError: the root cannot be looked at.
    """
    try:
        status = look_beneath(root, os.path.join(OWN_FOLDER, _NAME))
    except FileNotFoundError:
        return SignOfLife(root=root, age_s=None, is_fresh=False)
    except OSError as error:
        raise IngestdError(f"{root}: the sign of life cannot be looked at: {error.strerror}") from error
    age_s = abs(time.time() - status.st_mtime)
    return SignOfLife(root=root, age_s=round(age_s, 1), is_fresh=age_s <= within_s and stat.S_ISREG(status.st_mode))


def _touch(root: str) -> None:
    """Set the time of the sign to the time of this host, or make the sign; what is not ours is not touched."""
    with suppress(OSError):
        descriptor = open_file(root, os.path.join(OWN_FOLDER, _NAME))
        try:
            if _is_own(os.fstat(descriptor)):
                now_ns = time.time_ns()
                os.utime(descriptor, ns=(now_ns, now_ns))
                return
        finally:
            os.close(descriptor)
    folder = open_folder(root, OWN_FOLDER, create=True)
    try:
        with suppress(FileNotFoundError):
            os.unlink(_NAME, dir_fd=folder)
        os.close(create_file(folder, _NAME))
    finally:
        os.close(folder)


def _is_own(status: os.stat_result) -> bool:
    """Tell whether a file can be the sign: no link to another file, of this user."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid()
