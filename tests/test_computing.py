"""
Computations in threads: once for all who ask, not for those who have left, and only so many.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hoopx.computing import WAITING_LIMIT, Computing
from hoopx.errors import Refusal


class Threads:
    """Threads that work when they are told to."""

    def __init__(self) -> None:
        self.queue: list[tuple] = []

    def call(self, work: Any, *arguments: Any) -> Deferred:
        done: Deferred = Deferred()
        self.queue.append((done, work, arguments))
        return done

    def work(self) -> Any:
        """One thread does its work. @return: what tells the reactor of it."""
        done, work, arguments = self.queue.pop(0)
        try:
            result = work(*arguments)
        except Exception:
            failure = Failure()
            return lambda: done.errback(failure)
        return lambda: done.callback(result)


class ComputingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = Threads()
        self.compute = Computing(self.threads)
        self.done: list[tuple] = []

    def double(self, number: int) -> int:
        self.done.append((number,))
        return 2 * number

    def run_(self) -> None:
        self.threads.work()()

    def test_once(self) -> None:
        """Who asks for the same meanwhile gets the same."""
        asked = [self.compute(self.double, 4), self.compute(self.double, 5), self.compute(self.double, 4)]
        self.assertEqual(self.done, [])
        self.run_()
        self.run_()
        self.assertEqual([self.successResultOf(each) for each in asked], [8, 10, 8])
        self.assertEqual(self.done, [(4,), (5,)])

    def test_forgotten(self) -> None:
        """Nothing is kept: arguments are secrets."""
        self.compute(self.double, 4)
        self.run_()
        self.assertEqual(self.compute._askers, {})
        self.compute(self.double, 4)
        self.run_()
        self.assertEqual(len(self.done), 2)

    def test_failed(self) -> None:
        asked = [self.compute(int, "x"), self.compute(int, "x")]
        self.run_()
        for each in asked:
            self.failureResultOf(each, ValueError)

    def test_gone(self) -> None:
        """When nobody waits any more nothing is computed; one who stays gets his result."""
        first, second, stays = self.compute(self.double, 4), self.compute(self.double, 4), self.compute(self.double, 5)
        for each in (first, second):
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.run_()
        self.run_()
        self.assertEqual((self.done, self.successResultOf(stays)), ([(5,)], 10))

    def test_askedAgain(self) -> None:
        """Who comes while it is being given up is not forgotten."""
        self.compute(self.double, 4).addErrback(lambda _: None).cancel()
        told = self.threads.work()
        again = self.compute(self.double, 4)
        told()
        self.assertNoResult(again)
        self.run_()
        self.assertEqual(self.successResultOf(again), 8)

    def test_cancelledByAnother(self) -> None:
        """What fires may cancel what is next."""
        first, second = self.compute(self.double, 4), self.compute(self.double, 4)
        first.addCallback(lambda _: second.cancel())
        self.run_()
        self.failureResultOf(second, CancelledError)

    def test_limit(self) -> None:
        for number in range(WAITING_LIMIT):
            self.compute(self.double, number)
        self.assertNoResult(self.compute(self.double, 0))
        refused = self.failureResultOf(self.compute(self.double, WAITING_LIMIT), Refusal)
        self.assertEqual(refused.value.code, "limit")
        self.run_()
        self.assertNoResult(self.compute(self.double, WAITING_LIMIT))
