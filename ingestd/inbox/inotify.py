"""
watchdog's observer for Linux: kept beneath the root, deaf to our own folder, and telling of lost events.

watchdog goes by paths: where a folder was exchanged with a link, the names outside would be listed and watched. Each
archived file would raise another event, and watchdog only logs an overflow. The additions override undocumented methods
of watchdog 7.1; see the bounds in pyproject.toml.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from watchdog.events import DirMovedEvent
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)
from watchdog.observers.inotify_move_event_grouper import GroupedInotifyEvent, PathedInotifyEvent

from ingestd.inbox.beneath import OWN_FOLDER, open_folder
from ingestd.inbox.scan import walk_folders

_END_LIMIT_S = 5.0  # for the thread to end


class FolderObserver(BaseObserver):
    """Reports files moved in from outside as moved; watchdog's default is created, as for files being written."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        """Begin with no folder; `on_overflow` is called from another thread."""
        self.descriptor = FolderDescriptor(on_overflow)
        self.descriptor.start()
        super().__init__(FolderEmitter, inotify_fd=self.descriptor)

    def on_thread_stop(self) -> None:
        """Let go of all folders."""
        try:
            super().on_thread_stop()  # KeyError where folders were exchanged or moved (watchdog 7.1)
        finally:
            self.descriptor.stop()
            self.descriptor.join(_END_LIMIT_S)


class FolderEmitter(InotifyFullEmitter):
    """Reports a moved folder, and leaves to the hearer to look for the files in the folder."""

    def on_thread_start(self) -> None:
        """Watch the folders below the root."""
        mask = self.get_event_mask_from_filter()
        self._inotify = FolderWatches(self._inotify_fd, os.fsencode(self.watch.path), mask, is_recursive=True)

    def build_and_queue_event(self, event: GroupedInotifyEvent, *, full_events: bool = True) -> None:
        """Report an event. For a moved folder, watchdog itself lists the folder as well, by its path."""
        source, target = (None, event) if isinstance(event, PathedInotifyEvent) else event
        if target.ev.is_directory and target.ev.is_moved_to:
            self.queue_event(
                DirMovedEvent(self._decode_path(source.path) if source else "", self._decode_path(target.path))
            )
        else:
            super().build_and_queue_event(event, full_events=full_events)


class FolderWatches(InotifyWatchGroup):
    """The watches of a root. A folder is listed beneath the root, never by its path."""

    def _add_all_callbacks(self, path: bytes) -> None:
        """Watch a folder and all folders below; each folder is watched before the folder is listed."""
        folder = _cut_root(self.path, path)
        if _is_inside_own(folder):  # our own folder itself is watched, for the canary lies there
            return
        self._add_callback(path)
        root = os.fsdecode(self.path)
        for below, entry in walk_folders(root, folder, lambda _name, below: not _is_inside_own(below)):
            if entry.is_dir(follow_symlinks=False):
                self._add_callback(os.path.join(self.path, below))

    def _recursive_simulate(self, src_path: bytes) -> list[InotifyEvent]:
        """Return no event: the hearer of a new folder lists the folder, after the watches were added."""
        return []


class FolderDescriptor(InotifyFD):
    """An inotify descriptor with watches beneath the root only, none on our own folder, and reports of overflows."""

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
        """
        Add a watch on a folder.

        inotify takes paths only: the path is that of a descriptor, which was reached without following any link.

        Raises:
            OSError: the folder is inside our own, is reached by a link, or unreadable; watchdog passes over it.
        """
        if not isinstance(callback, InotifyWatchGroup):
            return super().add_callback(path, mask, callback, id_)
        below = _cut_root(callback.path, path)
        if _is_inside_own(below):
            raise OSError(errno.EPERM, "not to be watched")
        descriptor = open_folder(callback.path, below)
        try:
            followed = Mask(mask & ~InotifyConstants.IN_DONT_FOLLOW | InotifyConstants.IN_ONLYDIR)
            return super().add_callback(b"/proc/self/fd/%d" % descriptor, followed, callback, id_)
        finally:
            os.close(descriptor)


def _cut_root(root: bytes, path: bytes) -> bytes:
    """Return the path of a folder below a root; empty: the root itself."""
    return path[len(os.path.join(root, b"")) :]


def _is_inside_own(below: bytes) -> bool:
    return below.startswith(os.path.join(OWN_FOLDER, b""))
