from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.identity import revocation
from hoopx.identity.revocation import Revocations
from hoopx.identity.tokens import Tokens
from hoopx.state.store import Store
from hoopx.state.thread import Directly


class RevocationsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        data = Path(self.mktemp())
        self.store = Store.open("sqlite:", data)
        self.addCleanup(self.store.close)
        elsewhere = Store.open("sqlite:", data)
        self.addCleanup(elsewhere.close)
        self.other = Tokens(elsewhere, Directly(), self.clock.seconds, 3600)
        self.told: list[list[str]] = []
        self.revocations = Revocations(self.store, Directly(), self.clock, self.told.append)

    def issue(self) -> str:
        return self.successResultOf(self.other.issue("alice"))[1]

    def start(self) -> None:
        self.successResultOf(self.revocations.start())

    def test_otherProcess(self) -> None:
        """A revocation straight in the store is known within a second."""
        self.start()
        id = self.issue()
        self.successResultOf(self.other.revoke(id=id))
        self.assertEqual(self.told, [])
        self.clock.advance(1)
        self.assertEqual(self.told, [[id]])
        self.assertTrue(self.revocations.isRevoked(id))
        self.clock.advance(1)
        self.assertEqual(self.told, [[id]])

    def test_historyIsNotTold(self) -> None:
        self.successResultOf(self.other.revoke(id=self.issue()))
        self.start()
        self.clock.advance(1)
        self.assertEqual(self.told, [])

    def test_toldAtOnce(self) -> None:
        """What this process revoked is told once, without waiting."""
        self.start()
        id = self.issue()
        self.revocations.told(self.successResultOf(self.other.revoke(id=id)))
        self.assertEqual(self.told, [[id]])
        self.clock.advance(1)
        self.assertEqual(self.told, [[id]])

    def test_manyAtOnce(self) -> None:
        self.patch(revocation, "BATCH", 2)
        self.start()
        ids = [self.issue() for _ in range(5)]
        self.successResultOf(self.other.revoke(user="alice"))
        self.clock.advance(1)
        self.assertEqual(sorted(id for batch in self.told for id in batch), sorted(ids))

    def test_memoryIsBounded(self) -> None:
        self.patch(revocation, "REMEMBERED", 3)
        self.revocations.told("abcde")
        self.assertEqual([self.revocations.isRevoked(one) for one in "abcde"], [False, False, True, True, True])
        self.assertFalse(self.revocations.isRevoked(None))

    def test_storeDown(self) -> None:
        """Asked again every second; told once in the log; nothing is missed."""
        self.start()
        id = self.issue()
        self.successResultOf(self.other.revoke(id=id))

        class Broken:
            def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
                return fail(OSError(5, "gone"))

        self.revocations._threads = Broken()
        self.clock.pump([1] * 3)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.revocations._threads = Directly()
        self.clock.advance(1)
        self.assertEqual(self.told, [[id]])

    def test_faultyListener(self) -> None:
        """One session that can not be ended does not stop the questions."""
        self.revocations._onRevoked = lambda ids: self.told.append(ids) or 1 / 0
        self.start()
        for _ in range(2):
            self.successResultOf(self.other.revoke(id=self.issue()))
            self.clock.advance(1)
        self.assertEqual(len(self.told), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_stop(self) -> None:
        self.start()
        self.revocations.stop()
        self.revocations.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
