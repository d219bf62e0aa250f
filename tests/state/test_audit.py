from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.audit import MAX_ADDRESSES, OTHERS, Audit, FailedLogins
from hoopx.state.thread import Directly


class Rows:
    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []

    def addAudit(self, rows: list[dict[str, Any]], again: bool = False) -> list[str]:
        self.batches.append(rows)
        return ["hash"] * len(rows)


class Broken:
    def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
        return fail(OSError(5, "gone"))


class AuditTests(SynchronousTestCase):
    def test_write(self) -> None:
        rows = Rows()
        written = Audit(rows, Directly(), lambda: 7.0).write("uid 0", "reload", "gw1")
        self.assertEqual(self.successResultOf(written), "hash")
        self.assertEqual(rows.batches, [[{"at": 7.0, "actor": "uid 0", "action": "reload", "subject": "gw1", "details": {}}]])

    def test_failureIsTold(self) -> None:
        self.failureResultOf(Audit(Rows(), Broken(), lambda: 7.0).write("uid 0", "reload", "gw1"), OSError)


class FailedLoginsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rows = Rows()
        self.failures = FailedLogins(self.rows, Directly(), self.clock, self.clock.seconds)
        self.failures.start()

    def counted(self) -> dict[tuple[str, str], int]:
        (batch,) = self.rows.batches
        return {(row["actor"], row["subject"]): row["details"]["count"] for row in batch}

    def test_oneRowForMany(self) -> None:
        for port in range(5000):
            self.failures.failedLogin(f"10.0.0.1:{port}", "postgres")
        self.failures.failedLogin("10.0.0.2:1", "ssh")
        self.assertEqual(self.rows.batches, [])
        self.clock.advance(60)
        self.assertEqual(self.counted(), {("10.0.0.1", "postgres"): 5000, ("10.0.0.2", "ssh"): 1})
        self.assertEqual({row["action"] for row in self.rows.batches[0]}, {"login.failed"})

    def test_eachMinuteAnew(self) -> None:
        for _ in range(2):
            self.failures.failedLogin("10.0.0.1:1", "postgres")
            self.clock.advance(60)
        self.assertEqual([batch[0]["details"]["count"] for batch in self.rows.batches], [1, 1])

    def test_floodOfAddresses(self) -> None:
        """Memory and rows have a bound, and no login goes uncounted."""
        for n in range(10 * MAX_ADDRESSES):
            self.failures.failedLogin(f"10.1.{n // 256}.{n % 256}:5", "postgres")
        self.clock.advance(60)
        counted = self.counted()
        self.assertEqual(len(counted), MAX_ADDRESSES + 1)
        self.assertEqual(counted[OTHERS, "postgres"], 9 * MAX_ADDRESSES)

    def test_ipv6(self) -> None:
        """One machine has a whole /64."""
        for last in range(100):
            self.failures.failedLogin(f"[2001:db8::{last:x}]:5", "postgres")
        self.failures.failedLogin("::ffff:10.0.0.1:77", "postgres")
        self.failures.failedLogin("unix", "postgres")
        self.clock.advance(60)
        self.assertEqual(
            self.counted(), {("2001:db8::/64", "postgres"): 100, ("10.0.0.1", "postgres"): 1, ("unix", "postgres"): 1}
        )

    def test_stopWritesTheRest(self) -> None:
        self.failures.failedLogin("10.0.0.1:1", "postgres")
        self.successResultOf(self.failures.stop())
        self.assertEqual(self.counted(), {("10.0.0.1", "postgres"): 1})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_storeDown(self) -> None:
        """The gateway goes on counting."""
        self.failures._threads = Broken()
        self.failures.failedLogin("10.0.0.1:1", "postgres")
        self.clock.advance(60)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.failures._threads = Directly()
        self.failures.failedLogin("10.0.0.1:1", "postgres")
        self.clock.advance(60)
        self.assertEqual(self.counted(), {("10.0.0.1", "postgres"): 1})
