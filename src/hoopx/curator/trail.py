# -*- test-case-name: tests.curator.test_trail -*-
"""
Takes the audit into the ledger: each row's hash, in order, whoever wrote it, also what was written while no gateway ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock, gatherResults, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.outage import Outage

EVERY: Final = 2.0
"""Seconds between two looks."""
PAGE: Final = 200
"""Rows at once: as many questions wait for the curator."""
AWAY: Final = 60.0
"""Seconds that rows may wait for the ledger, or the curator be away, before there is an alarm: a new start takes about one."""
ENDING: Final = 2.0
"""Seconds that a stop waits for what is under way: the curator may not answer any more."""
HOLDS: Final = {"hold.set": True, "hold.lifted": False}


class AuditTrail:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param rows: callable(id, limit) -> Deferred[rows after it, oldest first]: C{id, action, subject, details, hash}.
    @param curator: L{hoopx.curator.process.Curator}.
    @param alarm: callable(alarm, fields).
    """

    log = Logger()

    def __init__(
        self, clock: Any, rows: Callable[[int, int], Any], curator: Any, alarm: Callable[[str, Any], None] = lambda alarm, fields: None
    ) -> None:
        self._clock = clock
        self._alarm = alarm
        self._outage = Outage(clock, AWAY)
        self._idle: Deferred[None] | None = None
        self._rows = rows
        self._curator = curator
        self._position: int | None = None
        self._known = ""  # its hash
        self._turn = DeferredLock()
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(EVERY)

    def stop(self) -> Deferred[None] | None:
        """
        What is not in the ledger by now is taken at the next start.

        @return: Deferred[None], when the state store is not asked any more; or C{None}.
        """
        if self._loop.running:
            self._loop.stop()
        return ending(self._idle, self._clock)

    def caughtUp(self) -> Deferred[None]:
        """
        What was written down by now is on its way no longer: a hold that was lifted a moment ago is lifted for the curator, too.

        @return: Deferred[None]; fails with L{CuratorFailed}, or with what the state store says.
        """
        return self._turn.run(self._take)

    def _look(self) -> Any:
        idle = self._idle = Deferred()

        def over(_: Any) -> None:
            self._idle = None
            idle.callback(None)

        return self._turn.run(self._take).addCallbacks(self._taken, self._failed).addBoth(over)

    def _taken(self, _: Any) -> None:
        if self._outage.over():
            self.log.info("The audit is in the ledger again.")

    def _failed(self, failure: Any) -> None:
        if self._outage.failed():
            why = f"the audit has not reached the ledger for {self._outage.seconds:.0f} s: {failure.getErrorMessage()}"
            self._alarm("audit-behind", {"why": why})
        if not failure.check(CuratorFailed):
            self.log.failure("The audit could not be read for the ledger.", failure)

    @inlineCallbacks
    def _take(self) -> Any:
        if self._position is None:
            self._position, self._known = yield self._curator.audited()
        while True:
            rows = yield self._fresh()
            if not rows or not self._loop.running:
                return
            for several in _apart(rows):
                yield gatherResults([self._one(row) for row in several], consumeErrors=True).addErrback(_first)
                self._position, self._known = several[-1]["id"], several[-1]["hash"]

    @inlineCallbacks
    def _fresh(self) -> Any:
        """
        @return: Deferred[rows that come next]: where the audit is not the one that was told, but an older copy that has gone on, all of it
            is told once more: what is in the ledger already is not added again. It may become one at any time.
        """
        if self._position:
            rows = yield self._rows(self._position - 1, PAGE + 1)
            if rows and (rows[0]["id"], rows[0]["hash"]) == (self._position, self._known):
                return rows[1:]
            self.log.warn("The state store is another one than before, or an older copy: its whole audit is taken into the ledger.")
            self._position = 0
        return (yield self._rows(0, PAGE))

    def _one(self, row: dict[str, Any]) -> Any:
        on = HOLDS.get(row["action"])
        if on is not None:
            said = row.get("details") or {}
            return self._curator.hold(row["subject"], on, row["hash"], row["id"], said.get("hold") or 0, said.get("filter"))
        return self._curator.audit(row["hash"], row["id"])


def _apart(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The same rows: each hold is by itself, for it takes the curator several steps, and nothing is to overtake it."""
    several: list[dict[str, Any]] = []
    for row in rows:
        if row["action"] not in HOLDS:
            several.append(row)
            continue
        if several:
            yield several
        yield [row]
        several = []
    if several:
        yield several


def ending(idle: Deferred[None] | None, clock: Any) -> Deferred[None] | None:
    """@param idle: fires when something that is under way is over, or C{None}. @return: the same, but soon."""
    return None if idle is None else idle.addTimeout(ENDING, clock).addErrback(lambda _: None)


def _first(failure: Any) -> Any:
    """What the first of them failed of."""
    return getattr(failure.value, "subFailure", failure)
