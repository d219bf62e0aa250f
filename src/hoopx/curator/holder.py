# -*- test-case-name: tests.curator.test_holder -*-
"""
Writes a leaf for each session that a hold by a filter means, of those that have ended and of those that come to it later; and one for each
that is let go of when it is lifted. So the ledger alone says who is held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.ledger.leaf import leaf
from hoopx.retention.rules import heldBy

PAGE: Final = 200
"""Sessions weighed at once, and leaves of one write: some milliseconds, so that the opening of a session does not wait long behind it."""
SOON: Final = 1.0
"""Seconds between the end of a session and its weighing: many that end together are weighed together."""
AGAIN: Final = 60.0
"""Seconds before it is tried again when the disk does not let it."""


class Holder:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param threads: for the book.
    @param scribe: L{hoopx.curator.scribe.Scribe}.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param wall: seconds since the epoch.
    @param alarm: callable(alarm, text).
    @param released: callable(): sessions were let go of.
    """

    log = Logger()

    def __init__(
        self,
        book: Any,
        threads: Any,
        scribe: Any,
        clock: Any,
        wall: Callable[[], float],
        alarm: Callable[[str, str], None],
        released: Callable[[], Any] = lambda: None,
    ) -> None:
        self._book = book
        self._threads = threads
        self._scribe = scribe
        self._clock = clock
        self._wall = wall
        self._alarm = alarm
        self._released = released
        self._told: Sequence[Mapping[str, Any]] | None = None
        self._call: Any = None
        self._busy = False
        self._more = False
        self._stopped = False

    def told(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """@param rows: all holds that the state store knows of. Before they are told nothing is let go of."""
        self._told = rows
        self.wake(0.0)

    def lifted(self, hold: int) -> None:
        """One that the state store has told of is lifted."""
        if self._told is not None:
            self._told = [row for row in self._told if row["id"] != hold]
        self.wake(0.0)

    def wake(self, seconds: float = SOON) -> None:
        """There may be something to write."""
        if self._busy:
            self._more = True
        elif self._call is None and not self._stopped:
            self._call = self._clock.callLater(seconds, self._go)

    def stop(self) -> None:
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _go(self) -> None:
        self._call, self._busy, self._more = None, True, False
        self._round().addErrback(self._failed).addCallback(self._over)

    @inlineCallbacks
    def _round(self) -> Any:
        standing = [row for row in (yield self._threads.call(self._book.holding)) if row["filter"] is not None]
        for row in standing:
            if row["after"] is not None:
                yield self._through(row)
        while standing and not self._stopped:
            found = yield self._threads.call(self._book.unweighed, PAGE)
            yield self._set(standing, found)
            yield self._threads.call(self._book.weighed, [session for session, _, _ in found])
            if not found:
                break
        if self._told is not None:
            for row in (yield self._threads.call(self._book.holding, True)):
                yield self._lift(row)

    @inlineCallbacks
    def _through(self, row: dict[str, Any]) -> Any:
        after = row["after"]
        while after is not None and not self._stopped:
            found = yield self._threads.call(self._book.weighable, after, PAGE)
            yield self._set([row], found)
            after = found[-1][0] if len(found) == PAGE else None
            yield self._threads.call(self._book.weighedTo, row["audit"], after)

    @inlineCallbacks
    def _set(self, rows: Sequence[dict[str, Any]], found: Sequence[tuple[str, dict[str, Any], bool]]) -> Any:
        """@param found: sessions: whom a hold means and who is not held has a leaf afterwards."""
        means = [(session, heldBy(rows, session, head)) for session, head, held in found if not held]
        yield self._write("hold-set", [(session, row["audit"]) for session, row in means if row is not None])

    @inlineCallbacks
    def _lift(self, row: dict[str, Any]) -> Any:
        after = row["after"]
        while not self._stopped:
            others = [*(yield self._threads.call(self._book.holding)), *(self._told or ())]
            found = yield self._threads.call(self._book.heldAfter, after, PAGE)
            free = [
                session
                for session, head, _ in found
                if heldBy([row], session, head) is not None and heldBy(others, session, head) is None
            ]
            yield self._write("hold-lifted", [(session, row["lifted"]) for session in free])
            if len(found) < PAGE:
                yield self._threads.call(self._book.fallen, row["audit"])
                self._released()
                return
            after = found[-1][0]
            yield self._threads.call(self._book.weighedTo, row["audit"], after, True)

    @inlineCallbacks
    def _write(self, kind: str, acts: Sequence[tuple[str, str]]) -> Any:
        """@param acts: session and hash of the audit's row."""
        if not acts:
            return
        at = self._wall()
        indexes = yield self._scribe.append([leaf(kind, at, session=session, audit=audit) for session, audit in acts])
        said = [(session, index) for (session, _), index in zip(acts, indexes)]
        yield self._threads.call(self._book.holdAll, said, kind == "hold-set")

    def _failed(self, failure: Failure) -> bool:
        self.log.failure("What holds mean can not be written into the ledger.", failure)
        self._alarm("hold", f"what holds mean can not be written into the ledger: {failure.getErrorMessage()}; it is tried again")
        return True

    def _over(self, failed: Any) -> None:
        self._busy = False
        if failed:
            self.wake(AGAIN)
        elif self._more:
            self.wake()
