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

    __slots__ = ("_closed", "_door", "_over")

    def __init__(self, door: Any) -> None:
        self._door = door
        self._over: list[int] = []
        self._closed: set[int] = set()

    def over(self, side: int) -> None:
        """No more comes from there."""
        if side not in self._over:
            self._over.append(side)

    def closed(self, side: int) -> None:
        """The last byte that came from there, and the end, are on their way to the other side."""
        self._closed.add(side)
        if len(self._closed) == 2 and len(self._over) == 2:
            door = self._door
            door.session.end("client-left" if self._over[0] == CLIENT else door.session.leaving)
