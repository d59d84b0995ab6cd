"""Moves that failed are tried again while the program runs, after growing pauses."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from concurrent.futures import Future

from structlog.testing import capture_logs

from ingestd.archive.moves import Move
from ingestd.archive.policy import MovePolicy
from ingestd.inbox.scan import find_files
from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.pipeline.mover import FileMover, MoveRetries
from ingestd.store.ledger import Ledger
from ingestd.workers.forkserver import run_now
from ingestd.workers.pool import Workers
from tests.conftest import Corpus


class FullDisk(Workers):
    """No file can be moved while the disk is full."""

    def __init__(self) -> None:
        super().__init__(0)
        self.full, self.attempts = True, 0

    def move_files(self, moves: Sequence[Move]) -> Future[list[str | OSError | None]]:
        self.attempts += 1
        if not self.full:
            return super().move_files(moves)
        return run_now(lambda: [OSError(errno.ENOSPC, "No space left on device") for _ in moves])


def test_a_failed_move_is_tried_again_after_growing_pauses_until_it_succeeds(corpus: Corpus) -> None:
    corpus.write({f"{n}.json": {"id": str(n), "title": f"Number {n}", "text": f"Text of number {n}."} for n in (1, 2)})
    corpus.write({"1.json.done": "", "2.json.done": ""})
    corpus.ingest()
    now, workers = [100.0], FullDisk()
    ledger = Ledger(corpus.database, 60)
    mover = FileMover(
        workers, ledger, DatabaseRetry(pause=lambda _: True, max_pause_s=1, on_failure=lambda: None),
        MovePolicy("archive", ".done"), 10, check_database=lambda: None,
        retries=MoveRetries(first_pause_s=5, longest_pause_s=15), clock=lambda: now[0],
    )  # fmt: skip
    files = [file for file in ledger.find_pending_moves([str(corpus.folder)]) if file.path.endswith(b".json")]
    seen = {file.path: file for file in find_files(corpus.folder)}
    with capture_logs() as lines:
        mover.start_moves(files)
        attempts = []
        for second in range(100, 170):
            now[0] = second
            mover.record_finished()
            attempts.append(workers.attempts)
            assert mover.holds(seen[b"1.json"])
        assert [100 + at for at in range(1, 70) if attempts[at] != attempts[at - 1]] == [105, 115, 130, 145, 160]
        workers.full, now[0] = False, 175.0
        mover.record_finished()
    assert not mover.holds(seen[b"1.json"])
    assert not list(find_files(corpus.folder))  # the markers as well
    assert corpus.rows("select count(*) from source_files where archived_as is null and path like '%.json'") == [0]
    events = [line["event"] for line in lines]
    assert (events.count("file.not_moved"), events.count("files.not_moved"), events[-1]) == (2, 5, "moves.recovered")
