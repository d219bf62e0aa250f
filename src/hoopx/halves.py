# -*- test-case-name: tests.test_halves -*-
"""
The two directions of a session that may end one after the other, as TCP's do. Nothing calls C{connectionLost} when both are over: a
transport whose halves were closed one by one is watched by nobody any more.
"""

from __future__ import annotations

from typing import Any

from hoopx.values import CLIENT


class Halves:
    """
    @param door: the L{hoopx.door.Door} of a live session.
    """

    __slots__ = ("_closed", "_door", "_over", "_waiting")

    def __init__(self, door: Any) -> None:
        self._door = door
        self._over: list[int] = []
        self._waiting: list[int] = []
        self._closed: set[int] = set()

    def over(self, side: int) -> None:
        """No more comes from there: the other side is told, when it has got all that did."""
        if side not in self._over:
            self._over.append(side)
            self._waiting.append(side)
            self.safe()

    def safe(self) -> None:
        """What was recorded may have become safe, and be sent."""
        door = self._door
        if not self._waiting or door.session.unsafe or door.session.ending is not None:
            return
        waiting, self._waiting = self._waiting, []
        for side in waiting:
            (door.leg.transport if side == CLIENT else door.transport).loseWriteConnection()

    def closed(self, side: int) -> None:
        """The last byte that came from there, and the end, are on their way to the other side."""
        self._closed.add(side)
        if len(self._closed) == 2 and len(self._over) == 2:
            door = self._door
            door.session.end("client-left" if self._over[0] == CLIENT else door.session.leaving)
