"""A watched folder, for the tests of the inbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestd.inbox.inbox import Inbox
from ingestd.inbox.listener import Mode

NEVER_S = 3600.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def watching(root: Path) -> Iterator[Callable[..., Inbox]]:
    made: list[Inbox] = []

    def watch(*, quiet_s: float = 0.2, rescan_s: float = NEVER_S, blind: bool = False, **options: Any) -> Inbox:
        mode = Mode.POLL if blind else Mode.AUTO
        inbox = Inbox([root], quiet_s=quiet_s, rescan_s=rescan_s, empty_quiet_s=1.0, modes={root: mode}, **options)
        inbox.start()
        made.append(inbox)
        return inbox

    yield watch
    for inbox in made:
        inbox.stop()
