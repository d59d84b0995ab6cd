"""Whoever may write to a watched folder exchanges a folder in it with a link; what lies outside is none of ours."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestd.archive.moves import move_files, plan_archive, plan_removal
from ingestd.core.source_file import SeenFile
from ingestd.errors import IngestdError, VanishedError
from ingestd.inbox.beneath import OpenFolders, open_file
from ingestd.inbox.inbox import Inbox
from ingestd.inbox.scan import find_files, look_at, walk_folders
from ingestd.workers.safe_open import read_content

_BAIT, _SECRET = b"bait in the folder", b"secret from beyond"  # of one length
_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def outside(tmp_path: Path, root: Path) -> Path:
    """A folder outside, of the same shape as a folder inside; `root/../link` leads to the first."""
    for base, content in ((root / "sub", _BAIT), (tmp_path / "outside", _SECRET)):
        (base / "deep").mkdir(parents=True)
        for name in ("a.txt", "b.txt", "deep/c.txt"):
            (base / name).write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    return tmp_path / "outside"


def exchange(root: Path) -> None:
    """Put the link in the place of the folder, or the folder in the place of the link."""
    (root / "sub").rename(root.parent / "spare")
    (root.parent / "link").rename(root / "sub")
    (root.parent / "spare").rename(root.parent / "link")


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("steps", range(6))
def test_a_scan_goes_on_where_a_folder_was_and_not_where_the_link_leads(steps: int, root: Path, outside: Path) -> None:
    (root / "other.txt").write_bytes(_BAIT)
    walk = walk_folders(root)
    found = [next(walk) for _ in range(steps)]
    exchange(root)
    found += walk
    inodes = {path.stat().st_ino for path in outside.rglob("*")}
    assert not inodes & {entry.inode() for _, entry in found}
    assert b"other.txt" in {path for path, _ in found}


@pytest.mark.parametrize("held", [False, True], ids=["opened anew", "folders held"])
def test_what_was_seen_before_is_neither_looked_at_nor_read_nor_moved(held: bool, root: Path, outside: Path) -> None:
    seen = list(find_files(root))
    assert len(seen) == 3
    exchange(root)
    after = {path: path.read_bytes() for path in outside.rglob("*.txt")}
    with OpenFolders() as folders:
        held_folders = folders if held else None
        for file in seen:
            assert look_at(root, file.path, held_folders) is None
            with pytest.raises(VanishedError):
                read_content(file, 1000, held_folders)
    for plan in (plan_removal(str(root), b"sub/a.txt", outside_stamp(outside), None), archive(seen[0])):
        assert move_files([plan]) == [None]
    assert {path: path.read_bytes() for path in outside.rglob("*.txt")} == after
    assert list(find_files(root)) == [look_at(root, b"sub")]  # the link itself, to be refused


def archive(file: SeenFile) -> object:
    return plan_archive(file.root, file.path, file.stamp, None, _DAY)


def outside_stamp(outside: Path) -> object:
    """The stamp that a look through the link would have given."""
    seen = look_at(outside, b"a.txt")
    assert seen is not None
    return seen.stamp


def test_the_question_about_writers_opens_nothing_outside(
    root: Path, outside: Path, watching: Callable[..., Inbox]
) -> None:
    asked: list[int] = []
    before = {path.stat().st_ino for path in outside.rglob("*")}

    def ask(descriptor: int) -> object:
        asked.append(os.fstat(descriptor).st_ino)
        raise AssertionError("asked about nothing that is left")

    inbox = watching(quiet_s=0.1, blind=True, ask_for_writers=ask)
    assert inbox.take_complete(10, 0.0) == []
    exchange(root)
    taken = inbox.take_complete(10, 0.5)
    assert [seen.path for seen in taken] in ([], [b"sub"])
    assert not before & set(asked)


def test_a_path_of_the_ledger_leads_to_no_place_outside(root: Path, outside: Path) -> None:
    for path in (b"../outside/a.txt", b"sub/../../outside/a.txt", b"..", b"sub/.."):
        assert look_at(root, path) is None, path
        with pytest.raises(NotADirectoryError):
            os.close(open_file(root, path))
    absolute = os.fsencode(outside / "a.txt")
    assert look_at(root, absolute) is None
    with pytest.raises(FileNotFoundError):
        os.close(open_file(root, absolute))


@contextmanager
def exchanging(root: Path) -> Iterator[threading.Event]:
    """Exchange the folder with the link and back, as fast as that goes."""
    over = threading.Event()

    def flip() -> None:
        while not over.is_set():
            exchange(root)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join()


def test_a_race_is_never_won(root: Path, outside: Path) -> None:
    n_read = 0
    with exchanging(root):
        for _ in range(400):
            for file in find_files(root):
                with suppress(IngestdError), OpenFolders() as folders:
                    content, _ = read_content(file, 1000, folders)
                    assert content == _BAIT
                    n_read += 1
                with suppress(OSError):
                    descriptor = open_file(root, file.path)
                    assert os.read(descriptor, 100) == _BAIT
                    os.close(descriptor)
            move_files([plan_removal(str(root), b"sub/a.txt", outside_stamp(outside), None)])
    assert n_read
    assert all(path.read_bytes() == _SECRET for path in outside.rglob("*.txt"))
    assert len(list(outside.rglob("*"))) == 4


def test_deep_and_many_folders_are_read_in_full_with_few_descriptors(root: Path) -> None:
    deepest = os.open(root, os.O_RDONLY)
    try:
        for level in range(1000):
            os.mkdir("d", dir_fd=deepest)
            folder = os.open("d", os.O_RDONLY, dir_fd=deepest)
            os.close(deepest)
            deepest = folder
            if level % 100 == 99:
                os.mkdir("side", dir_fd=deepest)
                os.close(os.open("side/x.txt", os.O_CREAT, dir_fd=deepest))
        for number in range(300):
            (root / f"wide-{number}").mkdir()
            (root / f"wide-{number}/y.txt").touch()
        before = count_descriptors()
        paths, most = set(), 0
        for seen in find_files(root):
            paths.add(seen.path)
            most = max(most, count_descriptors() - before)
            assert look_at(root, seen.path) == seen
        assert len(paths) == 310
        assert most <= 70
        assert count_descriptors() == before
    finally:
        os.close(deepest)
        subprocess.run(["rm", "-rf", root / "d"], check=True)  # deeper than Python's recursion goes


def test_a_path_beyond_what_linux_takes_is_passed_over(root: Path) -> None:
    folder = os.open(root, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("n" * 250, dir_fd=folder)
            inner = os.open("n" * 250, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = inner
            os.close(os.open("x", os.O_CREAT, dir_fd=folder))
        assert len(list(find_files(root))) == 16
    finally:
        os.close(folder)
        subprocess.run(["rm", "-rf", root / ("n" * 250)], check=True)
