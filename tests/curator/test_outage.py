"""What fails is told once: when that has lasted, or at once when waiting does not help; and anew when it had worked in between."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.outage import Outage


class OutageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.outage = Outage(self.clock, 10.0)

    def test_patience(self) -> None:
        self.assertFalse(self.outage.over())
        for seconds, told in ((0, False), (9, False), (1, True), (0, False), (100, False)):
            self.clock.advance(seconds)
            self.assertIs(self.outage.failed(), told)
        self.assertEqual(self.outage.seconds, 110.0)

    def test_again(self) -> None:
        """Another outage has its own time; what nobody was told of is over without a word."""
        self.outage.failed()
        self.clock.advance(9)
        self.assertFalse(self.outage.over())
        self.assertEqual(self.outage.seconds, 0.0)
        self.clock.advance(9)
        self.assertFalse(self.outage.failed())
        self.clock.advance(10)
        self.assertTrue(self.outage.failed())
        self.assertTrue(self.outage.over())
        self.assertFalse(self.outage.over())

    def test_hopeless(self) -> None:
        self.assertFalse(self.outage.failed())
        self.assertTrue(self.outage.failed(hopeless=True))
        self.assertFalse(self.outage.failed(hopeless=True))

    def test_atOnce(self) -> None:
        outage = Outage(self.clock)
        self.assertEqual([outage.failed(), outage.failed(), outage.over(), outage.failed()], [True, False, True, True])
