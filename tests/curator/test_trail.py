"""Each row of the audit reaches the ledger, in order, once the curator has said how far it is."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.trail import AWAY, EVERY, PAGE, AuditTrail


class TrailTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.said = []
        self.down = False
        self.known = {}
        self.rows = [self.row(number) for number in range(1, 6)]
        self.alarms = []
        self.trail = AuditTrail(
            self.clock, lambda row, limit: succeed([r for r in self.rows if r["id"] > row][:limit]), self,
            lambda alarm, fields: self.alarms.append((alarm, fields["why"])),
        )  # fmt: skip
        self.trail.start()
        self.addCleanup(self.trail.stop)

    def row(self, number, action="status", subject=""):
        return {"id": number, "action": action, "subject": subject, "hash": f"h{number}"}

    def audited(self):
        return succeed((self.known["audit"], f"h{self.known['audit']}")) if self.known else fail(CuratorFailed("not there"))

    def audit(self, audit, row):
        return fail(CuratorFailed("not there")) if self.down else succeed(self.said.append((audit, row)))

    def hold(self, session, on, audit, row, hold, filter):
        return succeed(self.said.append((session, on, audit, row, hold, filter)))

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

    def test_caughtUp(self):
        """Who can not wait asks, and knows when it is through; or why not."""
        self.known = {"audit": 4}
        self.rows.append(self.row(6, "hold.lifted", "S"))
        self.successResultOf(self.trail.caughtUp())
        self.assertEqual(self.said, [("h5", 5), ("S", False, "h6", 6, 0, None)])
        self.rows.append(self.row(7))
        self.down = True
        self.failureResultOf(self.trail.caughtUp(), CuratorFailed)

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

    def test_alarm(self):
        """A curator that stays away, from the start or later, is told once, and again when it comes back and stays away once more."""
        self.clock.pump([EVERY] * int(AWAY / EVERY - 1))
        self.assertEqual(self.alarms, [])
        self.clock.pump([EVERY] * int(AWAY))
        self.assertEqual([alarm for alarm, _ in self.alarms], ["audit-behind"])
        self.assertIn("60 s: not there", self.alarms[0][1])
        self.known = {"audit": 4}
        self.clock.advance(EVERY)
        self.assertEqual(self.said, [("h5", 5)])
        self.down = True
        self.clock.pump([EVERY] * int(AWAY))
        self.assertEqual(len(self.alarms), 1)  # nothing waits
        self.rows.append(self.row(6))
        self.clock.pump([EVERY] * int(AWAY))
        self.assertEqual(len(self.alarms), 2)

    def test_olderCopy(self):
        """The state store was restored, and has gone on: no row is passed over because there was another one of its number."""
        for known, hash in ((9, "h9"), (4, "another")):
            del self.said[:]
            again = AuditTrail(self.clock, lambda row, limit: succeed([r for r in self.rows if r["id"] > row][:limit]), self)
            self.patch(self, "audited", lambda said=(known, hash): succeed(said))
            self.addCleanup(again.stop)
            again.start()
            self.assertEqual(self.said, [(f"h{number}", number) for number in range(1, 6)])

    def test_olderCopyMeanwhile(self):
        """The same while it runs: fewer rows than were told, or as many of which the last is another one."""
        self.known = {"audit": 0}
        self.clock.advance(EVERY)
        for rows in (self.rows[:2], [self.row(1), dict(self.row(2), hash="another")]):
            del self.said[:]
            self.rows = list(rows)
            self.clock.advance(EVERY)
            self.assertEqual(self.said, [(each["hash"], each["id"]) for each in rows])
            self.clock.advance(EVERY)
            self.assertEqual(len(self.said), len(rows))

    def test_atOnce(self):
        """Not only after the curator has been asked how it is."""
        self.known = {"audit": 0}
        again = AuditTrail(self.clock, lambda row, limit: succeed([r for r in self.rows if r["id"] > row][:limit]), self)
        self.addCleanup(again.stop)
        again.start()
        self.assertEqual(len(self.said), 5)

    def test_holdsAreAlone(self):
        """Nothing is asked beside one: it takes the curator several steps, in which nothing is to overtake it."""
        self.known = {"audit": 0}
        self.rows = [self.row(1), self.row(2), self.row(3, "hold.set", "S"), self.row(4), self.row(5)]
        waiting = []
        self.audit = lambda audit, row: waiting.append((row, Deferred())) or waiting[-1][1]
        self.hold = lambda session, on, audit, row, hold, filter: self.audit(audit, row)
        self.clock.advance(EVERY)
        for wanted in ([1, 2], [3], [4, 5]):
            self.assertEqual([row for row, _ in waiting], wanted)
            several, waiting[:] = waiting[:], []
            for _, done in several:
                done.callback(None)
        self.assertEqual(waiting, [])

    def test_holds(self):
        self.known = {"audit": 0}
        wanted = {"user": "a*"}
        self.rows = [
            self.row(1, "hold.set", "S") | {"details": {"hold": 7, "filter": None}},
            self.row(2, "hold.lifted", "S") | {"details": {"hold": 7}},
            self.row(3, "hold.set") | {"details": {"hold": 8, "filter": wanted}},
        ]
        self.clock.advance(EVERY)
        self.assertEqual(self.said, [("S", True, "h1", 1, 7, None), ("S", False, "h2", 2, 7, None), ("", True, "h3", 3, 8, wanted)])
