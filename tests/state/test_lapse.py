"""Rows of the audit that can not be written: somebody is told, once; what was done all the same is put down when it can be."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError
from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.alarms import AuditedAlarms
from hoopx.state.audit import Audit, FailedLogins
from hoopx.state.lapse import DELAY, MINUTE, Lapse
from hoopx.state.store import Store
from hoopx.state.thread import Directly
from hoopx.state.waiting import AGAIN, WAITING

SAID = "the audit can not be written: database or disk is full"


class LapseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.full = True
        self.rows: list[dict[str, Any]] = []
        self.alarms: list[tuple[str, str]] = []
        self.known = False
        self.lapse = Lapse(
            self, self, self.clock, self.clock.seconds, lambda alarm, fields: self.alarms.append((alarm, fields["why"])), lambda: self.known
        )
        self.audit = Audit(self, self, self.clock.seconds, self.lapse)

    def addAudit(self, rows: list[dict[str, Any]], again: bool = False) -> list[str]:
        self.rows += rows
        return [""] * len(rows)

    def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
        if self.full:
            error = sqlite3.OperationalError("database or disk is full")
            return fail(OperationalError("INSERT INTO audit", {"details": "hunter2"}, error))
        return execute(function, *arguments)

    def act(self, action: str = "status", late: bool = True) -> None:
        written = self.audit.write("uid 0", action, "")
        if self.full:
            self.failureResultOf(written, OperationalError)
            if late:
                self.audit.late("uid 0", action, "")

    def said(self) -> list[tuple[str, float]]:
        return [(row["action"], row["at"]) for row in self.rows]

    def over(self, errors: int = 1) -> None:
        self.full = False
        self.clock.advance(AGAIN)
        self.assertIs(self.audit.trouble, None)
        self.assertEqual(len(self.flushLoggedErrors(OperationalError)), errors)

    def test_told(self) -> None:
        """Once an outage, whatever is asked meanwhile, without what was to be written."""
        self.assertIs(self.audit.trouble, None)
        for _ in range(30):
            self.act()
            self.clock.advance(1)
        self.assertEqual(self.audit.trouble, SAID)
        self.assertEqual([(alarm, why.partition(".")[0]) for alarm, why in self.alarms], [("audit", SAID)])
        self.assertNotIn("hunter2", self.alarms[0][1])
        self.over()

    def test_knownAlready(self) -> None:
        """A store that does not answer at all is told by who asks it every second; one that then answers, and can not be written, here."""
        self.act()
        self.known = True
        self.clock.advance(DELAY)
        self.clock.pump([AGAIN] * 3)
        self.assertEqual((self.audit.trouble, self.alarms), (SAID, []))
        self.known = False
        self.clock.pump([AGAIN] * 3)
        self.assertEqual(len(self.alarms), 1)
        self.over()

    def test_late(self) -> None:
        """Acts that went on without come with the time at which they were done; those that were refused were not done."""
        self.act("status")
        self.clock.advance(1)
        self.act("reload", late=False)
        self.act("session.kill")
        self.clock.pump([AGAIN] * 3)
        self.assertEqual(self.rows, [])
        self.over()
        self.assertEqual(self.said(), [("status", 0.0), ("session.kill", 1.0), ("audit.resumed", 4 * AGAIN + 1)])
        self.assertEqual(self.rows[-1]["details"], {"since": 0.0, "late": 2, "lost": 0})
        self.act("status")
        self.clock.advance(10 * AGAIN)
        self.assertEqual(len(self.rows), 4)

    def test_flaps(self) -> None:
        """A disk that is full to the last page fails every other row."""
        for _ in range(int(2 * MINUTE / AGAIN)):
            self.full = True
            self.act()
            self.full = False
            self.clock.advance(AGAIN)
        self.assertEqual(len(self.alarms), 2)
        self.flushLoggedErrors(OperationalError)

    def test_many(self) -> None:
        for _ in range(WAITING + 3):
            self.act()
        self.over()
        self.assertEqual(len(self.rows), WAITING + 1)
        self.assertEqual(self.rows[-1]["details"], {"since": 0.0, "late": WAITING, "lost": 3})

    def test_fullDisk(self) -> None:
        """A real store that can be read, and takes no further page."""
        store = Store.open("sqlite:", Path(self.mktemp()))
        self.addCleanup(store.close)
        with store.reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1").close()
        lapse = Lapse(store, Directly(), self.clock, self.clock.seconds, lambda alarm, fields: self.alarms.append((alarm, fields["why"])))
        audit = Audit(store, Directly(), self.clock.seconds, lapse)
        self.failureResultOf(audit.write("uid 0", "reload", "", {"words": ["hunter2"] * 1000}), OperationalError)
        self.assertEqual(audit.trouble, SAID)
        self.clock.advance(DELAY)
        self.assertEqual(len(self.alarms), 1)
        with store.reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000").close()
        self.clock.advance(AGAIN)
        self.assertIs(audit.trouble, None)
        self.assertEqual([row["action"] for row in store.auditRows()], ["audit.resumed"])
        self.flushLoggedErrors(OperationalError)

    def test_others(self) -> None:
        """Failed logins and alarms that can not be put down are the same trouble."""
        logins = FailedLogins(self, self, self.clock, self.clock.seconds, self.lapse.failed)
        logins.failedLogin("10.0.0.1:1", "postgres")
        logins.flush()
        self.clock.advance(DELAY)
        self.assertEqual((self.audit.trouble, len(self.alarms)), (SAID, 1))
        self.over(2)
        alarms = AuditedAlarms(self, self, self.clock, self.clock.seconds, self.lapse.failed)
        self.full = True
        alarms.emit("alarm", {"alarm": "disk", "why": "full"})
        self.assertEqual(self.audit.trouble, SAID)
        self.over()
        self.successResultOf(alarms.stop())

    def test_stop(self) -> None:
        """At the end it is tried once more."""
        self.assertIs(self.lapse.stop(), None)
        for full, count in ((False, 2), (True, 0)):
            self.setUp()
            self.act()
            self.full = full
            self.lapse.stop()
            self.assertEqual((len(self.rows), self.clock.getDelayedCalls()), (count, []))
        self.flushLoggedErrors(OperationalError)

    def test_stopMeanwhile(self) -> None:
        waiting: Deferred[Any] = Deferred()
        self.act()
        self.call = lambda *_: waiting  # type: ignore[method-assign]
        self.clock.advance(AGAIN)
        stopped = self.lapse.stop()
        assert stopped is not None
        self.assertNoResult(stopped)
        waiting.callback([])
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.flushLoggedErrors(OperationalError)
