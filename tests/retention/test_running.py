"""Who is held stays; everything else is in the audit before it is erased."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.errors import HoopxError
from hoopx.retention.running import EVERY, Retention

HEAD = {"target": "orders", "identity": {"name": "alice"}, "labels": {}}


class RunningTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.did = []
        self.alarms = []
        self.holds = []
        self.failure = None
        self.sessions = ["A", "B", "C"]
        self.behind = None
        self.retention = Retention(
            self.clock, self, lambda: succeed(self.holds), self.audit, lambda name, fields: self.alarms.append(name),
            lambda: succeed(None) if self.behind is None else self.behind,
        )  # fmt: skip

    def expired(self, after):
        if self.failure is not None:
            return fail(self.failure)
        return succeed([{"session": name, "ended": 1.0, "keep": 2.0, "head": HEAD} for name in self.sessions if name > after][:2])

    def erase(self, session, audit):
        if session == "C":
            return fail(CuratorFailed("it is retained"))
        self.did.append(("erase", session, audit))
        return succeed(1)

    def confirmClock(self):
        self.did.append("confirm")
        return succeed({"doubt": "the clock was set"})

    def audit(self, actor, action, subject, details):
        self.did.append((action, subject))
        return succeed(f"hash of {subject}")

    def test_run(self):
        self.holds = [{"session": "B", "filter": None, "reason": "a lawsuit"}]
        told = self.successResultOf(self.retention.run("root"))
        self.assertEqual([(line["session"], line["done"], line["why"]) for line in told], [
            ("A", "erased", ""), ("B", "held", "a lawsuit"), ("C", "failed", "it is retained"),
        ])  # fmt: skip
        self.assertEqual(self.did, [("retention.erase", "A"), ("erase", "A", "hash of A"), ("retention.erase", "C")])

    def test_heldMeanwhile(self):
        """A hold that is in the audit before the row about the end of a session holds it, however little before."""
        audit = self.audit

        def late(actor, action, subject, details):
            self.holds = [{"session": "A", "filter": None, "reason": "a lawsuit"}]
            return audit(actor, action, subject, details)

        self.sessions = ["A"]
        self.retention._audit = late
        (line,) = self.successResultOf(self.retention.run("root"))
        self.assertEqual((line["done"], line["why"], self.did), ("held", "a lawsuit", [("retention.erase", "A")]))

    def test_heldByTheLedger(self):
        """The state store knows of no hold, being an old copy; the curator does."""
        self.expired = lambda after: succeed([{"session": "A", "ended": 1.0, "keep": 2.0, "head": HEAD, "held": "the ledger"}][: not after])
        (line,) = self.successResultOf(self.retention.run("root"))
        self.assertEqual((line["done"], line["why"], self.did), ("held", "the ledger", []))

    def test_caughtUp(self):
        """Nothing is erased before the curator knows which holds there are; and nothing at all when it can not be told."""
        self.behind = Deferred()
        running = self.retention.run("root")
        self.assertEqual(self.did, [])
        self.behind.callback(None)
        self.assertIn("erased", [line["done"] for line in self.successResultOf(running)])
        del self.did[:]
        self.behind = fail(HoopxError("the state store is away"))
        self.failureResultOf(self.retention.run("root"), HoopxError)
        self.assertEqual(self.did, [])

    def test_dry(self):
        told = self.successResultOf(self.retention.run("root", dry=True))
        self.assertEqual({line["done"] for line in told}, {"would be erased"})
        self.assertEqual(self.did, [])

    def test_confirm(self):
        self.sessions = []
        self.successResultOf(self.retention.run("root", confirm=True))
        self.assertEqual(self.did, [("retention.confirm-clock", ""), "confirm", ("retention.clock-confirmed", "")])

    def test_hourly(self):
        self.retention.start()
        self.assertEqual(self.did, [])
        self.clock.advance(EVERY)
        self.assertIn(("erase", "A", "hash of A"), self.did)
        self.failure = CuratorFailed("nothing is erased: the clock was set forward by 86400 s")
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, ["retention"])
        self.failureResultOf(self.retention.run("root"), HoopxError)
        self.retention.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
