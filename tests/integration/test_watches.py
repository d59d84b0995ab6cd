"""What is listened to lies beneath the root, also where a folder is exchanged with a link while watches are added."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from ingestd.inbox.inbox import Inbox
from ingestd.inbox.inotify import FolderDescriptor, FolderWatches
from tests.support.watching import names

_MASK = Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVE | InotifyConstants.IN_CLOSE_WRITE)


class Witness(InotifyFD):
    """Notes which folders outside are opened, as for a listing."""

    def __init__(self, folders: list[Path]) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.start()
        for number, folder in enumerate(folders):
            self.add_callback(bytes(folder), InotifyConstants.IN_OPEN, self, CallbackId(number))

    def on_event(self, event: InotifyEvent) -> None:
        self.opened.append(repr(event))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None: ...

    def on_queue_overflow(self) -> None: ...


class Exchanging(FolderDescriptor):
    """Calls a function once, before or after the watch on a folder is added."""

    def __init__(self, at: bytes, when: str, exchange: Callable[[], None]) -> None:
        super().__init__(lambda: None)
        self._at, self._when, self._exchange = at, when, exchange

    def add_callback(self, path: bytes, *given: object) -> WatchDescriptor:
        due = path == self._at
        if due and self._when == "before":
            self._exchange()
        try:
            return super().add_callback(path, *given)  # type: ignore[arg-type]
        finally:
            if due and self._when == "after":
                self._exchange()

    def list_watched(self) -> set[int]:
        """The inodes that the system has watches on."""
        lines = Path(f"/proc/self/fdinfo/{self._inotify_fd}").read_text().splitlines()
        return {int(line.split("ino:")[1].split()[0], 16) for line in lines if line.startswith("inotify")}


@pytest.fixture
def outside(tmp_path: Path, root: Path) -> Path:
    (tmp_path / "outside/deep").mkdir(parents=True)
    (root / "sub/deep").mkdir(parents=True)
    return tmp_path / "outside"


@pytest.fixture
def witness(outside: Path) -> Iterator[Witness]:
    made = Witness([outside, outside / "deep"])
    yield made
    made.stop()
    made.join(5)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_folder_that_became_a_link_is_neither_watched_nor_listed(
    when: str, root: Path, outside: Path, witness: Witness
) -> None:
    def exchange() -> None:
        (root / "sub").rename(root.parent / "spare")
        (root / "sub").symlink_to(outside)

    descriptor = Exchanging(bytes(root / "sub/deep"), when, exchange)
    descriptor.start()
    try:
        FolderWatches(descriptor, bytes(root), _MASK, is_recursive=True)
        watched = descriptor.list_watched()
    finally:
        descriptor.stop()
        descriptor.join(5)
    assert root.stat().st_ino in watched
    assert ((root.parent / "spare/deep").stat().st_ino in watched) == (when == "after")
    assert not watched & {outside.stat().st_ino, (outside / "deep").stat().st_ino}
    time.sleep(0.1)  # for what the witness was not told yet
    assert witness.opened == []


def test_a_folder_that_moves_in_and_becomes_a_link_leads_nowhere(
    root: Path, outside: Path, witness: Witness, watching: Callable[..., Inbox]
) -> None:
    inbox = watching(quiet_s=0.1)
    assert names(inbox, 0.2) == []
    (root.parent / "new").mkdir()
    (root.parent / "new").rename(root / "new")
    (root / "new").rename(root.parent / "spare")
    (root / "new").symlink_to(outside)
    (outside / "secret.txt").write_text("secret")
    assert names(inbox, 1.5, n=2) in ([], ["new"])  # the link itself, to be refused
    os.close(os.open(outside / "deep", os.O_RDONLY))
    time.sleep(0.1)
    assert len([event for event in witness.opened if "IN_ISDIR" in event and "name=''" in event]) == 1, witness.opened


def test_files_of_folders_that_move_within_the_root_are_heard_at_their_new_place(
    root: Path, outside: Path, watching: Callable[..., Inbox]
) -> None:
    (root.parent / "new/deep").mkdir(parents=True)
    (root.parent / "new/deep/a.json").write_text("{}")
    inbox = watching(quiet_s=0.3)
    names(inbox, 0.2)
    (root.parent / "new").rename(root / "new")
    (root / "new").rename(root / "newer")
    assert names(inbox) == ["newer/deep/a.json"]
    (root / "newer/deep/b.json").write_text("{}")
    assert names(inbox) == ["newer/deep/b.json"]
