"""
The program with something broken in it: `python -m tests.support.sabotage ARGUMENTS` runs ingestd with them.

SABOTAGE names what: points at which the process is killed (`die:MODULE:FUNCTION:before|after:N`, at the N-th call that gets there), and
mutants, which are faults that a careless change could bring; `fail:MODULE:FUNCTION:N` raises an error at the N-th call. Words are separated by spaces. Nothing of it is in the product.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

# Where a crash hurts: between any two of these something has been done and something has not.
POINTS: Mapping[str, str] = {
    "before a claim": "ingestd.store.ledger:Ledger.claim:before",
    "after a claim": "ingestd.store.ledger:Ledger.claim:after",
    "before storing": "ingestd.pipeline.storing:BatchStorer.store:before",
    "before deciding": "ingestd.matching.matcher:Matcher.decide:before",
    "after the rows are written": "ingestd.store.writer:write_clusters:after",
    "before the commit": "ingestd.store.ledger:Ledger.complete:after",
    "after the commit": "ingestd.pipeline.storing:BatchStorer._commit:after",
    "before a link": "ingestd.archive.moves:link_or_copy:before",
    "between link and unlink": "ingestd.archive.moves:link_or_copy:after",
    "before the reason is written": "ingestd.archive.moves:write_new:before",
    "after the move": "ingestd.archive.moves:move_files:after",
    "before the move is noted": "ingestd.store.ledger:Ledger.record_moves:before",
    "after the move is noted": "ingestd.store.ledger:Ledger.record_moves:after",
}
UNLUCKY = "unlucky"  # a headline with this word raises an error that nobody foresaw


def die(module: str, function: str, when: str, at: str) -> None:
    """Kill the process, and all that it started, at a certain call."""
    calls = [0]

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def call(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if when == "before" and calls[0] >= int(at):
                os.killpg(0, signal.SIGKILL)
            result = original(*arguments, **named)
            if when == "after" and calls[0] >= int(at):
                os.killpg(0, signal.SIGKILL)
            return result

        return call

    replace(module, function, wrapped)


def fail(module: str, function: str, at: str) -> None:
    """Raise an error that nobody foresaw, at a single call."""
    calls = [0]

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == int(at):
                raise ZeroDivisionError("a fault that nobody foresaw")
            return original(*arguments, **named)

        return call

    replace(module, function, failing)


def replace(module: str, function: str, by: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    owner: Any = importlib.import_module(module)
    *path, name = function.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, name, by(getattr(owner, name)))


def moved_before_the_commit() -> None:
    from datetime import UTC, datetime

    from ingestd.archive import moves

    def settle_and_move(original: Callable[..., Any]) -> Callable[..., Any]:
        def settle(self: Any, connection: Any, settlements: Any, now: Any) -> None:
            original(self, connection, settlements, now)
            for s in settlements:
                file = s.claim.file
                moves.move_files([moves.plan_archive(file.root, file.path, file.stamp, s.sha256, datetime.now(UTC))])

        return settle

    replace("ingestd.store.ledger", "Ledger.complete", settle_and_move)


def no_unique_key() -> None:
    from ingestd.store.tables import ArticleRow

    replace("ingestd.store.identity", "Identities.find", lambda _original: lambda _self, _article: None)
    for index in ArticleRow.__table__.indexes:
        index.unique = False
    replace("ingestd.store.database", "Database.prepare", without_unique_indexes)


def without_unique_indexes(original: Callable[..., Any]) -> Callable[..., Any]:
    def prepare(self: Any, **named: Any) -> None:
        original(self, **named)
        with self.begin_write() as connection:
            for name in ("uq_articles_url_canonical", "uq_articles_external_id"):
                connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")

    return prepare


def swallowed_error() -> None:
    def careless(original: Callable[..., Any]) -> Callable[..., Any]:
        def record(*arguments: Any) -> None:
            try:
                original(*arguments)
            except Exception:  # noqa: BLE001 - that is the fault
                print("something went wrong", file=sys.stderr)

        return record

    replace("ingestd.pipeline.committer", "BatchCommitter.record", careless)


def keyed_by_name_alone() -> None:
    replace("ingestd.store.ledger", "_has_changed", lambda _original: lambda _row, _file: False)


def unlucky_headlines() -> None:
    """No mutant: a fault of ours in single articles, which the product has to survive."""

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def decide(self: Any, batch: Any, *rest: Any) -> Any:
            if any(UNLUCKY in (new.article.title or "") for new in batch):
                raise ZeroDivisionError("a fault that nobody foresaw")
            return original(self, batch, *rest)

        return decide

    replace("ingestd.matching.matcher", "Matcher.decide", failing)


MUTANTS: Mapping[str, Callable[[], None]] = {
    "moved_before_the_commit": moved_before_the_commit,
    "no_unique_key": no_unique_key,
    "swallowed_error": swallowed_error,
    "keyed_by_name_alone": keyed_by_name_alone,
}


def main() -> None:
    unlucky_headlines()
    for word in os.environ.get("SABOTAGE", "").split():
        if word.startswith("die:"):
            die(*word.split(":")[1:])
        elif word.startswith("fail:"):
            fail(*word.split(":")[1:])
        else:
            MUTANTS[word]()
    from ingestd.__main__ import main as ingestd

    ingestd()


if __name__ == "__main__":
    main()
