"""Which rooms of the package a call visits, seen by a profiler: calls to a lower room, and calls back up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import ingestd

PACKAGE = Path(ingestd.__file__).parent


@dataclass
class RoomWalk:
    """The calls from one room into another, on the thread that was watched."""

    order: Sequence[frozenset[str]]  # the layers, highest first
    phases: list[str] = field(default_factory=list)  # rooms that the watched functions call, one after the other
    climbs: list[tuple[str, str]] = field(default_factory=list)  # caller and callee, where the callee is higher
    calls: int = 0  # calls from one room into another

    def level(self, room: str) -> int:
        return next(i for i, layer in enumerate(self.order) if room in layer)


def find_room(frame: FrameType | None) -> str | None:
    """Return the room of a function, and None for code outside of the package."""
    if frame is None:
        return None
    path = Path(frame.f_code.co_filename)
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py") if path.is_relative_to(PACKAGE) else None


def describe(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).relative_to(PACKAGE)}:{frame.f_code.co_qualname}"


def watch_rooms(work: Callable[[], Any], order: Sequence[frozenset[str]], steps: frozenset[str]) -> RoomWalk:
    """
    Run work, and return its walk through the rooms.

    Args:
        work: what is watched; work on other threads and in other processes is not.
        order: the layers of the package, highest first.
        steps: functions (names) whose own calls into rooms are the phases of the work.
    """
    walk, thread = RoomWalk(order), threading.get_ident()

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call" or threading.get_ident() != thread:
            return
        room = find_room(frame)
        caller = frame.f_back
        while caller is not None and (caller_room := find_room(caller)) is None:
            caller = caller.f_back  # through a library: the function of ours behind
        if room is None or caller is None or caller_room is None:
            return
        if room == caller_room:
            return
        if caller.f_code.co_name in steps and (not walk.phases or walk.phases[-1] != room):
            walk.phases.append(room)
        walk.calls += 1
        if walk.level(room) < walk.level(caller_room):
            walk.climbs.append((describe(caller), describe(frame)))

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return walk
