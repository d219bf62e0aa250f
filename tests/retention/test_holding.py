"""The curator is told which holds hold: when there are others, and when it is another curator."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.trail import ENDING
from hoopx.retention.holding import EVERY, HoldsTold


class HoldingTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.rows = []
        self.told = []
        self.said = {"state": "starting", "starts": 1}
        self.down = False
        self.holding = HoldsTold(self.clock, lambda: succeed(self.rows), self)
        self.holding.start()
        self.addCleanup(self.holding.stop)

    def status(self):
        return self.said

    def holds(self, rows):
        return fail(CuratorFailed("not there")) if self.down else succeed(self.told.append([row["id"] for row in rows]))

    def test_stop(self):
        """It waits for what it has asked, but not for long."""
        self.said["state"] = "ready"
        for answered in (True, False):
            asked = Deferred()
            holding = HoldsTold(self.clock, lambda asked=asked: asked, self)
            holding.start()
            done = holding.stop()
            self.assertNoResult(done)
            if answered:
                asked.callback([])
            else:
                self.clock.advance(ENDING)
            self.successResultOf(done)
        self.assertIsNone(self.holding.stop())

    def test_told(self):
        self.clock.advance(EVERY)
        self.assertEqual(self.told, [])
        self.said["state"] = "ready"
        self.clock.pump([EVERY] * 3)
        self.assertEqual(self.told, [[]])
        self.rows = [{"id": 1, "session": None, "filter": {"user": "a"}, "reason": "case"}]
        self.down = True
        self.clock.advance(EVERY)
        self.down = False
        self.clock.pump([EVERY] * 2)
        self.assertEqual(self.told, [[], [1]])
        self.said["starts"] = 2
        self.clock.pump([EVERY] * 2)
        self.assertEqual(self.told, [[], [1], [1]])
