"""What `check` says of the kernel's limits, before they show."""

from __future__ import annotations

from pathlib import Path

from ingestd.admin.preflight import Finding, Grade, check_surroundings
from ingestd.settings import Settings


def of_folder(tmp_path: Path, **limits: int) -> Finding:
    """What is found of the events of a folder, with two more in it, where the kernel has these limits."""
    kernel, inbox = tmp_path / "kernel", tmp_path / "inbox"
    for folder in (kernel, inbox, inbox / "one", inbox / "two"):
        folder.mkdir()
    for name, limit in limits.items():
        (kernel / name).write_text(f"{limit}\n")
    settings = Settings.model_validate({"database": {"url": f"sqlite:///{tmp_path}/c.db"}})
    return list(check_surroundings(settings, [inbox], inotify=kernel))[-1]


def test_limits_that_suffice_are_fine(tmp_path: Path) -> None:
    found = of_folder(tmp_path, max_user_watches=10, max_queued_events=16_384)
    assert found.grade is Grade.OK


def test_more_folders_than_watches_are_named(tmp_path: Path) -> None:
    found = of_folder(tmp_path, max_user_watches=2, max_queued_events=16_384)
    assert found.grade is Grade.WARNING
    assert "fs.inotify.max_user_watches" in found.mend


def test_a_queue_that_forgets_events_of_a_burst_is_named(tmp_path: Path) -> None:
    found = of_folder(tmp_path, max_user_watches=10, max_queued_events=128)
    assert found.grade is Grade.WARNING
    assert "after 128" in found.what
    assert "fs.inotify.max_queued_events=16384" in found.mend


def test_a_system_without_inotify_is_named(tmp_path: Path) -> None:
    assert of_folder(tmp_path).grade is Grade.WARNING
