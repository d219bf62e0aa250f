# -*- test-case-name: tests.curator.test_alarms -*-
"""
Alarms that do not drown the one who is told: a defect that meets every session is told a few times a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

ALARMS: Final = 10
"""Alarms of one kind..."""
MINUTE: Final = 60.0
"""...in so many seconds. All of them are in the log."""


class Alarms:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param tell: callable(alarm, text).
    """

    log = Logger()

    def __init__(self, clock: Any, tell: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._told: dict[str, list[float]] = {}

    def __call__(self, alarm: str, text: str) -> None:
        now = self._clock.seconds()
        told = self._told[alarm] = [at for at in self._told.get(alarm, ()) if now - at < MINUTE]
        if len(told) < ALARMS:
            told.append(now)
            self._tell(alarm, text)
        else:
            self.log.error("{alarm}: {text}", alarm=alarm, text=text)
