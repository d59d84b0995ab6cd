"""
What systemd is told, where it asks: ready, reloading, stopping, and that the daemon is still at work.

The protocol is a datagram to the socket that NOTIFY_SOCKET names (sd_notify(3)); without one, nothing is said.
"""

from __future__ import annotations

import os
import socket
import time


class ServiceManager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self) -> None:
        """Find out where to, and how often, from the environment."""
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        within_us = os.environ.get("WATCHDOG_USEC", "0")
        self._every_s = int(within_us) / 2e6 if within_us.isdecimal() else 0.0  # twice in the time that is allowed
        self._next = 0.0

    def ready(self, status: str) -> None:
        """Say that files are taken in from now on."""
        self._say(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that settings are read anew; `ready` ends it."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._say("STOPPING=1")

    def alive(self, status: str) -> None:
        """Say that the work goes on, as often as is asked for. To be called from the loop that does it."""
        now = time.monotonic()
        if self._every_s and now >= self._next:
            self._next = now + self._every_s
            self._say(f"WATCHDOG=1\nSTATUS={status}")

    def _say(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the zero byte of Linux's abstract names.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
                end.settimeout(1.0)
                end.sendto(message.encode(), address)
        except OSError:
            pass  # whoever asked is gone; the work is not for it
