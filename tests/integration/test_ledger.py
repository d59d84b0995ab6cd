from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestd.core.source_file import FileState, SeenFile
from ingestd.errors import CannotStartError, Reason
from ingestd.store.claims import FileResult
from ingestd.store.database import Database
from ingestd.store.ledger import Ledger

NOW = datetime(2025, 3, 4, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=61)


def seen(name: bytes = b"a.json", size: int = 10) -> SeenFile:
    return SeenFile("/inbox", name, size, 1, 1, 1, stat.S_IFREG | 0o644)


@pytest.fixture
def database(database_url: str) -> Database:
    made = Database(database_url)
    made.prepare()
    return made


def settle(database: Database, ledger: Ledger, *settlements: FileResult) -> list[bool]:
    """Settle what is still held; return which were."""
    with database.begin_write() as connection:
        held = ledger.find_leased(connection, [s.claim for s in settlements])
        ledger.complete(connection, [s for s in settlements if s.claim.id in held], NOW)
    return [s.claim.id in held for s in settlements]


def test_a_claimed_file_is_busy_for_everyone_until_its_lease_ends(database: Database) -> None:
    mine, yours = Ledger(database, lease_s=60), Ledger(database, lease_s=60)
    (claim,) = mine.claim([seen()], NOW).claims
    assert yours.claim([seen()], NOW).busy == (seen(),)
    (taken,) = yours.claim([seen()], LATER).claims
    assert (taken.id, taken.fence) == (claim.id, claim.fence + 1)


def test_who_lost_the_lease_settles_nothing(database: Database) -> None:
    mine, yours = Ledger(database, lease_s=60), Ledger(database, lease_s=60)
    (old,) = mine.claim([seen()], NOW).claims
    (new,) = yours.claim([seen()], LATER).claims
    assert settle(database, mine, FileResult(claim=old, state=FileState.QUARANTINED, reason=Reason.PARSE)) == [False]
    assert settle(database, yours, FileResult(claim=new, state=FileState.STORED, sha256="abc", article_id=1)) == [True]
    with database.begin_read() as connection:
        assert mine.find_by_hash(connection, ["abc", "def"]) == {"abc": 1}


def test_a_finished_file_is_settled_until_it_changes(database: Database) -> None:
    ledger = Ledger(database, lease_s=60)
    (claim,) = ledger.claim([seen()], NOW).claims
    settle(database, ledger, FileResult(claim=claim, state=FileState.STORED))
    assert [f.path for f in ledger.claim([seen()], NOW).completed] == [seen().path]
    (again,) = ledger.claim([seen(size=11)], NOW).claims
    assert again.id != claim.id


def test_a_deferred_file_is_not_due_before_its_time_and_is_charged_no_attempt(database: Database) -> None:
    ledger = Ledger(database, lease_s=60)
    claims = ledger.claim([seen()], NOW).claims
    ledger.defer(claims, LATER, "permission denied")
    assert ledger.claim([seen()], NOW).busy == (seen(),)
    assert ledger.find_retryable(["/inbox"], NOW) == []
    assert ledger.find_retryable(["/inbox"], LATER) == [("/inbox", b"a.json")]
    assert ledger.find_retryable(["/elsewhere"], LATER) == []
    (again,) = ledger.claim([seen()], LATER).claims
    assert again.fence == 2
    with database.begin_read() as connection:
        assert connection.exec_driver_sql("select attempts from source_files").scalar_one() == 1


def test_recovery_releases_what_dead_processes_had_claimed(database: Database) -> None:
    dead = Ledger(database, lease_s=3600)
    dead.owner = f"{dead.owner.split(':')[0]}:999999999:dead"
    dead.claim([seen(b"a.json"), seen(b"b.json")], NOW)
    mine = Ledger(database, lease_s=60)
    assert mine.claim([seen(b"a.json")], NOW).busy
    assert mine.recover(NOW) == 2
    assert len(mine.claim([seen(b"a.json"), seen(b"b.json")], NOW).claims) == 2
    assert mine.recover(NOW) == 0  # what is our own stays


def test_a_lease_that_is_renewed_does_not_end(database: Database) -> None:
    mine, yours = Ledger(database, lease_s=60), Ledger(database, lease_s=60)
    mine.claim([seen()], NOW)
    mine.renew(NOW + timedelta(seconds=50))
    assert yours.claim([seen()], LATER).busy == (seen(),)


def test_a_second_writer_on_sqlite_is_refused_with_a_clear_word(tmp_path: Path) -> None:
    first, second = (Database(f"sqlite:///{tmp_path / 'one.db'}") for _ in range(2))
    first.prepare()
    first.lock()
    with pytest.raises(CannotStartError, match="another ingestd"):
        second.lock()
    first.close()
    second.lock()
    second.close()


def test_of_two_versions_of_one_name_the_last_is_claimed(database: Database) -> None:
    ledger = Ledger(database, lease_s=60)
    (claim,) = ledger.claim([seen(size=10), seen(b"b.json"), seen(size=11)][::2], NOW).claims
    assert claim.file.size == 11


@pytest.mark.parametrize("number", [-(10**18), 2**63 - 1, 2**63, 10**19, 2**64 - 1])
def test_numbers_that_no_database_holds_tell_versions_apart_all_the_same(database: Database, number: int) -> None:
    ledger = Ledger(database, lease_s=60)
    strange = SeenFile("/inbox", b"a.json", 10, number, number, abs(number), stat.S_IFREG | 0o644)
    (claim,) = ledger.claim([strange], NOW).claims
    settle(database, ledger, FileResult(claim=claim, state=FileState.STORED))
    (completed,) = ledger.claim([strange], NOW).completed
    assert completed.stamp == strange.stamp
    assert ledger.claim([replace(strange, mtime_ns=number - 1)], NOW).claims
