"""Alarms of one kind are told so often a minute, and no oftener."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.alarms import ALARMS, MINUTE, Alarms


class AlarmsTests(SynchronousTestCase):
    def test_bounded(self):
        clock, told = Clock(), []
        alarms = Alarms(clock, lambda alarm, text: told.append((alarm, text)))
        for number in range(ALARMS + 5):
            alarms("index", str(number))
        self.assertEqual(told, [("index", str(number)) for number in range(ALARMS)])
        alarms("store", "of another kind")
        self.assertEqual(told.pop(), ("store", "of another kind"))
        clock.advance(MINUTE - 1)
        alarms("index", "too soon")
        self.assertEqual(len(told), ALARMS)
        clock.advance(1)
        alarms("index", "again")
        self.assertEqual(told[ALARMS:], [("index", "again")])
