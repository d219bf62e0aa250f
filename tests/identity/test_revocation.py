from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import text
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

    def test_loginUnderWay(self) -> None:
        """Somebody was verified just before and has no session yet: told again, until no such login can be left."""
        self.start()
        id = self.issue()
        self.successResultOf(self.other.revoke(id=id))
        self.clock.pump([1] * 60)
        self.assertEqual(self.told, [[id]] * 60)
        self.clock.pump([1] * 60)
        self.assertEqual(len(self.told), 60)

    def test_historyIsNotTold(self) -> None:
        self.successResultOf(self.other.revoke(id=self.issue()))
        self.start()
        self.clock.advance(1)
        self.assertEqual(self.told, [])

    def test_toldAtOnce(self) -> None:
        """What this process revoked is told without waiting."""
        self.start()
        id = self.issue()
        self.revocations.told(self.successResultOf(self.other.revoke(id=id)))
        self.assertEqual(self.told, [[id]])
        self.revocations.told([])
        self.assertEqual(self.told, [[id]])

    def test_manyAtOnce(self) -> None:
        self.patch(revocation, "BATCH", 2)
        self.start()
        ids = [self.issue() for _ in range(5)]
        self.successResultOf(self.other.revoke(user="alice"))
        self.clock.advance(1)
        self.assertEqual(sorted(id for batch in self.told for id in batch), sorted(ids))

    def test_memoryIsBounded(self) -> None:
        self.patch(revocation, "MAX_AGAIN", 3)
        self.start()
        self.revocations.told("abcde")
        self.clock.advance(1)
        self.assertEqual(self.told, [list("abcde"), list("cde")])

    def test_storeDown(self) -> None:
        """Asked again every second; told once, in the log and as an alarm; nothing is missed."""
        alarms: list[str] = []
        self.revocations._alarm = lambda alarm, fields: alarms.append(alarm)
        self.start()
        id = self.issue()
        self.successResultOf(self.other.revoke(id=id))

        class Broken:
            def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
                return fail(OSError(5, "gone"))

        self.revocations._threads = Broken()
        self.clock.pump([1] * 3)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual((alarms, self.revocations.trouble), (["state"], "the state store can not be asked"))
        self.revocations._threads = Directly()
        self.clock.advance(1)
        self.assertEqual(self.told, [[id]])
        self.assertIsNone(self.revocations.trouble)

    def test_olderCopy(self) -> None:
        """The store was restored from a backup while we run: its numbers have begun again, and nothing revoked since is missed."""
        self.start()
        ids = [self.issue() for _ in range(4)]
        for id in ids[:3]:
            self.successResultOf(self.other.revoke(id=id))
        self.clock.pump([1] * 61)
        for back, id in ((2, ids[3]), (3, ids[0])):  # fewer than we know; as many, of which the last is another one
            with self.store.writing() as connection:
                connection.execute(text("DELETE FROM revocations WHERE sequence >= :back"), {"back": back})
                connection.execute(text("UPDATE sqlite_sequence SET seq = :seq WHERE name = 'revocations'"), {"seq": back - 1})
                connection.execute(text("UPDATE tokens SET revoked = NULL WHERE id = :id"), {"id": id})
            self.told.clear()
            self.successResultOf(self.other.revoke(id=id))
            self.clock.advance(1)
            self.assertIn(id, self.told[-1])

    def test_faultyListener(self) -> None:
        """One session that can not be ended does not stop the questions."""
        self.revocations._onRevoked = lambda ids: self.told.append(ids) or 1 / 0
        self.start()
        ids = [self.issue() for _ in range(2)]
        for id in ids:
            self.successResultOf(self.other.revoke(id=id))
            self.clock.advance(1)
        self.assertEqual({id for told in self.told for id in told}, set(ids))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), len(self.told))

    def test_stop(self) -> None:
        self.start()
        self.revocations.stop()
        self.revocations.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
