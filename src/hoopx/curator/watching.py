# -*- test-case-name: tests.curator.test_watching -*-
"""
A look at the wall clock every minute: what it does in between two erasures would not be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred

EVERY: Final = 60.0
"""Seconds between two looks."""


class ClockWatch:
    """
    @param look: callable() -> Deferred[str | None]: why the clock is not believed (L{hoopx.retention.clock.ClockGuard.look}).
    @param confirm: callable() -> Deferred: a person says that it is right.
    @param clock: L{twisted.internet.interfaces.IReactorTime}: the monotonic one.
    @param alarm: callable(alarm, text).
    @ivar doubt: why it is not believed, or C{None}.
    """

    def __init__(
        self, look: Callable[[], Deferred[Any]], confirm: Callable[[], Deferred[Any]], clock: Any, alarm: Callable[[str, str], None]
    ) -> None:
        self._look = look
        self._confirm = confirm
        self._clock = clock
        self._alarm = alarm
        self._next: Any = None
        self._ended = False
        self.doubt: str | None = None

    def start(self) -> None:
        """Look now, and again and again."""
        self._look().addBoth(self._seen)

    def _seen(self, doubt: Any) -> None:
        doubt = doubt if isinstance(doubt, str) else None
        if doubt is not None and doubt != self.doubt:
            self._alarm("clock", f"{doubt}; nothing is erased until somebody says that it is right")
        self.doubt = doubt
        if not self._ended:
            self._next = self._clock.callLater(EVERY, self.start)

    def confirmed(self) -> Deferred[Any]:
        """Somebody says that the clock is right. @return: Deferred[what C{confirm} says]"""

        def done(said: Any) -> Any:
            self.doubt = None
            return said

        return self._confirm().addCallback(done)

    def stop(self) -> None:
        """Look no more."""
        self._ended = True
        if self._next is not None and self._next.active():
            self._next.cancel()
