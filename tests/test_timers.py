"""
Tests of shared timers.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.timers import Timers


class TimersTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.advance(100.3)
        self.timers = Timers(self.clock)
        self.heard = []

    def pass_(self, seconds):
        self.clock.advance(seconds)
        self.clock.advance(0)

    def test_neverEarly(self):
        self.timers.later(5, self.heard.append, "a")
        self.pass_(4.9)
        self.assertEqual(self.heard, [])
        self.pass_(1.1)
        self.assertEqual(self.heard, ["a"])

    def test_shared(self):
        for number in range(1000):
            self.timers.later(5, self.heard.append, number)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.pass_(6)
        self.assertEqual(self.heard, list(range(1000)))

    def test_cancel(self):
        one, two = (self.timers.later(5, self.heard.append, name) for name in "ab")
        one.cancel()
        self.pass_(6)
        two.cancel()
        one.cancel()
        self.assertEqual(self.heard, ["b"])

    def test_nothingIsLeft(self):
        timers = [self.timers.later(5, self.heard.append, name) for name in "ab"]
        for timer in timers:
            timer.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
