"""Files in a real folder, with real events; the scan is set so far apart that it plays no part unless it is meant to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestd.errors import CannotStartError
from ingestd.intake.watch import Inbox

NEVER_S = 3600.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def watching(root: Path) -> Iterator[Callable[..., Inbox]]:
    made: list[Inbox] = []

    def watch(*, quiet_s: float = 0.2, rescan_s: float = NEVER_S, blind: bool = False) -> Inbox:
        inbox = Inbox([root], quiet_s=quiet_s, rescan_s=rescan_s, empty_quiet_s=1.0)
        if blind:
            inbox.roots = [root]
        else:
            inbox.start()
        made.append(inbox)
        return inbox

    yield watch
    for inbox in made:
        inbox.stop()


def names(inbox: Inbox, wait_s: float = 3.0, n: int = 1) -> list[str]:
    """The names handed out until there are n of them, or the time is over."""
    found: list[str] = []
    deadline = time.monotonic() + wait_s
    while len(found) < n and (left := deadline - time.monotonic()) > 0:
        found += [seen.name for seen in inbox.settled(100, left)]
    return sorted(found)


def test_a_file_that_was_there_before_is_found(root: Path, watching: Callable[..., Inbox]) -> None:
    (root / "a.json").write_text("{}")
    assert names(watching()) == ["a.json"]


def test_a_renamed_file_is_complete_at_once(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(quiet_s=30.0)
    inbox.settled(1, 0.0)  # the first scan
    (root / "a.json.part").write_text("{}")
    (root / "a.json.part").rename(root / "a.json")
    assert names(inbox) == ["a.json"]


def test_a_file_written_in_place_is_found_when_it_has_been_quiet(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(quiet_s=0.5)
    inbox.settled(1, 0.0)
    with (root / "slow.json").open("w") as file:
        for _ in range(6):
            file.write("x" * 100)
            file.flush()
            assert inbox.settled(1, 0.15) == []
    (seen,) = inbox.settled(1, 3.0)
    assert (seen.name, seen.size) == ("slow.json", 600)


def test_files_in_new_and_moved_in_folders_are_found(
    root: Path, tmp_path: Path, watching: Callable[..., Inbox]
) -> None:
    inbox = watching()
    inbox.settled(1, 0.0)
    (root / "made/deep").mkdir(parents=True)
    (root / "made/deep/a.json").write_text("{}")
    (tmp_path / "staged/deep").mkdir(parents=True)
    (tmp_path / "staged/deep/b.json").write_text("{}")
    (tmp_path / "staged").rename(root / "staged")
    assert names(inbox, n=2) == ["made/deep/a.json", "staged/deep/b.json"]


def test_without_any_event_the_scan_finds_everything(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.3, blind=True)
    inbox.settled(1, 0.0)
    (root / "sub").mkdir()
    (root / "sub/a.json").write_text("{}")
    (root / "b.json").write_text("{}")
    assert names(inbox, n=2) == ["b.json", "sub/a.json"]


def test_a_file_is_handed_out_once_and_again_only_when_it_changes(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.1)
    (root / "a.json").write_text("{}")
    assert names(inbox) == ["a.json"]
    assert names(inbox, wait_s=0.8) == []
    (root / "a.json").write_text('{"changed": true}')
    assert names(inbox) == ["a.json"]
    inbox.again([(str(root), b"a.json")])
    assert names(inbox) == ["a.json"]


def test_an_empty_file_is_waited_for(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(quiet_s=0.1)
    (root / "a.json").touch()
    assert names(inbox, wait_s=0.6) == []
    assert names(inbox, wait_s=2.0) == ["a.json"]


def test_the_programs_own_folder_and_names_left_alone_raise_nothing(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.1)
    for name in (".ingestd/archive/a.json", "a.json.part", ".b.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    assert names(inbox, wait_s=1.0) == []


def test_a_folder_that_is_removed_and_made_again_is_watched_again(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=0.2)
    inbox.settled(1, 0.0)
    root.rmdir()
    inbox.settled(1, 0.5)
    root.mkdir()
    (root / "a.json").write_text("{}")
    assert names(inbox) == ["a.json"]


def test_a_burst_is_found_in_full(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching(rescan_s=1.0)
    inbox.settled(1, 0.0)
    wanted = []
    for i in range(2000):
        (root / f"{i}.part").write_text("{}")
        (root / f"{i}.part").rename(root / f"{i}.json")
        wanted.append(f"{i}.json")
    assert names(inbox, wait_s=20.0, n=2000) == sorted(wanted)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="no such folder"):
        Inbox([tmp_path / "nowhere"], quiet_s=1, rescan_s=1).start()


def test_a_folder_inside_another_is_refused(root: Path) -> None:
    (root / "sub").mkdir()
    with pytest.raises(CannotStartError, match="inside another"):
        Inbox([root, root / "sub"], quiet_s=1, rescan_s=1).start()


def test_a_name_that_is_no_text_is_handed_out_as_bytes(root: Path, watching: Callable[..., Inbox]) -> None:
    inbox = watching()
    (root / os.fsdecode(b"caf\xff.json")).write_text("{}")
    (seen,) = inbox.settled(1, 3.0)
    assert seen.path == b"caf\xff.json"
    assert seen.name.isprintable()
