"""The days in the window, and the order in which days leave a window that is too large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date


class DayCache:
    """The days whose articles are held. The day asked for longest ago leaves first."""

    def __init__(self, days: int, recent: int) -> None:
        """Reach `days` to both sides of an arrival; a day that the last `recent` arrivals did not ask for is idle."""
        self.reach, self.recent = days, recent
        self._asked: dict[int, int] = {}  # ordinal of a day held -> clock when the day was last asked for
        self._clock = 0  # in articles that arrived

    def find_missing(self, days: Iterable[date], arriving: int = 1) -> list[date]:
        """Return the days within reach of arriving articles that are not held, and mark the held ones as in use."""
        self._clock += arriving
        wanted = {d for day in days for d in range(day.toordinal() - self.reach, day.toordinal() + self.reach + 1)}
        for day in wanted & self._asked.keys():
            self._asked[day] = self._clock
        first, last = date.min.toordinal(), date.max.toordinal()
        return [date.fromordinal(d) for d in sorted(wanted - self._asked.keys()) if first <= d <= last]

    def mark_held(self, days: Iterable[date]) -> None:
        """Note that all stored articles of some days are held from now on."""
        self._asked |= {day.toordinal(): self._clock for day in days}

    def has_idle(self) -> bool:
        """Tell whether a day is held that no recent arrival asked for."""
        idle = self._clock - self.recent
        return min(self._asked.values(), default=idle) < idle

    def pop_evictable(self, articles_by_day: Mapping[int, int], excess: int) -> list[int]:
        """
        Forget days, and return their ordinals.

        Args:
            articles_by_day: how many articles are held of each day (ordinal).
            excess: how many articles are too many. Idle days leave in any case: the window moves with the time.
        """
        evicted: list[int] = []
        idle = self._clock - self.recent
        for day in sorted(articles_by_day.keys() | self._asked.keys(), key=lambda d: (self._asked.get(d, 0), d)):
            asked = self._asked.get(day, 0)
            if asked == self._clock or (excess <= 0 and asked >= idle):
                break
            excess -= articles_by_day.get(day, 0)
            evicted.append(day)
            self._asked.pop(day, None)
        return evicted

    def forget_before(self, before: date) -> None:
        """Forget the days before a day: their articles are read again when an arrival asks for the days."""
        for day in [d for d in self._asked if d < before.toordinal()]:
            del self._asked[day]
