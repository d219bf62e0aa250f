# -*- test-case-name: tests.index.test_search -*-
"""
How long a search of a file may take, and when another way is better.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Final, Iterator

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

SECONDS: Final = 30.0
"""A search that takes longer is broken off: the question was too wide, and somebody waits."""
HURRY: Final = 0.025
"""Seconds of work within which nearly every question is answered by a walk from the newest on; what takes more is looked for otherwise."""
STEPS: Final = 500
"""Of SQLite's machine, between two looks at the clock; FTS5 takes three for each page of places that it reads."""


class Patience:
    """
    @param now: seconds, of a clock that nobody sets.
    @param worked: seconds that the thread has had of a processor: another way is no better because others are at work, too.
    @ivar lost: something was broken off because it took too long: whatever error that became (FTS5 may call it by other names).
    """

    def __init__(self, now: Callable[[], float], worked: Callable[[], float]) -> None:
        self._now = now
        self._worked = worked
        self._until = now() + SECONDS
        self._soon: float | None = None
        self._hasty = False
        self.lost = False

    @contextmanager
    def watching(self, connection: Connection, enough: Callable[[], bool] | None = None) -> Iterator[None]:
        """
        While this lasts, what the connection does is broken off when it takes too long. Does nothing for a server, which has its own limit.

        @param enough: nobody waits for it any more. C{None}: it is that which is hurried.
        """
        raw: Any = connection.connection.driver_connection if connection.dialect.name == "sqlite" else None
        if raw is not None:
            raw.set_progress_handler(self._isOver if enough is None else lambda: enough() or self._isLost(self._now()), STEPS)
        try:
            yield
        finally:
            if raw is not None:
                raw.set_progress_handler(None, 0)

    def hurried(self, ask: Callable[[], list[int]]) -> list[int] | None:
        """@return: what there is, or C{None} when that takes longer than it mostly does."""
        self._soon = self._worked() + HURRY
        self._hasty = False
        try:
            return ask()
        except DBAPIError:
            if self._hasty and not self.lost:
                return None
            raise
        finally:
            self._soon = None

    def _isOver(self) -> bool:
        if self._soon is not None and self._worked() > self._soon:
            self._hasty = True
            return True
        return self._isLost(self._now())

    def _isLost(self, now: float) -> bool:
        self.lost = self.lost or now > self._until
        return self.lost
