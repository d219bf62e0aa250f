"""A clock that was set, in either direction, while running, between two starts, or over a restart of the machine."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.retention.clock import BASE, BOUND, DOWN, LATEST, ClockGuard, boot

NOW = 1_800_000_000.0
DAY = 86400.0


class Facts:
    """The curator's list: facts, and the ends of sessions as C{leaf -> when}."""

    def __init__(self):
        self.said = {}
        self.ends = {}

    def fact(self, name):
        return self.said.get(name)

    def setFact(self, name, value):
        self.said[name] = value

    def rebase(self, ahead, now, since):
        before = dict(self.ends)
        self.ends = {leaf: now if leaf >= since else min(end + ahead, now) for leaf, end in self.ends.items()}
        return sum(before[leaf] != end for leaf, end in self.ends.items())


class ClockCase:
    def setUp(self):
        self.facts = Facts()
        self.wall, self.boot, self.up = NOW, "one", 1000.0
        self.size = 0

    def guard(self):
        return ClockGuard(self.facts, lambda: self.wall, lambda: self.size, lambda: (self.boot, self.up))

    def look(self):
        return self.guard().look()

    def confirm(self):
        return self.guard().confirm()

    def on(self, seconds):
        self.wall += seconds
        self.up += seconds

    def ended(self):
        """A session ends now, by what the clock says, and by what was believed before."""
        self.facts.ends[self.size] = max(self.wall, self.guard().latest.at)
        self.size += 1

    def start(self, newest=NOW, size=10):
        """As a gateway that has run for a while."""
        self.look()
        self.facts.said[LATEST] = newest
        self.size = size
        self.look()


class ClockTests(ClockCase, SynchronousTestCase):
    def test_goesOn(self):
        self.assertIsNone(self.look())
        for _ in range(10):
            self.on(40 * DAY)  # nothing ran, but the machine did
            self.assertIsNone(self.look())

    def test_forward(self):
        """A day is enough; and leaves written under the wrong time make it no better."""
        self.look()
        self.wall += DAY
        self.assertIn("forward", self.look())
        self.on(60)
        self.assertIn("forward", self.look())
        self.wall -= DAY
        self.assertIn("forward", self.look())  # until a person says so

    def test_littleByLittle(self):
        """Steps that are each small enough, minute by minute."""
        for _ in range(10):
            self.look()
            self.on(60)
            self.wall += BOUND / 5
        self.assertIn("forward", self.look())
        self.confirm()
        self.assertIsNone(self.look())

    def test_back(self):
        self.look()
        self.wall -= DAY
        self.assertIn("back", self.look())

    def test_backBeforeTheLedger(self):
        """Of another start of the machine, and of a list that is older than the ledger: a leaf is newer."""
        self.start()
        self.facts.said[BASE]["wall"] -= DAY
        self.boot = "two"
        self.wall -= BOUND + 1
        self.assertIn("leaf", self.look())

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
        self.look()
        self.boot = "two"
        self.wall -= DAY
        self.assertIn("back", self.look())

    def test_first(self):
        """The first start of all nags nobody, and neither does any other one."""
        self.assertIsNone(self.look())
        self.size = 10
        self.on(DAY)
        self.assertIsNone(self.look())

    def test_lost(self):
        """
        With what was seen of the clock, everything is in doubt, also with a newest leaf from a minute ago: it was written under the same
        clock. A person ends that.
        """
        self.start()
        self.wall += 3650 * DAY
        self.size += 1
        self.facts.said = {LATEST: self.wall}
        self.on(60)
        self.assertIn("lost", self.look())
        self.confirm()
        self.assertIsNone(self.look())

    def test_confirmed(self):
        self.look()
        self.wall += DAY
        self.assertIsNotNone(self.look())
        self.confirm()
        self.assertIsNone(self.look())
        self.on(60)
        self.assertIsNone(self.look())

    def test_confirmedForNothing(self):
        """Without a doubt nothing changes."""
        self.start()
        self.ended()
        self.on(DAY)
        self.assertEqual(self.confirm()["doubt"], None)
        self.assertEqual(list(self.facts.ends.values()), [NOW])


class RightAgainTests(ClockCase, SynchronousTestCase):
    """A clock that was wrong is put right, and a person says so: nothing is kept for less long than it should be."""

    def test_forwardAndRight(self):
        """Leaves of the time between lie in the future; they are not believed any more, also after a new start."""
        self.start()
        self.ended()
        self.on(60)
        self.look()
        self.wall += 3650 * DAY
        self.assertIn("forward", self.look())
        self.ended()
        self.facts.said[LATEST] = self.wall  # as a new start would have read it
        self.wall -= 3650 * DAY
        self.assertIsNotNone(self.look())
        said = self.confirm()
        self.assertEqual((said["ahead"], said["sessions"]), (0.0, 1))
        self.assertEqual(self.facts.ends, {10: NOW, 11: NOW + 60})
        self.assertIsNone(self.look())
        self.boot, self.up = "two", 5.0
        self.on(60)
        self.assertIsNone(self.look())

    def test_behindFromTheBeginning(self):
        """A machine began in the past, and was put right: what ended yesterday did not end six years ago."""
        self.wall -= 2000 * DAY
        self.look()
        self.ended()
        self.on(DAY)
        self.look()
        self.wall += 2000 * DAY
        self.assertIn("forward", self.look())
        self.assertEqual(self.confirm()["sessions"], 1)
        self.assertEqual(self.facts.ends, {0: NOW})

    def test_backAndRight(self):
        """What ended meanwhile counts from the end of the doubt; what ended before is what it was."""
        self.start()
        self.ended()
        self.on(60)
        self.look()
        self.wall -= 400 * DAY
        self.assertIn("back", self.look())
        self.ended()
        self.on(90 * DAY)
        self.ended()
        self.wall += 400 * DAY
        self.assertIsNotNone(self.look())
        self.confirm()
        self.assertEqual(self.facts.ends, {10: NOW, 11: self.wall, 12: self.wall})

    def test_confirmedByMistake(self):
        """A clock that was set back is said to be right, and put right later: by so much what was noted is kept longer."""
        self.start()
        self.ended()
        self.wall -= 400 * DAY
        self.look()
        self.confirm()
        self.assertIsNone(self.look())
        self.on(DAY)
        self.ended()
        self.wall += 400 * DAY
        self.assertIn("forward", self.look())
        self.confirm()
        self.assertEqual(self.facts.ends, {10: NOW, 11: NOW + DAY})

    def test_lostAndBack(self):
        """Nothing is known of before, and sessions end under a clock that is behind: they count from the end of the doubt."""
        self.start()
        self.facts.said = {LATEST: NOW}
        self.wall -= 400 * DAY
        self.up += 90 * DAY
        self.assertIn("lost", self.look())
        self.ended()
        self.wall += 490 * DAY
        self.confirm()
        self.assertEqual(self.facts.ends, {10: self.wall})

    def test_overARestart(self):
        """Nobody knows how much of it was time that has passed: what ended is kept longer by all of it, but for what the machine is up."""
        self.start()
        self.ended()
        self.look()
        self.boot, self.up = "two", DAY
        self.wall += 30 * DAY
        self.assertIsNotNone(self.look())
        self.assertEqual(self.confirm()["ahead"], 29 * DAY)
        self.assertEqual(self.facts.ends, {10: NOW + 29 * DAY})


class BootTests(SynchronousTestCase):
    def test_boot(self):
        name, up = boot()
        self.assertEqual(name, boot()[0])
        self.assertGreater(up, 0)
