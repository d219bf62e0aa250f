# -*- test-case-name: tests.state.test_lapse -*-
"""
The time in which rows of the audit can not be written: it is told, and what was done all the same is put down at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.state.aside import Aside, reason
from hoopx.state.rows import auditRow
from hoopx.state.store import Store
from hoopx.state.thread import Threads
from hoopx.state.waiting import WAITING, Waiting

DELAY: Final = 2.0
"""Seconds until the alarm: whether the store answers at all is asked every second by somebody else, whose alarm says more."""
MINUTE: Final = 60.0
"""Seconds between two alarms, at least: a disk that is full to the last page fails every other row."""


class Lapse:
    """
    @param threads: where the store's calls run.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param now: the wall clock, in seconds since the epoch.
    @param alarm: callable(alarm, fields).
    @param known: callable(): somebody has told already that the store does not answer at all.
    @param aside: where rows are kept that the store refuses.
    @ivar trouble: why rows can not be written, or C{None}.
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        threads: Threads,
        clock: Any,
        now: Callable[[], float],
        alarm: Callable[[str, dict[str, Any]], Any],
        known: Callable[[], bool] = lambda: False,
        aside: Aside | None = None,
    ) -> None:
        self._clock = clock
        self._now = now
        self._alarm = alarm
        self._waiting = Waiting(store, threads, clock, WAITING + 1, self._last, self._over, self.failed, aside)
        self._since = 0.0
        self._known = known
        self._told: float | None = None
        self._telling: Any = None
        self._silent = True
        self._stopped = False
        self.trouble: str | None = None

    def failed(self, failure: Failure) -> None:
        """A row could not be written."""
        if self.trouble is None:
            self._since = self._now()
            self.trouble = f"the audit can not be written: {reason(failure.value)}"
            self.log.failure("The audit can not be written; it is tried again every few seconds.", failure)
            self._silent = True
            if self._telling is None and not self._stopped:
                self._telling = self._clock.callLater(DELAY, self._tell)
        elif self._silent and self._telling is None:
            self._tell()
        self._waiting.later()

    def late(self, row: dict[str, Any]) -> None:
        """Something was done without its row: that is written as soon as it can be."""
        self._waiting.add(row)

    def stop(self) -> Deferred[None] | None:
        """@return: Deferred[None], when what waits is written, or can not be; C{None}: nothing waits."""
        self._stopped = True
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        return self._waiting.stop()

    def _tell(self) -> None:
        """Once an outage."""
        self._telling = None
        now = self._clock.seconds()
        if self.trouble is None or self._known() or (self._told is not None and now - self._told < MINUTE):
            return
        self._told, self._silent = now, False
        self._alarm("audit", {"why": f"{self.trouble}. What needs a row of it first is refused; status and kill go on without"})

    def _last(self, late: int, lost: int) -> list[dict[str, Any]]:
        """Also when nothing was done meanwhile: whether it can be written is seen by writing it."""
        return [auditRow(self._now(), "gateway", "audit.resumed", "", {"since": self._since, "late": late, "lost": lost})]

    def _over(self) -> None:
        self.trouble = None
        self.log.info("The audit can be written again.")
