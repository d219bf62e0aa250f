"""The wall clock is looked at, and a doubt is told once."""

from __future__ import annotations

from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.watching import EVERY, ClockWatch


class WatchTests(SynchronousTestCase):
    def setUp(self):
        self.clock, self.told, self.looks, self.answer = Clock(), [], 0, None
        self.watch = ClockWatch(self.look, lambda: succeed(None), self.clock, lambda alarm, text: self.told.append((alarm, text)))

    def look(self):
        self.looks += 1
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)

    def test_doubtIsToldOnce(self):
        self.watch.start()
        self.assertEqual((self.watch.doubt, self.told), (None, []))
        self.answer = "the clock has jumped"
        self.clock.advance(EVERY)
        self.clock.advance(EVERY)
        self.assertEqual(self.watch.doubt, "the clock has jumped")
        self.assertEqual([alarm for alarm, _ in self.told], ["clock"])
        self.answer = "it has jumped again"
        self.clock.advance(EVERY)
        self.assertEqual(len(self.told), 2)

    def test_confirmed(self):
        self.answer = "the clock has jumped"
        self.watch.start()
        self.successResultOf(self.watch.confirmed())
        self.assertIsNone(self.watch.doubt)

    def test_goesOnAfterAFailure(self):
        self.answer = OSError("the disk")
        self.watch.start()
        self.assertIsNone(self.watch.doubt)
        self.clock.advance(EVERY)
        self.assertEqual(self.looks, 2)

    def test_stop(self):
        self.watch.start()
        self.watch.stop()
        self.clock.advance(10 * EVERY)
        self.assertEqual(self.looks, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
