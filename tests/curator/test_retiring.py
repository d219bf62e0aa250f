"""Holds and the clock, in the curator's process as a whole: the list may be lost, the state store may be an old copy."""

import os

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.holder import SOON
from hoopx.curator.settings import CuratorSettings
from hoopx.ledger.leaf import parse
from hoopx.ledger.renewal import renew
from hoopx.retention.rules import Rule
from tests.curator.rig import WALL
from tests.curator.test_workshop import WorkshopCase

SET, LIFT, OTHER, ERASE = "aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32
ORDERS = {"target": "orders"}
KEEP = 1000.0
YEARS = 3650 * 86400.0


class RetiringTests(WorkshopCase, SynchronousTestCase):
    def setUp(self):
        super().setUp()
        self.wall, self.up = WALL, 5000.0

    def made(self, **settings):
        """@return: a workshop whose clocks are ours, and which has begun."""
        workshop = self.workshop(begin=False)
        workshop._wall = lambda: self.wall
        workshop._parts.uptime = lambda: ("boot", self.up)
        self.successResultOf(workshop.begin(CuratorSettings(self.data, "gw", rules=(Rule(KEEP),), **settings)))
        self.successResultOf(workshop.recover(True))
        return workshop

    def done(self, workshop):
        recording = self.recorded.session(1)
        workshop.sealed(recording.session, recording.path, -1, "")
        self.clock.advance(SOON)
        return recording.session

    def stop(self, workshop):
        self.successResultOf(workshop.stop(1))
        self.close(workshop)
        workshop._ledger = workshop._book = None

    def lose(self):
        for name in os.listdir(self.data):
            if name.startswith("curator.sqlite"):
                os.unlink(os.path.join(self.data, name))

    def on(self, seconds):
        self.wall += seconds
        self.up += seconds

    def hold(self, workshop, on, audit, session="", filter=None, hold=1):
        self.successResultOf(workshop.hold(session, on, audit, 0, hold, filter))
        self.clock.advance(SOON)

    def expired(self, workshop):
        return self.successResultOf(workshop.expired(""))

    def test_filter(self):
        """The ledger alone says who is held: list and state store are lost."""
        workshop = self.made()
        before = self.done(workshop)
        self.hold(workshop, True, SET, filter=ORDERS)
        after = self.done(workshop)
        for session in (before, after):
            self.assertEqual(self.leaves(workshop, session)[-1], "hold-set")
        self.stop(workshop)
        self.lose()
        again = self.made()
        self.successResultOf(again.holds([]))
        self.successResultOf(again.confirmClock())
        self.on(3 * KEEP)
        self.assertEqual([bool(each["held"]) for each in self.expired(again)], [True, True])
        for session in (before, after):
            self.failureResultOf(again.erase(session, ERASE), CuratorFailed)

    def test_filterLifted(self):
        workshop = self.made()
        session = self.done(workshop)
        self.hold(workshop, True, SET, filter=ORDERS)
        self.successResultOf(workshop.holds([{"id": 1, "session": None, "filter": ORDERS}]))
        self.hold(workshop, False, LIFT)
        self.assertEqual(self.leaves(workshop, session)[-2:], ["hold-set", "hold-lifted"])
        self.on(2 * KEEP)
        self.assertEqual([each["held"] for each in self.expired(workshop)], [None])
        self.successResultOf(workshop.erase(session, ERASE))

    def test_store(self):
        """What the state store has forgotten stays under legal hold in the store, by the list's word or by the ledger's alone."""
        workshop = self.made(store="fake:")
        session = self.done(workshop)
        self.hold(workshop, True, SET, filter=ORDERS)
        for lost in (False, True):
            if lost:
                self.stop(workshop)
                self.lose()
                self.backend.held.clear()
                workshop = self.made(store="fake:")
                self.clock.advance(60)
            self.successResultOf(workshop.holds([]))
            self.clock.advance(60)
            self.assertTrue(any(session in name for name in self.backend.held), lost)
            self.assertTrue(workshop._book.receipts(session)[0].held, "what nobody notes nobody lets go of")
        self.hold(workshop, False, LIFT, session)
        self.clock.advance(60)
        self.assertEqual(self.backend.held, set())

    def test_storeMeanwhile(self):
        """Also what has not ended yet, and so has no leaf of the hold."""
        workshop = self.made(store="fake:")
        recording = self.recorded.session(2, close=False)
        workshop.sealed(recording.session, recording.path, 0, "")
        self.hold(workshop, True, SET, filter=ORDERS)
        self.successResultOf(workshop.holds([]))
        self.clock.advance(60)
        self.assertTrue(any(recording.session in name for name in self.backend.held))
        self.assertNotIn("hold-set", self.leaves(workshop, recording.session))

    def test_oneOfTwo(self):
        """A session whose own hold is lifted, and which a filter means, is not said to be free."""
        workshop = self.made()
        session = self.done(workshop)
        self.hold(workshop, True, SET, session)
        self.hold(workshop, True, OTHER, filter=ORDERS, hold=2)
        self.hold(workshop, False, LIFT, session)
        self.assertEqual([kind for kind in self.leaves(workshop, session) if "hold" in kind], ["hold-set"])
        self.assertEqual(parse(workshop._ledger.entries(workshop._ledger.size - 1, workshop._ledger.size)[0])["audit"], LIFT)
        self.on(2 * KEEP)
        self.failureResultOf(workshop.erase(session, ERASE), CuratorFailed)

    def test_firstStart(self):
        """Nobody is nagged: neither then nor at the next start."""
        workshop = self.made()
        self.assertIsNone(workshop.status()["clock"])
        self.done(workshop)
        self.stop(workshop)
        self.on(60)
        self.assertIsNone(self.made().status()["clock"])
        self.assertEqual(self.alarms, [])

    def test_forwardAndLost(self):
        """
        The clock was set forward by years, leaves were written, and the list was lost, and with it what was seen: nothing is erased before
        somebody says that this is the time.
        """
        workshop = self.made()
        session = self.done(workshop)
        self.stop(workshop)
        self.wall += YEARS
        workshop = self.made()
        self.done(workshop)
        self.stop(workshop)
        self.lose()
        self.on(60)
        again = self.made()
        self.assertIn("lost", again.status()["clock"])
        self.failureResultOf(again.expired(""), CuratorFailed)
        self.failureResultOf(again.erase(session, ERASE), CuratorFailed)
        # It is put right, and somebody says so: everything is what it was, or kept longer.
        self.wall -= YEARS
        self.assertEqual(self.successResultOf(again.confirmClock())["wall"], self.wall)
        self.assertIsNone(again.status()["clock"])
        self.assertEqual(self.expired(again), [])
        self.assertTrue(os.path.exists(self.recorded.data))

    def test_rightAgain(self):
        """A jump forward that was put right and confirmed is over, also after the next start, and new sessions are kept no longer for it."""
        workshop = self.made()
        before = self.done(workshop)
        ended = workshop._book.session(before)["ended"]
        self.on(60)
        self.clock.advance(60)
        self.wall += YEARS
        self.clock.advance(60)
        self.assertIn("forward", workshop.status()["clock"])
        between = self.done(workshop)
        self.wall -= YEARS
        said = self.successResultOf(workshop.confirmClock())
        self.assertIn("forward", said["doubt"])
        after = self.done(workshop)
        for again in (False, True):
            if again:
                self.stop(workshop)
                workshop = self.made()
            self.assertIsNone(workshop.status()["clock"])
            self.assertEqual(
                [workshop._book.session(session)["ended"] for session in (before, between, after)], [ended, self.wall, self.wall]
            )
        self.on(KEEP)
        self.assertEqual({each["session"] for each in self.expired(workshop)}, {before, between, after})

    def test_renewed(self):
        """A new ledger is no doubt; what the old one said of ends and holds is kept, and what the new one says comes after it."""
        workshop = self.made()
        free, held = self.done(workshop), self.done(workshop)
        self.hold(workshop, True, SET, held)
        ended = workshop._book.session(free)["ended"]
        self.stop(workshop)
        renew(self.data, "gw")
        self.on(60)
        again = self.made()
        self.assertIsNone(again.status()["clock"])
        self.assertTrue(again._book.isHeld(held))
        self.hold(again, False, LIFT, held)
        self.assertFalse(again._book.isHeld(held))
        self.wall += 60 * 86400.0
        self.clock.advance(60)
        later = self.done(again)
        self.wall -= 60 * 86400.0
        self.successResultOf(again.confirmClock())
        self.assertEqual([again._book.session(session)["ended"] for session in (free, later)], [ended, self.wall])

    def test_behindAndLost(self):
        """
        Sessions were noted under a clock that was years behind; it was put right, and the list was lost. The ledger's own gap says how much
        it may have been, and so long they are kept.
        """
        self.wall -= YEARS
        workshop = self.made()
        session = self.done(workshop)
        self.stop(workshop)
        self.wall += YEARS
        self.on(60)
        workshop = self.made()
        self.successResultOf(workshop.confirmClock())
        self.done(workshop)
        self.stop(workshop)
        self.lose()
        self.on(60)
        again = self.made()
        self.successResultOf(again.confirmClock())
        self.assertGreaterEqual(again._book.session(session)["ended"], WALL)
        self.assertEqual(self.expired(again), [])
