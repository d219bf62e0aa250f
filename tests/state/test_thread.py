from __future__ import annotations

import threading

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hoopx.state.thread import Directly, StateThread


class StateThreadTests(TestCase):
    def setUp(self) -> None:
        from twisted.internet import reactor

        self.thread = StateThread(reactor)
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

        thread = StateThread(reactor)
        thread.start()
        seen: list[int] = []
        for n in range(5):
            thread.call(seen.append, n)
        thread.stop()
        self.assertEqual(seen, list(range(5)))


class DirectlyTests(SynchronousTestCase):
    def test_call(self) -> None:
        self.assertEqual(self.successResultOf(Directly().call(divmod, 7, 2)), (3, 1))
        self.failureResultOf(Directly().call(divmod, 7, 0), ZeroDivisionError)
