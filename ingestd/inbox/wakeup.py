"""What wakes the loop that waits for files: another thread, or a signal."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Wakeup:
    """
    Ends one thread's wait; may be rung from any thread and from a signal handler.

    threading.Event may not be set from a handler: the code that the signal interrupted may hold its lock, and then the
    process hangs. SimpleQueue is made for it: its `put` may interrupt any of its own methods.
    """

    def __init__(self) -> None:
        """Begin silent."""
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """End the wait that is going on, or else the next one."""
        if self._rung.empty():  # once is enough, however much is heard while nobody waits
            self._rung.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, at most so long; say whether it did."""
        try:
            self._rung.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        return True
