"""What the program makes below a watched folder is new, its own, and reached through no link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestd.cli.session import refuse_foreign_folders
from ingestd.errors import CannotStartError
from ingestd.inbox.beneath import OpenFolders, check_own_folder, create_file, open_folder, write_new
from ingestd.inbox.listener import Listener, Mode


def test_folders_are_made_below_the_root_and_never_the_root(tmp_path: Path) -> None:
    os.close(open_folder(tmp_path, b"a/b", create=True))
    assert (tmp_path / "a/b").is_dir()
    with pytest.raises(FileNotFoundError):
        open_folder(tmp_path / "none", b"a", create=True)
    with pytest.raises(NotADirectoryError):
        open_folder(tmp_path, b"a/../../x", create=True)


@pytest.mark.parametrize("make", [create_file, lambda folder, name: write_new(folder, name, b"new")])
@pytest.mark.parametrize("is_link", [True, False])
def test_a_name_that_exists_is_not_opened(make: object, is_link: bool, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content")
    (tmp_path / "name").symlink_to("precious") if is_link else (tmp_path / "name").write_text("content")
    folder = open_folder(tmp_path, b"")
    with pytest.raises(FileExistsError):
        make(folder, b"name")  # type: ignore[operator]
    os.close(folder)
    assert (tmp_path / "name").read_text() == (tmp_path / "precious").read_text() == "content"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["name", "precious"]


def test_many_folders_need_few_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with OpenFolders(most_held=3) as folders:
        for number in range(20):
            folders.open(str(tmp_path), b"%d" % number, create=True)
            assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_own_folder_that_is_a_link_is_refused_with_the_remedy(tmp_path: Path) -> None:
    refuse_foreign_folders([tmp_path, tmp_path / "none"])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".ingestd").symlink_to("elsewhere")
    with pytest.raises(CannotStartError, match="is a link, or no folder: remove it"):
        refuse_foreign_folders([tmp_path])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_an_own_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".ingestd").mkdir()
    check_own_folder(tmp_path)
    os.chown(tmp_path / ".ingestd", 12345, -1)
    with pytest.raises(PermissionError, match="belongs to user 12345"):
        check_own_folder(tmp_path)


def test_the_canary_replaces_a_link_and_leaves_alone_what_the_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("content")
    (tmp_path / ".ingestd").mkdir()
    (tmp_path / ".ingestd/canary").symlink_to(tmp_path / "precious")
    listener = Listener(tmp_path, Mode.AUTO, lambda *_: None)
    listener.start()
    listener.stop()
    assert (tmp_path / "precious").read_text() == "content"
    assert not (tmp_path / ".ingestd/canary").is_symlink()
    assert (tmp_path / ".ingestd/canary").exists()
