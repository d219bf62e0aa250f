"""Alarms have rows in the audit, few of them however many there are, each with its own time, also when it can only be written later."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.alarms import KINDS, MINUTE, OTHERS, PAGE, AuditedAlarms
from hoopx.state.thread import Directly
from hoopx.state.waiting import AGAIN, WAITING
from tests.state.test_audit import Broken, Rows


class AlarmsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = Rows()
        self.threads: Any = Directly()
        self.alarms = AuditedAlarms(self.store, self, self.clock, lambda: 100 + self.clock.seconds())

    def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
        answer: Deferred[Any] = self.threads.call(function, *arguments)
        return answer

    def alarm(self, name: str = "ledger", **fields: Any) -> None:
        self.alarms.emit("alarm", {"alarm": name, "why": "it is away", **fields})

    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.store.batches for row in batch]

    def test_row(self) -> None:
        self.alarm()
        self.alarm("recording-failed", session="S")
        self.alarms.emit("alarm", {"alarm": "disk", "message": "full"})
        self.alarms.emit("ended", {"session": "S"})
        self.assertEqual(self.rows()[0], {
            "at": 100.0, "actor": "gateway", "action": "alarm", "subject": "ledger", "details": {"why": "it is away"},
        })  # fmt: skip
        self.assertEqual([row["details"] for row in self.rows()[1:]], [{"why": "it is away", "session": "S"}, {"why": "full"}])

    def test_many(self) -> None:
        """The first at once, the others of a minute together."""
        for number in range(1000):
            self.alarm(why=str(number))
        self.clock.advance(MINUTE)
        self.assertEqual([row["details"] for row in self.rows()], [{"why": "0"}, {"why": "999", "count": 999}])
        self.alarm()
        self.assertEqual(len(self.rows()), 3)

    def test_kinds(self) -> None:
        for number in range(2 * KINDS):
            self.alarm(str(number))
        self.clock.advance(MINUTE)
        self.assertEqual(self.rows()[-1]["subject"], OTHERS)
        self.assertEqual(self.rows()[-1]["details"]["count"], KINDS - 1)

    def test_away(self) -> None:
        """What could not be written is written when the store is back, with the time of the alarm; in order."""
        self.threads = Broken()
        self.alarm()
        self.clock.advance(1)
        self.alarm("state")
        self.assertEqual(self.rows(), [])
        self.threads = Directly()
        self.clock.advance(AGAIN)
        self.assertEqual([(row["subject"], row["at"]) for row in self.rows()], [("ledger", 100.0), ("state", 101.0)])

    def test_alarmOfThat(self) -> None:
        """That alarms can not be written is an alarm itself: it waits with them, and is no reason to try at once."""
        failures: list[Any] = []

        def failed(failure: Any) -> None:
            failures.append(failure)
            self.alarms.emit("alarm", {"alarm": "audit", "why": "full"})

        self.alarms = AuditedAlarms(self.store, self, self.clock, self.clock.seconds, failed)
        self.threads = Broken()
        self.alarm()
        self.assertEqual(len(failures), 1)
        self.threads = Directly()
        self.clock.advance(AGAIN)
        self.assertEqual([row["subject"] for row in self.rows()], ["ledger", "audit"])

    def test_awayForLong(self) -> None:
        """So many wait; the rest are counted, and that is a row, too."""
        self.threads = Broken()
        count = WAITING // 2 + 100
        for _ in range(count):
            for name in ("a", "b"):
                self.alarm(name)
            self.clock.advance(MINUTE)
        self.threads = Directly()
        self.clock.advance(AGAIN)
        self.assertEqual(len(self.rows()), WAITING + 1)
        (lost,) = [row["details"]["count"] for row in self.rows() if row["subject"] == "lost"]
        self.assertEqual(lost, 2 * count - WAITING)
        self.assertLessEqual(max(len(batch) for batch in self.store.batches), PAGE)

    def test_one(self) -> None:
        """One write at a time, and the rest follows."""
        waiting: list[Deferred[Any]] = []

        class Slow:
            def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
                waiting.append(Deferred().addCallback(lambda _: function(*arguments)))
                return waiting[-1]

        self.threads = Slow()
        for name in "abc":
            self.alarm(name)
        self.assertEqual(len(waiting), 1)
        waiting[0].callback(None)
        stopped = self.alarms.stop()
        self.assertNoResult(stopped)
        waiting[1].callback(None)
        self.successResultOf(stopped)
        self.assertEqual([row["subject"] for row in self.rows()], ["a", "b", "c"])

    def test_stop(self) -> None:
        """What was counted is written; what can not be is not waited for."""
        self.alarm()
        self.alarm()
        self.successResultOf(self.alarms.stop())
        self.assertEqual(self.rows()[-1]["details"]["count"], 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.threads = Broken()
        again = AuditedAlarms(self.store, self, self.clock, self.clock.seconds)
        again.emit("alarm", {"alarm": "state"})
        self.successResultOf(again.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
