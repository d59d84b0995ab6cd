"""
watchdog's observer for Linux with two additions: deaf to our own folder, and telling of lost events.

Each archived file would raise another event otherwise, and watchdog only logs an overflow. Both additions
override InotifyFD, an undocumented class of watchdog 7.1; see the bounds in pyproject.toml.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchCallback, WatchDescriptor

from ingestd.inbox.beneath import OWN_FOLDER

_END_LIMIT_S = 5.0  # for the thread to end


class FolderObserver(BaseObserver):
    """Reports files moved in from outside as moved; watchdog's default is created, as for files being written."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        """Begin with no folder; `on_overflow` is called from another thread."""
        self.descriptor = FolderDescriptor(on_overflow)
        self.descriptor.start()
        super().__init__(InotifyFullEmitter, inotify_fd=self.descriptor)

    def on_thread_stop(self) -> None:
        """Let go of all folders."""
        try:
            super().on_thread_stop()  # KeyError where folders were exchanged or moved (watchdog 7.1)
        finally:
            self.descriptor.stop()
            self.descriptor.join(_END_LIMIT_S)


class FolderDescriptor(InotifyFD):
    """An inotify descriptor without watches on our own folder, and with reports of overflows."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        """Begin with no watch."""
        super().__init__()
        self._on_overflow = on_overflow

    def handle_event(self, event: InotifyEvent) -> None:
        """Report an overflow, before watchdog walks all folders."""
        if event.is_queue_overflow:
            self._on_overflow()
        super().handle_event(event)

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """Add a watch on a folder, unless the folder lies below our own."""
        root = callback.path if isinstance(callback, InotifyWatchGroup) else b""
        # Our own folder itself is watched: the canary lies there.
        if root and path.startswith(os.path.join(root, OWN_FOLDER, b"")):
            raise OSError(errno.EPERM, "not to be watched")  # passed over, as a folder without read permission is
        return super().add_callback(path, mask, callback, id_)
