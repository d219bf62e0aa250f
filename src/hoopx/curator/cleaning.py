# -*- test-case-name: tests.curator.test_cleaning -*-
"""
Erases sessions from the index, and afterwards what is left of them in its files: of all that were erased one after the other at once, for
that takes long (L{hoopx.index.traces}). That there is something left is noted before: after a death in between the next start goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hoopx.curator.outage import Outage

TRACES: Final = "traces"
"""The fact that says how many sessions have been erased since nothing was left of any. Where it is not there, nobody knows."""
QUIET: Final = 10.0
"""Seconds without another erasure, before it begins."""
PAUSE: Final = 0.1
"""Seconds between two steps: segments that wait for the index have their turn."""
AGAIN: Final = 60.0
"""Seconds after a failure."""


class Cleaning:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param index: has C{erase(session)} and C{clean()}, or C{None}.
    @param parts: L{hoopx.curator.parts.Parts}.
    @param alarm: callable(alarm, text).
    """

    log = Logger()

    def __init__(self, book: Any, index: Any, parts: Any, clock: Any, alarm: Callable[[str, str], None]) -> None:
        self._book = book
        self._index = index
        self._parts = parts
        self._clock = clock
        self._alarm = alarm
        self._call: Any = None
        self._busy = False
        self._stopped = False
        self._outage = Outage(clock)

    def start(self) -> None:
        """Go on with what was left."""
        if self._index is not None and hasattr(self._index, "clean"):
            self._later(QUIET)

    def stop(self) -> None:
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def erase(self, session: str) -> Deferred[Any]:
        """@return: Deferred[None], when nothing of it is found any more."""
        return succeed(None) if self._index is None else self._erase(session)

    @inlineCallbacks
    def _erase(self, session: str) -> Any:
        yield self._parts.book.call(self._more)
        yield self._parts.bench.call(self._index.erase, session)
        self._later(QUIET)

    def _later(self, seconds: float) -> None:
        if self._stopped or self._busy or not hasattr(self._index, "clean"):
            return
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = self._clock.callLater(seconds, self._begin)

    def _begin(self) -> None:
        self._busy = True
        self._clean().addCallbacks(self._done, self._failed)

    def _done(self, more: bool) -> None:
        self._busy = False
        self._outage.over()
        if more:
            self._later(QUIET)

    def _failed(self, failure: Any) -> None:
        self._busy = False
        if self._outage.failed():
            self.log.failure("What is left of erased sessions can not be removed from the index.", failure)
            self._alarm("index", f"traces of erased sessions can not be removed from the index yet: {failure.getErrorMessage()}")
        self._later(AGAIN)

    @inlineCallbacks
    def _clean(self) -> Any:
        """@return: Deferred[whether sessions were erased meanwhile]."""
        count = yield self._parts.book.call(self._book.fact, TRACES)
        if count == 0:
            return False
        while not (yield self._parts.bench.call(self._index.clean)):
            if self._stopped:
                return False
            yield deferLater(self._clock, PAUSE)
        if self._stopped:
            return False
        more = yield self._parts.book.call(self._none, count)
        if not more:
            self.log.info("Nothing is left of erased sessions in the index.")
        return more

    # In the book's thread:

    def _more(self) -> None:
        self._book.setFact(TRACES, (self._book.fact(TRACES) or 0) + 1)

    def _none(self, count: int | None) -> bool:
        """Nothing is left of so many. @return: whether there are more."""
        if self._book.fact(TRACES) != count:
            return True
        self._book.setFact(TRACES, 0)
        return False
