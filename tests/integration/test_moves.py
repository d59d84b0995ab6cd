from __future__ import annotations

import errno
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestd.archive import moves
from ingestd.archive.restores import Restore, RestoreResult, restore_files
from ingestd.core.source_file import FileStamp
from ingestd.inbox.scan import look_at

DAY = datetime(2025, 3, 4, tzinfo=UTC)


def drop(root: Path, name: str, content: bytes = b"content") -> tuple[bytes, FileStamp, str]:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    seen = look_at(root, os.fsencode(name))
    assert seen is not None
    return seen.path, seen.stamp, hashlib.sha256(content).hexdigest()


def archive(root: Path, path: bytes, stamp: FileStamp, sha256: str | None) -> str | OSError | None:
    return moves.move_files([moves.plan_archive(str(root), path, stamp, sha256, DAY)])[0]


def quarantine(
    root: Path, path: bytes, stamp: FileStamp, sha256: str | None, reason: dict[str, Any]
) -> str | OSError | None:
    return moves.move_files([moves.plan_quarantine(str(root), path, stamp, sha256, reason)])[0]


def restore(root: Path, moved: object, path: bytes) -> RestoreResult | OSError:
    return restore_files([Restore(str(root), str(moved), path)])[0]


def test_many_files_move_together_and_each_answers_for_itself(tmp_path: Path) -> None:
    files = [drop(tmp_path, name, name.encode()) for name in ("a.json", "b.json", "c.json", "sub/a.json")]
    (tmp_path / "b.json").write_bytes(b"newer")
    (tmp_path / ".ingestd/archive/2025-03-04").mkdir(parents=True)
    (tmp_path / ".ingestd/archive/2025-03-04/sub").write_text("in the way of a folder")
    moved = moves.move_files([moves.plan_archive(str(tmp_path), *file, DAY) for file in files])
    assert [type(to).__name__ for to in moved] == ["str", "NoneType", "str", "NotADirectoryError"]
    assert sorted(p.name for p in tmp_path.glob("*.json")) == ["b.json"]
    assert (tmp_path / "sub/a.json").exists()
    assert [(tmp_path / str(moved[i])).read_bytes() for i in (0, 2)] == [b"a.json", b"c.json"]


