# -*- test-case-name: tests.retention.test_clock -*-
"""
Is the wall clock to be believed? Erasing goes by it, and a clock that was set forward would erase everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

BOUND: Final = 300.0
"""Seconds by which the wall clock may leave the one that nobody can set: what time synchronisation corrects in a step."""
DOWN: Final = 7 * 86400.0
"""Seconds for which the machine may have been off without a person being asked: over a restart nothing but the wall clock goes on."""
SEEN: Final = "clock"
DOUBT: Final = "clock-doubt"


def boot() -> tuple[str, float]:
    """@return: which start of the machine this is, and the seconds since; nobody can set those."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockGuard:
    """
    @param book: has C{fact} and C{setFact}, which last.
    @param wall: seconds since the epoch.
    @param uptime: see L{boot}.
    """

    def __init__(self, book: Any, wall: Callable[[], float], uptime: Callable[[], tuple[str, float]] = boot) -> None:
        self._book = book
        self._wall = wall
        self._uptime = uptime

    def look(self, newest: float | None) -> str | None:
        """
        Compare the wall clock with what was seen the last time. Blocks. To be called often, and before anything is erased.

        @param newest: the time of the newest leaf in the ledger.
        @return: why it is not to be believed, until a person says that it is; C{None} when it is.
        """
        now = self._wall()
        name, up = self._uptime()
        doubt: str | None = self._book.fact(DOUBT)
        if doubt is None:
            doubt = self._judge(now, name, up, newest)
            if doubt is not None:
                self._book.setFact(DOUBT, doubt)
        seen = self._book.fact(SEEN)
        # Of one start of the machine the first look counts: small steps, one after the other, add up.
        began = _began(seen) if seen is not None and seen["boot"] == name else now - up
        self._book.setFact(SEEN, {"wall": now, "boot": name, "up": up, "began": began})
        return doubt

    def _judge(self, now: float, name: str, up: float, newest: float | None) -> str | None:
        if newest is not None and now < newest - BOUND:
            return f"the clock was set back: the ledger has a leaf that is {newest - now:.0f} s newer"
        seen = self._book.fact(SEEN)
        if seen is None:
            if newest is not None and now > newest + DOWN:
                return f"the clock was set forward, or nothing ran: the newest leaf is {now - newest:.0f} s old"
            return None
        if seen["boot"] == name:
            jump = now - up - _began(seen)
            return None if abs(jump) <= BOUND else f"the clock was set {'forward' if jump > 0 else 'back'} by {abs(jump):.0f} s"
        if now < seen["wall"] - BOUND:
            return f"the clock was set back by {seen['wall'] - now:.0f} s at least"
        if now > seen["wall"] + DOWN:
            return f"the clock was set forward, or the machine was off: {now - seen['wall']:.0f} s have passed"
        return None

    def confirm(self) -> None:
        """A person says that the clock is right."""
        self._book.setFact(DOUBT, None)
        name, up = self._uptime()
        self._book.setFact(SEEN, {"wall": self._wall(), "boot": name, "up": up})


def _began(seen: Any) -> float:
    """When the machine was started, by the wall clock of the first look since."""
    return float(seen.get("began", seen["wall"] - seen["up"]))
