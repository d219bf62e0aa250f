# -*- test-case-name: tests.curator.test_pipeline -*-
"""
Sealed segments on their way into the ledger: in order within a session, a few sessions at once, and one that can not be processed
holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import OperationalError
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.commands import CuratorFailed
from hoopx.errors import HoopxError

WIDE: Final = 2
"""Sessions at work at once. Packing is bound by the processor, and the gateway has a better use for most of it."""
TURN: Final = 4
"""Segments of one session before another one's turn."""
FIRST: Final = 1.0
"""Seconds before a session whose processing failed for the disk is tried again..."""
LONGEST: Final = 60.0
"""...twice as long each time, up to this."""
LATE: Final = 600.0
"""Seconds that what is sealed may wait for its leaf before there is an alarm: so old, C{verify --strict} wants it in the ledger."""


class Pipeline:
    """
    @param bench: L{hoopx.curator.bench.Bench}.
    @param scribe: L{hoopx.curator.scribe.Scribe}.
    @param threads: for the bench.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param alarm: callable(alarm, text).
    @param logged: callable(): segments have got their leaves.
    @ivar quarantined: session -> why it can not be processed. Each start of the curator tries again.
    @ivar done: segments that have got their leaf since the start.
    """

    log = Logger()

    def __init__(
        self,
        bench: Any,
        scribe: Any,
        threads: Any,
        clock: Any,
        alarm: Callable[[str, str], None],
        logged: Callable[[], None] | None = None,
        wide: int = WIDE,
    ) -> None:
        self._bench = bench
        self._scribe = scribe
        self._threads = threads
        self._clock = clock
        self._alarm = alarm
        self._logged = logged
        self._wide = wide
        self._waiting: dict[str, str] = {}
        self._running: set[str] = set()
        self._again: dict[str, str] = {}
        self._pauses: dict[str, float] = {}
        self._later: dict[str, Any] = {}
        self._idle: list[Deferred[None]] = []
        self._since: dict[str, float] = {}  # when a session has begun to wait: the longest first
        self._told = False
        self._stopped = False
        self.quarantined: dict[str, str] = {}
        self.done = 0

    @property
    def waiting(self) -> int:
        """Sessions of which something waits or is at work."""
        return len(self._waiting) + len(self._running) + len(self._later)

    def look(self, session: str, path: str) -> None:
        """There may be something to do for a session."""
        if session in self.quarantined or self._stopped:
            return
        self._since.setdefault(session, self._clock.seconds())
        self._late()
        if session in self._later:
            return
        if session in self._running:
            self._again[session] = path
            return
        self._waiting.setdefault(session, path)
        self._pump()

    def stop(self) -> Deferred[None]:
        """Begin nothing new. @return: Deferred[None], when nothing is at work."""
        self._stopped = True
        self._waiting.clear()
        self._again.clear()
        for call in self._later.values():
            call.cancel()
        self._later.clear()
        return self.whenIdle()

    def whenIdle(self) -> Deferred[None]:
        """@return: Deferred[None], when nothing waits or is at work (what failed and is to be tried again aside)."""
        if not self._running and not self._waiting:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    def _pump(self) -> None:
        while self._waiting and len(self._running) < self._wide:
            session = next(iter(self._waiting))
            path = self._waiting.pop(session)
            self._running.add(session)
            self._one(session, path).addErrback(self._failed, session, path).addCallback(self._over, session, path)

    @inlineCallbacks
    def _one(self, session: str, path: str) -> Any:
        """@return: Deferred[C{True}] when there may be more."""
        for _ in range(TURN):
            step = yield self._threads.call(self._bench.step, session, path)
            if step is None:
                self._caughtUp(session)
                return False
            indexes = yield self._scribe.append(step.leaves)
            yield self._threads.call(self._bench.logged, step, indexes)
            self._pauses.pop(session, None)
            self.done += 1
            self._late()
            if self._logged is not None:
                self._logged()
            if self._stopped:
                return False
        return True

    def _failed(self, failure: Failure, session: str, path: str) -> bool:
        if failure.check(OSError, CuratorFailed, OperationalError):  # the last: the book's disk is full, or fails
            pause = self._pauses.get(session, FIRST)
            self._pauses[session] = min(pause * 2, LONGEST)
            self.log.warn(
                "{session}: tried again in {pause:.0f} s: {why}", session=session, pause=pause, why=failure.getErrorMessage()
            )
            if not self._stopped:
                self._later[session] = self._clock.callLater(pause, self._retry, session, path)
            return False
        why = failure.getErrorMessage()
        if not failure.check(ValueError, HoopxError):
            self.log.failure("{session} can not be processed.", failure, session=session)
        self.quarantined[session] = why
        self._caughtUp(session)
        self._alarm("quarantined", f"the recording {session} can not be processed and is left where it is: {why}")
        return False

    def _caughtUp(self, session: str) -> None:
        self._since.pop(session, None)
        self._late()

    def _late(self) -> None:
        """A busy machine leaves the index little, and all evidence waits behind it: that may go on unseen, for nothing fails."""
        session = next(iter(self._since), None)
        waited = 0.0 if session is None else self._clock.seconds() - self._since[session]
        if waited >= LATE and not self._told:
            self._told = True
            why = f"what is sealed has waited for the ledger, and the store, for {waited:.0f} s: the recording {session} first"
            self._alarm("behind", f"{why}; {self.waiting} sessions wait. The machine is too busy, or the log says what fails")
        elif waited < LATE / 2 and self._told:
            self._told = False
            self.log.info("What is sealed does not wait long for the ledger any more.")

    def _retry(self, session: str, path: str) -> None:
        del self._later[session]
        self.look(session, path)

    def _over(self, more: bool, session: str, path: str) -> None:
        self._running.discard(session)
        again = self._again.pop(session, None)
        if more or again is not None:
            self.look(session, again or path)
        self._pump()
        if not self._running and not self._waiting:
            idle, self._idle = self._idle, []
            for each in idle:
                each.callback(None)
