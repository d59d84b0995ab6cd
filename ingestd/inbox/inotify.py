"""watchdog's observer for Linux, deaf to our own folder: every file that is archived would be heard of once more."""

from __future__ import annotations

import errno
import os

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import CallbackId, InotifyFD, Mask, WatchCallback, WatchDescriptor

from ingestd.inbox.scan import OWN_FOLDER


class FolderObserver(BaseObserver):
    """Says `moved` of what is moved in from outside, which is else said to be created, like what is being written."""

    def __init__(self) -> None:
        """Begin with no folder."""
        self._descriptor = _Descriptor()
        self._descriptor.start()
        super().__init__(InotifyFullEmitter, inotify_fd=self._descriptor)

    def on_thread_stop(self) -> None:
        """Let go of all folders."""
        super().on_thread_stop()
        self._descriptor.stop()
        self._descriptor.join()


class _Descriptor(InotifyFD):
    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        root = callback.path if isinstance(callback, InotifyWatchGroup) else b""
        # Not the folder itself: the canary lies there.
        if root and path.startswith(os.path.join(root, OWN_FOLDER, b"")):
            raise OSError(errno.EPERM, "not to be watched")  # passed over, as a folder that may not be read is
        return super().add_callback(path, mask, callback, id_)
