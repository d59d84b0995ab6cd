"""The leases of all files in hand, renewed well before another process could take the files over."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ingestd.pipeline.database_retry import DatabaseRetry
from ingestd.store.ledger import Ledger


class LeaseKeeper:
    """Renews the leases of this process every so often."""

    def __init__(self, ledger: Ledger, retry: DatabaseRetry, every_s: float) -> None:
        """Begin with new leases; `every_s`: seconds between two renewals."""
        self._ledger, self._retry, self._every_s = ledger, retry, every_s
        self._renewed_at = time.monotonic()

    def renew_if_due(self) -> None:
        """Renew the leases if the last renewal was long enough ago. To be called before each transaction."""
        if time.monotonic() - self._renewed_at > self._every_s:
            self._retry.call(lambda: self._ledger.renew(datetime.now(UTC)))
            self._renewed_at = time.monotonic()
