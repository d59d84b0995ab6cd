"""
Messages to systemd, on request: ready, reloading, stopping, and a regular sign of life.

The protocol is a datagram to the socket in NOTIFY_SOCKET (sd_notify(3)); without a socket, nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable


class ServiceManager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self) -> None:
        """Read the address and the interval from the environment."""
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        within_us = os.environ.get("WATCHDOG_USEC", "0")
        self._every_s = int(within_us) / 2e6 if within_us.isdecimal() else 0.0  # twice in the time that is allowed
        self._next = 0.0

    def notify_ready(self, status: str) -> None:
        """Send the news: files are taken in from now on."""
        self._send(f"READY=1\nSTATUS={status}")

    def notify_reloading(self) -> None:
        """Send the news: settings are read anew. `notify_ready` ends this state."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def notify_stopping(self) -> None:
        """Send the news: the end has begun."""
        self._send("STOPPING=1")

    def notify_alive(self, make_status: Callable[[], str]) -> None:
        """Send a sign of life, as often as systemd asks. To be called from the working loop."""
        now = time.monotonic()
        if self._every_s and now >= self._next:
            self._next = now + self._every_s
            self._send(f"WATCHDOG=1\nSTATUS={make_status()}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the zero byte of Linux's abstract names.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
                end.settimeout(1.0)
                end.sendto(message.encode(), address)
        except OSError:
            pass  # the receiver is gone; the work does not depend on it
