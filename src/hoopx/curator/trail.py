# -*- test-case-name: tests.curator.test_trail -*-
"""
Takes the audit into the ledger: each row's hash, in order, whoever wrote it, also what was written while no gateway ran.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hoopx.curator.commands import CuratorFailed

EVERY: Final = 2.0
"""Seconds between two looks."""
PAGE: Final = 200
"""Rows at once: as many questions wait for the curator."""
HOLDS: Final = {"hold.set": True, "hold.lifted": False}


class AuditTrail:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param rows: callable(id, limit) -> Deferred[rows after it, oldest first]: C{id, action, subject, hash}.
    @param curator: L{hoopx.curator.process.Curator}.
    """

    log = Logger()

    def __init__(self, clock: Any, rows: Callable[[int, int], Any], curator: Any) -> None:
        self._rows = rows
        self._curator = curator
        self._position: int | None = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(EVERY)

    def stop(self) -> Deferred[None] | None:
        """What is not in the ledger by now is taken at the next start."""
        if self._loop.running:
            self._loop.stop()
        return None

    def _look(self) -> Any:
        return self._take().addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        if not failure.check(CuratorFailed):
            self.log.failure("The audit could not be read for the ledger.", failure)

    @inlineCallbacks
    def _take(self) -> Any:
        if self._position is None:
            self._position = self._curator.status().get("audit")
            if self._position is None:  # it has not said yet how far it is
                return
        while True:
            rows = yield self._rows(self._position, PAGE)
            if not rows:
                return
            yield gatherResults([self._one(row) for row in rows], consumeErrors=True).addErrback(_first)
            self._position = rows[-1]["id"]

    def _one(self, row: dict[str, Any]) -> Any:
        on = HOLDS.get(row["action"])
        if on is not None and row["subject"]:
            return self._curator.hold(row["subject"], on, row["hash"], row["id"])
        return self._curator.audit(row["hash"], row["id"])


def _first(failure: Any) -> Any:
    """What the first of them failed of."""
    return getattr(failure.value, "subFailure", failure)
