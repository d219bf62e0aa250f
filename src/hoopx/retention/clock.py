# -*- test-case-name: tests.retention.test_clock -*-
"""
Is the wall clock to be believed? Erasing goes by it, and a clock that was set forward would erase everything.

When a person has said that a clock is right after all, what was noted by another one is moved, so that nothing is erased early:
docs/design.rst has the argument.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from attrs import define

BOUND: Final = 300.0
"""Seconds by which the wall clock may leave the one that nobody can set: what time synchronisation corrects in a step."""
DOWN: Final = 7 * 86400.0
"""Seconds for which the machine may have been off without a person being asked: over a restart nothing but the wall clock goes on."""
BASE: Final = "clock"
"""The fact that says what the clocks were at the last look at which there was no doubt."""
DOUBT: Final = "clock-doubt"
LATEST: Final = "latest"
"""The fact that says the latest time of any leaf, those of wrong clocks aside."""
CONFIRMED: Final = "clock-confirmed"
"""The fact that says when a person has last said that the clock is right, and how many leaves there were: none of these is newer."""


def boot() -> tuple[str, float]:
    """@return: which start of the machine this is, and the seconds since; nobody can set those."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)


@define(eq=False)
class Latest:
    """The latest time that a clock that is believed has said: ends are counted from no earlier one."""

    at: float = 0.0


class ClockGuard:
    """
    @param book: has C{fact}, C{setFact} and C{rebase}, which last.
    @param wall: seconds since the epoch.
    @param size: callable() -> how many leaves the ledger has.
    @param uptime: see L{boot}.
    @ivar latest: L{Latest}.
    """

    def __init__(
        self, book: Any, wall: Callable[[], float], size: Callable[[], int], uptime: Callable[[], tuple[str, float]] = boot
    ) -> None:
        self._book = book
        self._wall = wall
        self._size = size
        self._uptime = uptime
        self._leaf: float = book.fact(LATEST) or 0.0
        self.latest = Latest(self._leaf)

    def look(self) -> str | None:
        """
        Compare the wall clock with what was seen the last time. Blocks. To be called often, and before anything is erased.

        @return: why it is not to be believed, until a person says that it is; C{None} when it is.
        """
        doubt: str | None = self._book.fact(DOUBT)
        if doubt is not None:
            return doubt
        now = self._wall()
        name, up = self._uptime()
        base = self._book.fact(BASE)
        doubt = self._judge(base, now, name, up)
        if doubt is not None:
            self._book.setFact(DOUBT, doubt)
            if base is None:  # what ends from here on does so in doubt
                self._book.setFact(BASE, self._unknown(now))
            return doubt
        # Of one start of the machine the first look counts: small steps, one after the other, add up.
        began = base["began"] if base is not None and base["boot"] == name else now - up
        self._book.setFact(BASE, self._now(now, name, up, began))
        self.latest.at = max(self.latest.at, now)
        return None

    def _unknown(self, now: float) -> dict[str, Any]:
        """What there is to go by where nothing is known of before: the newest leaf."""
        return {"wall": self._leaf or now, "boot": "", "up": 0.0, "began": 0.0, "size": self._size()}

    def _now(self, now: float, name: str, up: float, began: float) -> dict[str, Any]:
        return {"wall": now, "boot": name, "up": up, "began": began, "size": self._size()}

    def _judge(self, base: Any, now: float, name: str, up: float) -> str | None:
        if base is None:
            if not self._size():
                return None
            return "what the clock has said before is not known any more: curator.sqlite was lost"
        if now < self._leaf - BOUND:
            return f"the clock was set back: the ledger has a leaf that is {self._leaf - now:.0f} s newer"
        if base["boot"] == name:
            jump = now - up - base["began"]
            return None if abs(jump) <= BOUND else f"the clock was set {'forward' if jump > 0 else 'back'} by {abs(jump):.0f} s"
        if now < base["wall"] - BOUND:
            return f"the clock was set back by {base['wall'] - now:.0f} s at least"
        if now > base["wall"] + DOWN:
            return f"the clock was set forward, or the machine was off: {now - base['wall']:.0f} s have passed"
        return None

    def confirm(self) -> dict[str, Any]:
        """
        A person says that the clock is right. Blocks.

        @return: C{doubt}: what was doubted, or C{None}: then nothing is done; C{wall}: what is right; C{size}: leaves, of which none
            is later than that; C{ahead}: seconds by which what was noted before is kept longer, at most; C{sessions}: how many that
            concerns.
        """
        doubt = self._book.fact(DOUBT)
        now = self._wall()
        name, up = self._uptime()
        size = self._size()
        said: dict[str, Any] = {"doubt": doubt, "wall": now, "size": size, "ahead": 0.0, "sessions": 0}
        if doubt is None:
            return said
        base = self._book.fact(BASE) or self._unknown(now)
        # By so much the clock of then may have been behind the one of now. Over a restart nobody knows how much of it was time that
        # passed; what the machine is up since was.
        ahead = now - up - base["began"] if base["boot"] == name else now - up - base["wall"]
        said["ahead"] = max(0.0, ahead)
        said["sessions"] = self._book.rebase(said["ahead"], now, base["size"])
        self._book.setFact(CONFIRMED, {"wall": now, "size": size})
        self._book.setFact(LATEST, now)
        self._leaf = self.latest.at = now
        self._book.setFact(BASE, self._now(now, name, up, now - up))
        self._book.setFact(DOUBT, None)  # last: a kill before has it confirmed once more
        return said
