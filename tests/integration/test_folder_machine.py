"""
Whatever happens to a watched folder, in whatever order, every article in it is stored once.

Hypothesis plays scraper, administrator and misfortune against a model that knows which articles have to be there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ingestd.inbox.inbox import Inbox
from ingestd.inbox.listener import Mode
from ingestd.pipeline.pipeline import IngestPipeline
from tests.conftest import Corpus

NAMES = [b"a.txt", b"b.txt", b"caf\xff.txt", "n\u0303.txt".encode(), "\u00f1.txt".encode(), b"A.txt"]
FOLDERS = [b"", b"sub", b"sub/deep"]


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Folder(RuleBasedStateMachine):
    """The folder, the daemon's loop without its process, and the model."""

    files = Bundle("files")

    @initialize(listening=st.booleans())
    def start(self, listening: bool) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="machine-"))
        self.corpus = Corpus(f"sqlite:///{self.base / 'c.db'}", self.base / "inbox")
        self.root = os.fsencode(self.corpus.folder)
        self.mode = Mode.AUTO if listening else Mode.POLL
        self.clock = Clock()
        self.number = 0
        self.written: dict[bytes, bytes] = {}  # path -> content that lies there, as far as the model knows
        self.wanted: set[bytes] = set()  # contents that have to be stored
        self.run()

    def run(self) -> None:
        self.inbox = Inbox(
            [self.corpus.folder], quiet_s=1.0, rescan_s=30.0, modes={self.corpus.folder: self.mode}, clock=self.clock
        )
        self.inbox.start()
        self.pipeline = IngestPipeline(self.corpus.settings, self.corpus.database, after="archive")
        self.pipeline.recover([str(self.corpus.folder)])

    def article(self) -> bytes:
        self.number += 1
        return b"Headline %d\nThe text of number %d." % (self.number, self.number)

    @rule(target=files, folder=st.sampled_from(FOLDERS), name=st.sampled_from(NAMES), renamed=st.booleans())
    def create(self, folder: bytes, name: bytes, renamed: bool) -> bytes:
        path = os.path.join(folder, name)
        os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        self.put(path, self.article(), renamed=renamed)
        return path

    def put(self, path: bytes, content: bytes, *, renamed: bool) -> None:
        full = os.path.join(self.root, path)
        target = full + b".part" if renamed else full
        with open(target, "wb") as opened:
            opened.write(content)
        if renamed:
            os.replace(target, full)
        self.written[path] = content

    @rule(path=files)
    def append(self, path: bytes) -> None:
        full = os.path.join(self.root, path)
        if os.path.exists(full):
            with open(full, "ab") as opened:
                opened.write(b" And more.")
            self.written[path] = self.written[path] + b" And more."

    @rule(path=files, renamed=st.booleans())
    def replace(self, path: bytes, renamed: bool) -> None:
        if os.path.exists(os.path.join(self.root, path)):
            self.put(path, self.article(), renamed=renamed)

    @rule(path=files)
    def delete(self, path: bytes) -> None:
        if os.path.exists(os.path.join(self.root, path)):
            os.unlink(os.path.join(self.root, path))
        self.written.pop(path, None)

    @rule(target=files, path=files, name=st.sampled_from(NAMES))
    def rename(self, path: bytes, name: bytes) -> bytes:
        to = os.path.join(os.path.dirname(path), b"renamed-" + name)
        if os.path.exists(os.path.join(self.root, path)):
            os.replace(os.path.join(self.root, path), os.path.join(self.root, to))
            self.written[to] = self.written.pop(path)
        return to

    @rule(target=files, n=st.integers(1, 3))
    def move_a_folder_in(self, n: int) -> bytes:
        self.number += 1
        staged = self.base / f"staged-{self.number}"
        staged.mkdir()
        name = b"moved-%d" % self.number
        for i in range(n):
            content = self.article()
            (staged / f"{i}.txt").write_bytes(content)
            self.written[os.path.join(name, b"%d.txt" % i)] = content
        os.rename(staged, os.path.join(self.root, name))
        return os.path.join(name, b"0.txt")

    @rule()
    def overflow(self) -> None:
        for listener in self.inbox.listeners:
            listener.report_overflow()

    @rule()
    def restart(self) -> None:
        self.inbox.stop()
        self.pipeline.close()
        self.run()

    @rule()
    def crash(self) -> None:
        """The process is gone, with what it had claimed."""
        self.inbox.stop()
        self.run()

    @rule()
    def turn(self) -> None:
        """One turn of the loop, at a moment when nothing has settled yet, or just has."""
        self.clock.now += 0.6
        self.work()

    @rule()
    def wait(self) -> None:
        """Everything that lies there has settled and is taken in."""
        time.sleep(0.02 if self.mode is Mode.AUTO else 0)  # for events to come
        for _ in range(3):
            self.clock.now += 31.0
            self.work()
            self.clock.now += 1.5
            self.work()
        self.wanted |= set(self.written.values())
        self.written = {path: c for path, c in self.written.items() if os.path.exists(os.path.join(self.root, path))}
        assert not self.written, "something was left in the folder"
        assert self.wanted <= self.stored()

    def work(self) -> None:
        found = self.inbox.take_complete(100, 0.0)
        if found:
            self.pipeline.submit(found)
        while self.pipeline.depth:
            again = self.pipeline.step(10)
            self.inbox.offer_again([(file.root, file.path) for file in again])

    def stored(self) -> set[bytes]:
        rows: Sequence[tuple[str, str]] = [
            *self.corpus.rows("select title, text from articles"),
            *self.corpus.rows("select title, text from article_revisions"),
        ]
        assert len(rows) == len(set(rows)), "an article is stored twice"
        return {f"{title}\n{text}".encode() for title, text in rows}

    @invariant()
    def nothing_is_in_quarantine(self) -> None:
        if hasattr(self, "corpus"):
            assert self.corpus.rows("select path from source_files where state = 'quarantined'") == []

    def teardown(self) -> None:
        if hasattr(self, "corpus"):
            self.wait()
            self.inbox.stop()
            self.pipeline.close()
            self.corpus.database.close()
            shutil.rmtree(self.base)


def test_whatever_happens_to_a_folder_every_article_is_stored_once(long: bool) -> None:
    examples, steps = (1000, 30) if long else (25, 20)
    run_state_machine_as_test(
        Folder,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
