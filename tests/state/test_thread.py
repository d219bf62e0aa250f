from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hoopx.state.thread import Directly, StateThread, Unavailable

PATIENT = 300.0
"""Seconds: a real thread gets its turn when the machine has time for it."""


class StateThreadTests(TestCase):
    def setUp(self) -> None:
        from twisted.internet import reactor

        self.thread = StateThread(reactor, PATIENT)
        self.thread.start()
        self.addCleanup(self.thread.stop)

    async def test_oneThreadInOrder(self) -> None:
        seen: list[int] = []
        names = await gatherResults(
            [self.thread.call(lambda n=n: (seen.append(n), threading.get_ident())[1]) for n in range(20)]
        )
        self.assertEqual(seen, list(range(20)))
        self.assertEqual(len(set(names)), 1)
        self.assertNotIn(threading.get_ident(), names)

    async def test_failure(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            await self.thread.call(lambda: 1 / 0)

    async def test_stopRunsWhatWasAsked(self) -> None:
        from twisted.internet import reactor

        thread = StateThread(reactor, PATIENT)
        thread.start()
        seen: list[int] = []
        for n in range(5):
            thread.call(seen.append, n)
        thread.stop()
        self.assertEqual(seen, list(range(5)))


class LateTests(SynchronousTestCase):
    """With a thread and a clock that do what the test says."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.callFromThread = lambda function, *arguments: function(*arguments)  # type: ignore[attr-defined]
        self.thread = StateThread(self.clock, 5.0)
        self.turns: list[Any] = []
        self.thread._pool.callInThreadWithCallback = lambda *work: self.turns.append(work)  # type: ignore[method-assign]
        self.told: list[str] = []
        self.thread.stuck = lambda: self.told.append("stuck")

    def turn(self) -> None:
        answered, function, *arguments = self.turns.pop(0)
        answered(True, function(*arguments))

    def test_inTime(self) -> None:
        done = self.thread.call(divmod, 7, 2)
        self.clock.advance(4.9)
        self.turn()
        self.assertEqual(self.successResultOf(done), (3, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noTurn(self) -> None:
        """It failed, so it is not done later; nobody is interrupted for it."""
        seen: list[int] = []
        done = self.thread.call(seen.append, 1)
        self.clock.advance(5)
        self.failureResultOf(done, Unavailable)
        self.turn()
        self.assertEqual((seen, self.told), ([], []))

    def test_noAnswer(self) -> None:
        """Whoever waits for a server is made to fail; the answer that comes all the same is nobody's."""
        done = self.thread.call(lambda: self.clock.advance(5))
        self.turn()
        self.failureResultOf(done, Unavailable)
        self.assertEqual(self.told, ["stuck"])

    def test_patiently(self) -> None:
        done = self.thread.patiently(divmod, 7, 2)
        self.clock.advance(1000)
        self.turn()
        self.assertEqual(self.successResultOf(done), (3, 1))


class DirectlyTests(SynchronousTestCase):
    def test_call(self) -> None:
        self.assertEqual(self.successResultOf(Directly().call(divmod, 7, 2)), (3, 1))
        self.failureResultOf(Directly().call(divmod, 7, 0), ZeroDivisionError)
