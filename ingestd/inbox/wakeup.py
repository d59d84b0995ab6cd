"""A wake-up call for the loop in wait of files: from another thread, or from a signal handler."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Wakeup:
    """
    Ends the wait of a thread; may be set from any thread and from a signal handler.

    threading.Event may not be set from a handler: the interrupted code may hold the lock of the event,
    and then the process hangs. SimpleQueue is made for this case: `put` may interrupt any method of the same queue.
    """

    def __init__(self) -> None:
        """Begin unset."""
        self._calls: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """End the present wait, or else the next wait."""
        if self._calls.empty():  # one call is enough, however many events come while nobody waits
            self._calls.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until the next call, at most so long; tell whether there was a call."""
        try:
            self._calls.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        return True
