# -*- test-case-name: tests.retention.test_holding -*-
"""
Tells the curator which holds hold, so that the store locks what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.trail import ending

EVERY: Final = 5.0
"""Seconds between two looks: holds are also set by people's commands, which tell nobody."""


class HoldsTold:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param holding: callable() -> Deferred[rows of the holds that hold].
    @param curator: L{hoopx.curator.process.Curator}.
    """

    log = Logger()

    def __init__(self, clock: Any, holding: Callable[[], Any], curator: Any) -> None:
        self._holding = holding
        self._curator = curator
        self._told: Any = None
        self._idle: Deferred[None] | None = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(EVERY)

    def stop(self) -> Deferred[None] | None:
        """@return: Deferred[None], when the state store is not asked any more; or C{None}."""
        if self._loop.running:
            self._loop.stop()
        return ending(self._idle, self._loop.clock)

    def _look(self) -> Any:
        idle = self._idle = Deferred()

        def over(_: Any) -> None:
            self._idle = None
            idle.callback(None)

        return self._tell().addErrback(self._failed).addBoth(over)

    @inlineCallbacks
    def _tell(self) -> Any:
        status = self._curator.status()
        if status.get("state") != "ready":
            return
        rows = yield self._holding()
        said = (status.get("starts"), [(row["id"], row["session"], row["filter"]) for row in rows])
        if said != self._told:  # others than before, or another curator
            yield self._curator.holds(rows)
            self._told = said

    def _failed(self, failure: Any) -> None:
        if not failure.check(CuratorFailed):  # it is asked again
            self.log.failure("The holds could not be read for the store.", failure)