def test_a_folder_that_cannot_be_written_through_keeps_the_old_names(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    file = drop(tmp_path, "a.json")
    (moved,) = moves.move_files([moves.plan_archive(str(tmp_path), *file, DAY)], sync=fail)
    assert isinstance(moved, OSError)
    assert (tmp_path / "a.json").exists()


def test_a_finished_file_moves_below_the_day_and_keeps_its_folder(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "outlet/a.json")
    assert archive(tmp_path, path, stamp, sha256) == ".ingestd/archive/2025-03-04/outlet/a.json"
    assert not (tmp_path / "outlet/a.json").exists()
    assert (tmp_path / ".ingestd/archive/2025-03-04/outlet/a.json").read_bytes() == b"content"


def test_a_name_that_is_taken_is_never_overwritten(tmp_path: Path) -> None:
    moved = []
    for content in (b"first", b"second", b"third"):
        path, stamp, sha256 = drop(tmp_path, "a.json", content)
        moved.append(archive(tmp_path, path, stamp, sha256))
    assert len(set(moved)) == 3
    assert [(tmp_path / str(m)).read_bytes() for m in moved] == [b"first", b"second", b"third"]


@pytest.mark.parametrize("keep_inode", [True, False])
def test_a_newer_version_under_the_same_name_is_never_removed(tmp_path: Path, keep_inode: bool) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json", b"older text")
    if not keep_inode:
        (tmp_path / "a.json").rename(tmp_path / "elsewhere")
    (tmp_path / "a.json").write_bytes(b"newer text")
    assert archive(tmp_path, path, stamp, sha256) is None
    assert moves.move_files([moves.plan_removal(str(tmp_path), path, stamp, sha256)]) == [None]
    assert (tmp_path / "a.json").read_bytes() == b"newer text"


def test_new_content_with_the_old_size_and_time_is_noticed_by_its_hash(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json", b"older text")
    (tmp_path / "a.json").write_bytes(b"newer text")
    os.utime(tmp_path / "a.json", ns=(stamp.mtime_ns, stamp.mtime_ns))
    assert archive(tmp_path, path, stamp, sha256) is None
    assert (tmp_path / "a.json").read_bytes() == b"newer text"


def test_a_file_that_is_to_be_removed_is_gone_and_its_new_name_is_empty(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "sub/a.json")
    assert moves.move_files([moves.plan_removal(str(tmp_path), path, stamp, sha256)]) == [""]
    assert list(tmp_path.rglob("*.json")) == []


def test_a_move_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json")
    target = tmp_path / ".ingestd/archive/2025-03-04/a.json"
    target.parent.mkdir(parents=True)
    target.hardlink_to(tmp_path / "a.json")  # the process died before it removed the old name
    assert archive(tmp_path, path, stamp, sha256) == ".ingestd/archive/2025-03-04/a.json"
    assert not (tmp_path / "a.json").exists()


def test_quarantine_puts_the_reason_beside_the_file_and_restore_takes_both_back(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "sub/a.json")
    moved = quarantine(tmp_path, path, stamp, sha256, {"reason": "parse", "detail": "line 1"})
    assert moved == ".ingestd/quarantine/sub/a.json"
    reason = tmp_path / f"{moved}.reason.json"
    assert json.loads(reason.read_text())["reason"] == "parse"
    assert restore(tmp_path, moved, path) is RestoreResult.RESTORED
    assert (tmp_path / "sub/a.json").read_bytes() == b"content"
    assert not reason.exists()
    assert restore(tmp_path, moved, path) is RestoreResult.GONE


def test_restore_does_not_overwrite_a_newer_file(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json", b"broken")
    moved = quarantine(tmp_path, path, stamp, sha256, {})
    drop(tmp_path, "a.json", b"mended")
    assert moved is not None
    assert restore(tmp_path, moved, path) is RestoreResult.NAME_TAKEN
    assert (tmp_path / "a.json").read_bytes() == b"mended"
    assert (tmp_path / moved).read_bytes() == b"broken"


def test_the_longest_name_fits_with_its_reason_and_a_number(tmp_path: Path) -> None:
    for _ in range(3):
        path, stamp, sha256 = drop(tmp_path, "ä" * 125 + ".json", os.urandom(8))
        moved = quarantine(tmp_path, path, stamp, sha256, {})
        assert moved is not None
        assert (tmp_path / moved).exists()
        assert moved.endswith((".json", ".json.1", ".json.2"))


def test_across_file_systems_the_file_is_copied_whole_before_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json")
    link = os.link

    def refused(source: bytes, target: bytes, **options: Any) -> None:
        if not source.endswith(b".part"):
            raise OSError(18, "Invalid cross-device link")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", refused)
    moved = archive(tmp_path, path, stamp, sha256)
    assert moved is not None
    assert (tmp_path / moved).read_bytes() == b"content"
    assert list((tmp_path / moved).parent.iterdir()) == [tmp_path / moved]
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    "name", [b"caf\xff.json", b"f\xe9/a\xff\xfe.json", "z\u00e4h\u00df.json".encode(), b"new\nline.json"]
)
def test_whatever_bytes_a_name_is_made_of_its_new_name_is_text_and_leads_back(tmp_path: Path, name: bytes) -> None:
    full = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    Path(os.fsdecode(full)).write_bytes(b"content")
    stamp = look_at(tmp_path, name).stamp  # type: ignore[union-attr]
    moved = quarantine(tmp_path, name, stamp, None, {"reason": "parse"})
    assert moved is not None
    moved.encode()  # as databases keep text
    assert (tmp_path / moved).read_bytes() == b"content"
    assert restore(tmp_path, moved, name) is RestoreResult.RESTORED
    assert os.path.exists(full)


def test_a_move_that_was_made_and_not_noted_is_found(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json")
    (tmp_path / ".ingestd/archive/2025-03-04").mkdir(parents=True)
    (tmp_path / ".ingestd/archive/2025-03-04/a.json").write_bytes(b"another file of that name")
    moved = archive(tmp_path, path, stamp, sha256)
    assert moved == ".ingestd/archive/2025-03-04/a.json.1"
    assert archive(tmp_path, path, stamp, sha256) == moved
    assert archive(tmp_path, b"never.json", stamp, sha256) is None


def test_a_file_named_like_a_reason_keeps_its_content_in_quarantine_and_in_the_folder(tmp_path: Path) -> None:
    own = drop(tmp_path, "x.json.reason.json", b"a file of the user")
    (tmp_path / "kept.txt").hardlink_to(tmp_path / "x.json.reason.json")
    other = drop(tmp_path, "x.json", b"broken")
    places = [quarantine(tmp_path, *own, {"reason": "parse"}), quarantine(tmp_path, *other, {"reason": "parse"})]
    assert places == [".ingestd/quarantine/x.json.reason.json", ".ingestd/quarantine/x.json.1"]
    assert (tmp_path / "kept.txt").read_bytes() == b"a file of the user"
    assert [(tmp_path / str(place)).read_bytes() for place in places] == [b"a file of the user", b"broken"]
    assert [json.loads((tmp_path / f"{place}.reason.json").read_text()) for place in places] == [
        {"reason": "parse"}
    ] * 2
    assert len(list((tmp_path / ".ingestd/quarantine").iterdir())) == 4


def test_a_link_in_the_place_of_a_reason_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("content")
    (tmp_path / ".ingestd/quarantine").mkdir(parents=True)
    (tmp_path / ".ingestd/quarantine/a.json.reason.json").symlink_to(precious)
    moved = quarantine(tmp_path, *drop(tmp_path, "a.json"), {"reason": "parse"})
    assert moved == ".ingestd/quarantine/a.json.1"
    assert precious.read_text() == "content"


@pytest.mark.parametrize("folder", [".ingestd", ".ingestd/archive", ".ingestd/archive/2025-03-04"])
def test_no_file_goes_through_a_folder_that_is_a_link(tmp_path: Path, folder: str) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / folder).parent.mkdir(parents=True, exist_ok=True)
    (root / folder).symlink_to(elsewhere)
    assert isinstance(archive(root, *drop(root, "a.json")), NotADirectoryError)
    assert (root / "a.json").exists()
    assert list(elsewhere.iterdir()) == []


def test_a_file_behind_an_exchanged_folder_is_not_removed(tmp_path: Path) -> None:
    file = drop(tmp_path, "root/sub/a.json")
    (tmp_path / "root/sub").rename(tmp_path / "elsewhere")
    (tmp_path / "root/sub").symlink_to(tmp_path / "elsewhere")
    assert archive(tmp_path / "root", b"sub/a.json", *file[1:]) is None
    assert moves.move_files([moves.plan_removal(str(tmp_path / "root"), b"sub/a.json", *file[1:])]) == [None]
    assert (tmp_path / "elsewhere/a.json").exists()


def test_an_interrupted_move_finds_its_reason_again(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json")
    reason = {"reason": "parse"}
    move = moves.plan_quarantine(str(tmp_path), path, stamp, sha256, reason)
    place = tmp_path / ".ingestd/quarantine/a.json"
    place.parent.mkdir(parents=True)
    place.hardlink_to(tmp_path / "a.json")
    assert move.beside is not None
    Path(f"{place}.reason.json").write_bytes(move.beside)
    assert moves.move_files([move]) == [".ingestd/quarantine/a.json"]
    assert sorted(p.name for p in place.parent.iterdir()) == ["a.json", "a.json.reason.json"]


def test_an_earlier_partial_copy_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def refused(source: bytes, target: bytes, **options: Any) -> None:
        if not source.endswith(b".part"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **options)

    folder = tmp_path / ".ingestd/archive/2025-03-04"
    folder.mkdir(parents=True)
    (tmp_path / "precious").write_text("content")
    (folder / "a.json.part").symlink_to(tmp_path / "precious")
    monkeypatch.setattr(os, "link", refused)
    assert archive(tmp_path, *drop(tmp_path, "a.json")) == ".ingestd/archive/2025-03-04/a.json"
    assert (tmp_path / "precious").read_text() == "content"
    assert (folder / "a.json").stat().st_mode & 0o777 == 0o644


def test_a_way_back_that_was_interrupted_between_its_names_is_finished(tmp_path: Path) -> None:
    path, stamp, sha256 = drop(tmp_path, "a.json")
    moved = quarantine(tmp_path, path, stamp, sha256, {"reason": "parse"})
    (tmp_path / "a.json").hardlink_to(tmp_path / str(moved))
    assert restore(tmp_path, moved, path) is RestoreResult.RESTORED
    assert list((tmp_path / ".ingestd/quarantine").iterdir()) == []
    assert (tmp_path / "a.json").read_bytes() == b"content"
