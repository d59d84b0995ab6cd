"""The question about writers, against a real kernel; the temporary folder has to be on a local file system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingestd.inbox.open_writers import Writers, ask_for_writers


def ask(file: Path) -> Writers:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return ask_for_writers(descriptor)
    finally:
        os.close(descriptor)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are of Linux")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text("{}")
    return path


def test_a_file_that_is_open_for_writing_is_said_to_be_so_until_it_is_closed(file: Path) -> None:
    assert ask(file) is Writers.NONE
    with file.open("a"):
        assert ask(file) is Writers.SOME
    with file.open():
        assert ask(file) is Writers.NONE


def test_a_writer_in_another_process_counts(file: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; f = open(sys.argv[1], 'a'); print(flush=True); sys.stdin.read()",
        file,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdin and writer.stdout
        writer.stdout.readline()
        assert ask(file) is Writers.SOME
        writer.stdin.close()
        writer.wait(10)
        assert ask(file) is Writers.NONE


def test_what_cannot_be_asked_is_unknown_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    began = time.monotonic()
    assert ask_for_writers(pipe) is Writers.UNKNOWN
    os.close(pipe)
    assert ask(tmp_path) is Writers.UNKNOWN
    assert ask(Path("/proc/self/status")) is Writers.UNKNOWN  # no file system to be trusted
    assert time.monotonic() - began < 1


def test_the_question_disturbs_neither_writers_nor_this_process(file: Path) -> None:
    """A writer that opens the file in the midst of the question breaks the lease, and the kernel signals the holder."""
    script = """if True:
        import os, sys, time
        until = time.monotonic() + 1.0
        worst = n = 0
        while time.monotonic() < until:
            began = time.monotonic()
            os.close(os.open(sys.argv[1], os.O_WRONLY))
            worst, n = max(worst, time.monotonic() - began), n + 1
        print(worst, n)
    """
    assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL  # which would end this process
    with subprocess.Popen([sys.executable, "-c", script, file], stdout=subprocess.PIPE, text=True) as writer:
        answers = set()
        while writer.poll() is None:
            answers.add(ask(file))
        assert writer.stdout
        worst, n = writer.stdout.read().split()
    assert answers <= {Writers.NONE, Writers.SOME}
    assert float(worst) < 0.5
    assert int(n) > 100
