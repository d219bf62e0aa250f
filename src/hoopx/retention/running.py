# -*- test-case-name: tests.retention.test_running -*-
"""
Retention in the gateway: asks the curator whose time is over, looks who is held, writes the audit, and has the rest erased.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hoopx.errors import HoopxError
from hoopx.retention.rules import heldBy

EVERY: Final = 3600.0
"""Seconds between two runs without anybody asking."""
MYSELF: Final = "retention"


class Retention:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param curator: has C{expired(after)}, C{erase(session, audit)}, C{confirmClock()}, each a Deferred.
    @param holding: callable() -> Deferred[rows of the holds that hold].
    @param audit: callable(actor, action, subject, details) -> Deferred[hash of the row].
    @param alarm: callable(alarm, fields).
    @param caughtUp: callable() -> Deferred, when the curator knows of every hold that was set or lifted by now.
    """

    log = Logger()

    def __init__(
        self, clock: Any, curator: Any, holding: Callable[[], Any], audit: Callable[..., Any], alarm: Callable[[str, Any], None],
        caughtUp: Callable[[], Any],
    ) -> None:  # fmt: skip
        self._caughtUp = caughtUp
        self._curator = curator
        self._holding = holding
        self._audit = audit
        self._alarm = alarm
        self._busy = False
        self._loop = LoopingCall(self._hourly)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(EVERY, now=False)

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    def _hourly(self) -> Any:
        def failed(failure: Any) -> None:
            if not failure.check(HoopxError):
                self.log.failure("Retention failed.", failure)
            self._alarm("retention", {"why": failure.getErrorMessage()})

        return self.run(MYSELF).addErrback(failed)

    @inlineCallbacks
    def run(self, by: str, dry: bool = False, confirm: bool = False) -> Any:
        """
        @param by: who asks, for the audit.
        @param dry: say what would be done.
        @param confirm: the person says that the clock is right.
        @return: Deferred[list of C{{"session", "target", "ended", "keep", "done", "why"}}]; C{done}: C{"erased"}, C{"would be erased"},
            C{"held"} or C{"failed"}. Fails with a L{HoopxError} when nothing can be erased at all.
        """
        if self._busy:
            raise HoopxError("retention is at work already: try again later")
        self._busy = True
        try:
            if confirm:
                yield self._audit(by, "retention.confirm-clock", "", {})
                said = yield self._curator.confirmClock()
                yield self._audit(by, "retention.clock-confirmed", "", said)
            yield self._caughtUp()
            told: list[dict[str, Any]] = []
            after = ""
            while True:
                page = yield self._curator.expired(after)
                if not page:
                    return told
                for each in page:
                    told.append((yield self._one(each, by, dry)))
                after = page[-1]["session"]
        finally:
            self._busy = False

    @inlineCallbacks
    def _one(self, found: dict[str, Any], by: str, dry: bool) -> Any:
        session, head = found["session"], found["head"]
        line = {"session": session, "target": (head or {}).get("target"), "ended": found["ended"], "keep": found["keep"], "why": ""}
        hold = heldBy((yield self._holding()), session, head)  # each time: a hold that is set meanwhile holds
        if hold is not None:
            return {**line, "done": "held", "why": str(hold["reason"])}
        if found.get("held"):  # by the ledger's word, or the curator's: the state store may be an old copy
            return {**line, "done": "held", "why": found["held"]}
        if dry:
            return {**line, "done": "would be erased"}
        try:
            audit = yield self._audit(by, "retention.erase", session, {"ended": found["ended"], "keep": found["keep"]})
            # Once more: then no hold that stands in the audit before this row has been overlooked.
            hold = heldBy((yield self._holding()), session, head)
            if hold is not None:
                return {**line, "done": "held", "why": str(hold["reason"])}
            yield self._curator.erase(session, audit)
        except HoopxError as error:
            self.log.error("{session} is not erased: {why}", session=session, why=str(error))
            return {**line, "done": "failed", "why": str(error)}
        return {**line, "done": "erased"}
