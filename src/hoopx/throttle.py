# -*- test-case-name: tests.test_throttle -*-
"""
Reasons to stop reading from either side of a relay, kept in one place: back-pressure, a hold and a slow disk may end in any order.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from hoopx.values import CLIENT, TARGET

REASONS: Final = {"backpressure": 1, "hold": 2, "recording": 4}


class Throttle:
    """Two transports, and for each the set (a bit mask) of reasons not to read from it."""

    __slots__ = ("_masks", "_transports")

    def __init__(self) -> None:
        self._masks = [0, 0, 0]
        self._transports: tuple | None = None

    def begin(self, client: Any, target: Any) -> None:
        """Each side is read only as fast as the other takes in."""
        self._transports = (None, client, target)
        client.registerProducer(_Valve(self, TARGET), True)
        target.registerProducer(_Valve(self, CLIENT), True)

    def end(self) -> None:
        """A registered producer would keep a transport from closing."""
        if self._transports is not None:
            _, client, target = self._transports
            self._transports = None
            client.unregisterProducer()
            target.unregisterProducer()

    def both(self, change: Any, reason: str) -> None:
        """C{change} is L{pause} or L{resume}, for both sides."""
        change(CLIENT, reason)
        change(TARGET, reason)

    def pause(self, side: int, reason: str) -> None:
        mask = self._masks[side]
        self._masks[side] = mask | REASONS[reason]
        if not mask and self._transports is not None:
            self._transports[side].pauseProducing()

    def resume(self, side: int, reason: str) -> None:
        mask = self._masks[side]
        self._masks[side] = left = mask & ~REASONS[reason]
        if mask and not left and self._transports is not None:
            self._transports[side].resumeProducing()


@implementer(IPushProducer)
class _Valve:
    """Tells one side to wait while the other's buffer is full."""

    __slots__ = ("_side", "_throttle")

    def __init__(self, throttle: Throttle, side: int) -> None:
        self._throttle = throttle
        self._side = side

    def pauseProducing(self) -> None:
        self._throttle.pause(self._side, "backpressure")

    def resumeProducing(self) -> None:
        self._throttle.resume(self._side, "backpressure")

    def stopProducing(self) -> None:
        """The consumer is gone: the door hears of it, and ends the session."""
