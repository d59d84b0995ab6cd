"""
The limit of attempts: a file that was in hand whenever the process ended is read alone, and given up in the end.

A claim counts as an attempt until the file is finished or given back, so only the sudden end of a process leaves a
count behind, for every file in hand. To find the one that ends the process, files beyond the limit are taken one at a
time: after that only the cause is charged further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingestd.core.source_file import Reason, SeenFile
from ingestd.errors import UnusableError
from ingestd.pipeline.file_outcome import FileOutcome
from ingestd.store.claims import Claim
from ingestd.workers.extract import ExtractionResult

_GIVEN_UP = 2  # times the limit: as many attempts alone as together with others


@dataclass(frozen=True, slots=True)
class SortedClaims:
    """Fresh claims by what is to be done with the files."""

    together: tuple[Claim, ...]  # to be read
    alone: tuple[Claim, ...]  # one at most: to be read alone
    waiting: tuple[Claim, ...]  # to be given back until the file read alone is finished
    given_up: tuple[Claim, ...]  # not to be read any more


class AttemptLimit:
    """Sorts fresh claims, and remembers the files that wait to be read alone."""

    def __init__(self, most: int) -> None:
        """`most` is the number of attempts after which a file is read alone."""
        self._most = most
        self._waiting: dict[tuple[str, bytes], SeenFile] = {}

    def sort_claims(self, claims: Sequence[Claim], in_hand: Sequence[Claim]) -> SortedClaims:
        """Sort fresh claims; `in_hand` are the earlier claims that are not finished."""
        suspects = [claim for claim in claims if self.is_suspect(claim)]
        given_up = [claim for claim in suspects if claim.attempts > _GIVEN_UP * self._most]
        suspects = [claim for claim in suspects if claim not in given_up]
        free = 0 if any(map(self.is_suspect, in_hand)) else 1
        for claim in suspects[free:]:
            self._waiting[claim.file.root, claim.file.path] = claim.file
        together = [claim for claim in claims if not self.is_suspect(claim)]
        return SortedClaims(tuple(together), tuple(suspects[:free]), tuple(suspects[free:]), tuple(given_up))

    def take_waiting(self, in_hand: Sequence[Claim]) -> list[SeenFile]:
        """Return the next file that waits, unless another one is still read alone."""
        if not self._waiting or any(map(self.is_suspect, in_hand)):
            return []
        return [self._waiting.pop(next(iter(self._waiting)))]

    def is_suspect(self, claim: Claim) -> bool:
        """Tell whether a file may be the one that ends the process."""
        return claim.attempts > self._most


def give_up(claim: Claim, now: float) -> FileOutcome:
    """Return the outcome of a file that is not to be read any more; `now` is time.monotonic()."""
    detail = f"in hand {claim.attempts - 1} times when the process ended, the last times alone"
    return FileOutcome(claim, ExtractionResult(claim.file, failure=UnusableError(Reason.INTERNAL, detail)), now)
