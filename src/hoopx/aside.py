# -*- test-case-name: tests.test_door -*-
"""
One more connection to a session's target, for something short, such as PostgreSQL's CancelRequest.
"""

from __future__ import annotations

from typing import Any, Callable, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx import leg
from hoopx.values import Target

DEADLINE: Final = 10.0
"""Seconds; a cancel that takes longer is of no use to anybody."""


class Aside:
    """
    Owner of the extra connection.

    @param conversation: has C{targetCodec}, C{targetHandlers}, C{targetReady(aside)}.
    @param over: called once, when the connection is closed or did not come about.
    """

    __slots__ = ("_broker", "_conversation", "_deadline", "_leg", "_over", "_pending", "_target")

    log = Logger()

    def __init__(self, broker: Any, target: Target, conversation: Any, over: Callable[[], None]) -> None:
        self._broker = broker
        self._target = target
        self._conversation = conversation
        self._over = over
        self._leg: leg.Leg | None = None
        self._deadline: Any = None
        self._pending: Deferred | None = None

    def begin(self) -> None:
        self._deadline = self._broker.clock.callLater(DEADLINE, self._tooLate)
        self._pending = leg.connect(self._broker.clock, self._target, self)
        self._pending.addCallbacks(self._connected, self._failed)

    def _connected(self, connected: leg.Leg) -> None:
        self._leg, self._pending = connected, None
        try:
            self._conversation.targetReady(self)
        except Exception:
            self._failed(Failure())

    def ask(self, data: bytes) -> None:
        self._leg.transport.write(data)  # type: ignore[union-attr]

    def startTLS(self, side: int) -> Deferred:
        return self._leg.startTLS(self._broker.tls, self._target, self._conversation.targetCodec)  # type: ignore[union-attr]

    def close(self) -> None:
        if self._leg is not None:
            self._leg.close()

    def targetData(self, data: bytes) -> None:
        try:
            for kind, raw in self._conversation.targetCodec.feed(data):
                handler = self._conversation.targetHandlers.get(kind)
                if handler is not None:
                    handler(raw)
        except Exception:
            self._failed(Failure())

    def targetHalfClosed(self) -> None:
        self.close()

    def targetLost(self, reason: Failure) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._over()

    def _tooLate(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
        if self._leg is not None:
            self._leg.abort()

    def _failed(self, failure: Failure) -> None:
        self.log.warn("an extra connection to {target} failed: {why}", target=self._target.name, why=failure.getErrorMessage())
        if self._leg is not None:
            self._leg.abort()
            return
        if self._deadline.active():
            self._deadline.cancel()
        self._over()
