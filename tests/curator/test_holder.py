"""Each session that a hold by a filter means has a leaf; what is lifted is let go of, unless another hold means it."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.holder import AGAIN, PAGE, SOON, Holder
from hoopx.curator.tail import Ends
from hoopx.ulid import ulid
from tests.curator.rig import WALL, LedgerFailed, ListLedger, Now, book, scribe

SET, LIFT, OTHER = "aa" * 32, "bb" * 32, "cc" * 32
ALICE = {"user": "alice"}


class HolderTests(SynchronousTestCase):
    def setUp(self):
        self.book = book()
        self.addCleanup(self.book.close)
        self.clock = Clock()
        self.ledger = ListLedger()
        self.alarms = []
        self.released = 0
        self.holder = Holder(
            self.book, Now(), scribe(self.ledger), self.clock, lambda: WALL, lambda alarm, text: self.alarms.append(alarm), self.let
        )
        self.count = 0

    def let(self):
        self.released += 1

    def session(self, user="alice", head=True, over=True):
        self.count += 1
        session = ulid(WALL - 1_000_000 + self.count)
        said = {"target": "orders", "protocol": "raw", "identity": {"name": user}, "labels": {}} if head else None
        self.book.began(session, "/nowhere", said, 0, Ends("", "done", "", WALL), WALL)
        if over:
            self.end(session)
        return session

    def end(self, session):
        self.book.logged(session, 0, "", 1, 2 * self.count, 2 * self.count + 1, WALL)

    def set(self, audit=SET, hold=1, filter=ALICE):
        self.book.stand(audit, hold, None, filter)
        self.holder.wake()
        self.clock.advance(SOON)

    def lift(self, hold=1, audit=LIFT, session=None):
        self.book.fall(hold, session, audit)
        self.holder.lifted(hold)
        self.clock.advance(SOON)

    def said(self, kind="hold-set"):
        return sorted(value["session"] for _, value in self.ledger.leaves if value["type"] == kind)

    def told(self, *rows):
        self.book.told(rows)
        self.holder.told(list(rows))
        self.clock.advance(0)

    def test_many(self):
        """In steps; and whoever comes later, when they are over."""
        mine = [self.session() for _ in range(2 * PAGE + 7)]
        self.session("bob")
        living = self.session(over=False)
        self.set()
        self.assertEqual(self.said(), mine)
        self.assertLessEqual(max(self.ledger.batches), PAGE)
        self.end(living)
        later = self.session()
        self.session("bob")
        self.holder.wake()
        self.clock.advance(SOON)
        self.assertEqual(self.said(), sorted([*mine, living, later]))
        self.assertTrue(all(self.book.isHeld(session) for session in self.said()))
        self.assertEqual({value["audit"] for _, value in self.ledger.leaves}, {SET})
        self.assertEqual(self.book._rows("SELECT * FROM unweighed"), [])

    def test_lifted(self):
        """But for what another hold means, whether it is known here or told by the state store."""
        free, second, mine = self.session(), self.session(), self.session()
        self.set()
        self.book.stand(OTHER, 2, second, None)
        self.told({"id": 1, "session": None, "filter": ALICE}, {"id": 2, "session": second, "filter": None},
                  {"id": 3, "session": mine, "filter": None})  # fmt: skip
        self.lift()
        self.assertEqual(self.said("hold-lifted"), [free])
        self.assertEqual([self.book.isHeld(session) for session in (free, second, mine)], [False, True, True])
        self.assertEqual((self.book.holding(), self.book.holding(True)), (self.book.holding()[:1], []))
        self.assertEqual(self.released, 1)

    def test_liftedMeanwhile(self):
        """While those that it means are weighed: they are let go of all the same."""
        mine = [self.session() for _ in range(PAGE + 1)]
        self.told()
        append = self.ledger.append

        def lifting(leaves):
            self.ledger.append = append
            self.book.fall(1, None, LIFT)
            self.holder.lifted(1)
            return append(leaves)

        self.ledger.append = lifting
        self.set()
        self.clock.advance(SOON)
        self.assertEqual(self.said("hold-set"), mine)
        self.assertEqual(self.said("hold-lifted"), mine)
        self.assertFalse(any(self.book.isHeld(session) for session in mine))
        self.assertEqual(self.book.holding(True), [])

    def test_liftedBeforeAnyIsTold(self):
        """Nothing is let go of before it is known which others there are."""
        session = self.session()
        self.set()
        self.lift()
        self.assertEqual(self.said("hold-lifted"), [])
        self.told()
        self.assertEqual(self.said("hold-lifted"), [session])

    def test_keeps(self):
        """From the moment when a hold is known, leaf or not, nothing that it means is erased."""
        session = self.session()
        head = self.book.session(session)["head"]
        self.assertIsNone(self.book.keeps(session, head))
        self.book.stand(SET, 1, None, ALICE)
        self.assertIn("a hold means it", self.book.keeps(session, head))
        self.assertIsNone(self.book.keeps(session, {**head, "identity": {"name": "bob"}}))
        self.assertIsNotNone(self.book.keeps(session, None))

    def test_forgotten(self):
        """A hold that an old copy of the state store does not know holds on; who sets the same one and lifts it ends both."""
        session = self.session()
        self.set()
        self.told()
        self.assertTrue(self.book.isHeld(session))
        self.book.stand(OTHER, 1, None, ALICE)  # numbers begin anew, too
        self.told({"id": 1, "session": None, "filter": ALICE})
        self.lift()
        self.assertEqual((self.said("hold-lifted"), self.book.isHeld(session)), ([session], False))

    def test_forgottenSession(self):
        """The same for one session."""
        session = self.session()
        self.book.stand(SET, 5, session, None)
        self.told()
        self.book.stand(OTHER, 1, session, None)
        self.assertEqual({row["audit"] for row in self.book.fall(1, session, LIFT)}, {SET, OTHER})
        self.assertFalse(self.book.stands(session, None))

    def test_sameTwice(self):
        """Two holds that say the same, and both are known: the other one holds on."""
        session = self.session()
        self.set()
        self.book.stand(OTHER, 2, None, ALICE)
        self.told({"id": 1, "session": None, "filter": ALICE}, {"id": 2, "session": None, "filter": ALICE})
        self.lift()
        self.assertTrue(self.book.isHeld(session))
        self.lift(2, "dd" * 32)
        self.assertFalse(self.book.isHeld(session))

    def test_unknown(self):
        """What is not known is not erased anyway; it is weighed when it is."""
        session = self.session(head=False)
        self.set()
        self.assertEqual(self.said(), [])
        self.book.learned(session, {"target": "orders", "identity": {"name": "alice"}})
        self.holder.wake()
        self.clock.advance(SOON)
        self.assertEqual(self.said(), [session])

    def test_tailIsNotLost(self):
        """Unknown ones among those to be weighed do not keep the others from it."""
        self.set()
        for _ in range(3):
            self.session(head=False)
        session = self.session()
        self.holder.wake()
        self.clock.advance(SOON)
        self.assertEqual(self.said(), [session])

    def test_disk(self):
        """It goes on where it stopped."""
        sessions = [self.session() for _ in range(3)]
        self.ledger.failure = LedgerFailed("no space left")
        self.set()
        self.flushLoggedErrors()
        self.assertEqual((self.said(), self.alarms), ([], ["hold"]))
        self.ledger.failure = None
        self.clock.advance(AGAIN)
        self.assertEqual(self.said(), sessions)

    def test_stop(self):
        self.holder.wake()
        self.holder.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_restart(self):
        """The place is in the list: nothing is said twice."""
        self.session()
        self.set()
        self.book.hold(self.said()[0], 10**6, False)
        self.holder.wake()
        self.clock.advance(SOON)
        self.assertEqual(len(self.said()), 1)
