# -*- test-case-name: tests.curator.test_asking -*-
"""
Questions that must be answered: each waits for the curator for a while, also through its death and new start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from hoopx.curator.commands import CuratorFailed

PATIENCE: Final = 5.0
"""Seconds that a question waits for its answer: a new start of the curator takes about one."""
WAITING: Final = 2000
"""Questions that may wait: as many as recordings may be beginning at once."""


class Question:
    """One of them."""

    __slots__ = ("answer", "command", "fields", "timer")

    def __init__(self, command: Any, fields: dict[str, Any], answer: Deferred[int]) -> None:
        self.command = command
        self.fields = fields
        self.answer = answer
        self.timer: Any = None


class Openings:
    """
    The questions that wait. Each is idempotent: one that was sent to a curator that died is sent to its successor.

    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param alarm: callable(alarm, text): told when one is not answered, or answered with an error.
    """

    def __init__(self, clock: Any, alarm: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._alarm = alarm
        self._peer: Any = None
        self._waiting: dict[Question, None] = {}
        self._stopped = False

    def add(self, command: Any, **fields: Any) -> Deferred[int]:
        """@return: Deferred[index]; fails with L{CuratorFailed}."""
        if self._stopped:
            return fail(CuratorFailed("the gateway is stopping"))
        if len(self._waiting) >= WAITING:
            return fail(CuratorFailed("too many wait for the ledger"))
        answer: Deferred[int] = Deferred(lambda _: self._cancelled(question))
        question = Question(command, fields, answer)
        question.timer = self._clock.callLater(PATIENCE, self._tooLate, question)
        self._waiting[question] = None
        self._send(question)
        return answer

    def use(self, peer: Any) -> None:
        """There is a curator again."""
        self._peer = peer
        for question in list(self._waiting):
            self._send(question)

    def lose(self) -> None:
        """It is gone."""
        self._peer = None

    def stop(self) -> None:
        """Nobody is asked any more."""
        self._stopped = True
        for question in list(self._waiting):
            self._forget(question)
            question.answer.errback(CuratorFailed("the gateway is stopping"))

    def _send(self, question: Question) -> None:
        peer = self._peer
        if peer is None:
            return
        peer.callRemote(question.command, **question.fields).addCallbacks(
            self._answered, self._refused, callbackArgs=(question,), errbackArgs=(question,)
        )

    def _answered(self, answer: dict[str, Any], question: Question) -> None:
        if self._forget(question):
            question.answer.callback(answer["index"])

    def _refused(self, failure: Failure, question: Question) -> None:
        if not failure.check(CuratorFailed):  # its connection is lost: the next one is asked
            return
        if self._forget(question):
            self._alarm("ledger", failure.getErrorMessage())
            question.answer.errback(failure)

    def _tooLate(self, question: Question) -> None:
        if self._forget(question):
            why = f"the curator has not answered within {PATIENCE:.0f} s"
            self._alarm("ledger", why)
            question.answer.errback(CuratorFailed(why))

    def _cancelled(self, question: Question) -> None:
        self._forget(question)

    def _forget(self, question: Question) -> bool:
        """@return: C{True} when it was still waiting."""
        if question not in self._waiting:
            return False
        del self._waiting[question]
        if question.timer.active():
            question.timer.cancel()
        return True
