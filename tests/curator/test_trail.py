"""Each row of the audit reaches the ledger, in order, once the curator has said how far it is."""

from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.trail import EVERY, PAGE, AuditTrail


class TrailTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.said = []
        self.down = False
        self.known = {}
        self.rows = [self.row(number) for number in range(1, 6)]
        self.trail = AuditTrail(self.clock, lambda row, limit: succeed([r for r in self.rows if r["id"] > row][:limit]), self)
        self.trail.start()
        self.addCleanup(self.trail.stop)

    def row(self, number, action="status", subject=""):
        return {"id": number, "action": action, "subject": subject, "hash": f"h{number}"}

    def status(self):
        return self.known

    def audit(self, audit, row):
        return fail(CuratorFailed("not there")) if self.down else succeed(self.said.append((audit, row)))

    def hold(self, session, on, audit, row):
        return succeed(self.said.append((session, on, audit, row)))

    def test_goesOn(self):
        """From where the curator is: also what was written while no gateway ran."""
        self.assertEqual(self.said, [])
        self.known = {"audit": 3}
        self.clock.advance(EVERY)
        self.assertEqual(self.said, [("h4", 4), ("h5", 5)])
        self.rows.append(self.row(6))
        self.clock.advance(EVERY)
        self.assertEqual(self.said[2:], [("h6", 6)])
        self.clock.advance(EVERY)
        self.assertEqual(len(self.said), 3)

    def test_many(self):
        self.known = {"audit": 0}
        self.rows = [self.row(number) for number in range(1, 2 * PAGE + 5)]
        self.clock.advance(EVERY)
        self.assertEqual([row for _, row in self.said], list(range(1, 2 * PAGE + 5)))

    def test_curatorIsAway(self):
        self.known, self.down = {"audit": 4}, True
        self.clock.advance(EVERY)
        self.down = False
        self.clock.advance(EVERY)
        self.assertEqual(self.said, [("h5", 5)])

    def test_holds(self):
        self.known = {"audit": 0}
        self.rows = [self.row(1, "hold.set", "S"), self.row(2, "hold.lifted", "S"), self.row(3, "hold.set")]
        self.clock.advance(EVERY)
        self.assertEqual(self.said, [("S", True, "h1", 1), ("S", False, "h2", 2), ("h3", 3)])
