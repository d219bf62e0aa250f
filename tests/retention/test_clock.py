"""A clock that was set, in either direction, while running, between two starts, or over a restart of the machine."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.retention.clock import BOUND, DOWN, ClockGuard, boot

NOW = 1_800_000_000.0
DAY = 86400.0


class Facts:
    def __init__(self):
        self.said = {}

    def fact(self, name):
        return self.said.get(name)

    def setFact(self, name, value):
        self.said[name] = value


class ClockTests(SynchronousTestCase):
    def setUp(self):
        self.facts = Facts()
        self.wall, self.boot, self.up = NOW, "one", 1000.0

    def look(self, newest=NOW):
        return ClockGuard(self.facts, lambda: self.wall, lambda: (self.boot, self.up)).look(newest)

    def on(self, seconds):
        self.wall += seconds
        self.up += seconds

    def test_goesOn(self):
        self.assertIsNone(self.look(None))
        for _ in range(10):
            self.on(40 * DAY)  # nothing ran, but the machine did
            self.assertIsNone(self.look())

    def test_forward(self):
        """A day is enough; and leaves written under the wrong time make it no better."""
        self.look()
        self.wall += DAY
        self.assertIn("forward", self.look())
        self.on(60)
        self.assertIn("forward", self.look(self.wall))
        self.wall -= DAY
        self.assertIn("forward", self.look())  # until a person says so

    def test_littleByLittle(self):
        """Steps that are each small enough, minute by minute."""
        for _ in range(10):
            self.look()
            self.on(60)
            self.wall += BOUND / 5
        self.assertIn("forward", self.look())
        ClockGuard(self.facts, lambda: self.wall, lambda: (self.boot, self.up)).confirm()
        self.assertIsNone(self.look())

    def test_back(self):
        self.look()
        self.wall -= DAY
        self.assertIn("back", self.look(NOW - 2 * DAY))

    def test_backBeforeTheLedger(self):
        self.wall -= BOUND + 1
        self.assertIn("back", self.look())

    def test_small(self):
        self.look()
        self.wall += BOUND - 1
        self.assertIsNone(self.look())

    def test_restart(self):
        """Over a restart of the machine a week is believed, more is asked about."""
        self.look()
        self.boot, self.up = "two", 5.0
        self.wall += DOWN - 1
        self.assertIsNone(self.look())
        self.boot = "three"
        self.wall += DOWN + 1
        self.assertIsNotNone(self.look())

    def test_restartBack(self):
        self.look(None)
        self.boot = "two"
        self.wall -= DAY
        self.assertIn("back", self.look(None))

    def test_factsLost(self):
        self.wall += DOWN + 1
        self.assertIsNotNone(self.look())

    def test_confirmed(self):
        self.look()
        self.wall += DAY
        guard = ClockGuard(self.facts, lambda: self.wall, lambda: (self.boot, self.up))
        self.assertIsNotNone(guard.look(NOW))
        guard.confirm()
        self.assertIsNone(guard.look(NOW))
        self.on(60)
        self.assertIsNone(guard.look(NOW))

    def test_boot(self):
        name, up = boot()
        self.assertEqual(name, boot()[0])
        self.assertGreater(up, 0)
