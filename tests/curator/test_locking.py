"""What is stored is locked as holds and rules want it, whatever came first."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.locking import AGAIN, Locking
from hoopx.storage.errors import StorageUnavailable
from hoopx.ulid import ulid
from hoopx.values import Receipt
from tests.curator.rig import WALL, FakeBackend, Now, book

DAY = 86400.0


class LockingTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.book = book()
        self.addCleanup(self.book.close)
        self.backend = FakeBackend()
        self.alarms = []
        self.keep = {"orders": 10 * DAY}
        self.locking = self.made()
        self.locking.ruled("[]")

    def made(self):
        return Locking(
            self.book, self.backend, lambda target, labels: self.keep.get(target, DAY), Now(), self.clock,
            lambda alarm, text: self.alarms.append(alarm),
        )  # fmt: skip

    def session(self, name, target="orders", head=True):
        head = {"target": target, "identity": {"name": name}, "labels": {}} if head else None
        session = ulid(WALL)
        self.sealed(session, 0, head)
        return session

    def sealed(self, session, number, head=None, last=False):
        """A segment is in the ledger, and stored as it was sealed; perhaps the session is over with it."""
        from hoopx.curator.tail import Ends

        at = WALL + 60 * number
        self.book.began(session, "/nowhere", head, number, Ends("ab"), at)
        self.book.logged(session, number, "cd", 10, number, number + 1 if last else None, at if last else None)
        self.book.stored(session, number, Receipt(f"gw/{session}/{number}", None, "cd", at + self.keep["orders"]))
        self.locking.stored(session)
        self.clock.advance(0)

    def held(self, session):
        return sorted(name.rpartition("/")[2] for name in self.backend.held if session in name)

    def test_extended(self):
        """When it has ended, all segments are locked for as long as it is kept from then on: once, and never for less."""
        session = self.session("alice")
        self.sealed(session, 1)
        self.assertEqual(self.backend.retained, [])
        self.sealed(session, 2, last=True)
        until = WALL + 120 + 10 * DAY
        self.assertEqual(self.backend.retained, [(f"gw/{session}/0", until), (f"gw/{session}/1", until)])
        self.assertEqual({receipt.retainUntil for receipt in self.book.receipts(session).values()}, {until})
        self.locking.lookThrough()
        self.clock.advance(0)
        self.made().ruled("[]")
        self.assertEqual(len(self.backend.retained), 2)
        self.keep["orders"] = 20 * DAY
        self.made().ruled("[20]")
        self.assertEqual(self.backend.retained[2:], [(f"gw/{session}/{number}", until + 10 * DAY) for number in range(3)])
        self.keep["orders"] = DAY
        self.made().ruled("[1]")
        self.assertEqual(len(self.backend.retained), 5)

    def test_unknown(self):
        """As long as nobody knows what a session is, it can not be said how long."""
        session = self.session("alice", head=False)
        self.sealed(session, 1, last=True)
        self.assertEqual(self.backend.retained, [])
        self.book.learned(session, {"target": "orders"})
        self.locking.lookThrough()
        self.assertEqual(len(self.backend.retained), 1)

    def test_filter(self):
        """A hold by filter means what is stored, and what comes later."""
        alice, bob = self.session("alice"), self.session("bob")
        self.locking.holds([{"session": None, "filter": {"user": "alice"}}])
        self.assertEqual((self.held(alice), self.held(bob)), (["0"], []))
        self.sealed(alice, 1)
        later = self.session("alice")
        self.assertEqual((self.held(alice), self.held(later), self.held(bob)), (["0", "1"], ["0"], []))
        self.assertTrue(self.book.receipts(later)[0].held)
        unknown = self.session("carol", head=False)
        self.assertEqual(self.held(unknown), ["0"])  # every filter might mean it

    def test_lifted(self):
        """Let go of only when no hold is left; and not before it is known which there are."""
        alice = self.session("alice")
        self.locking.holds([{"session": None, "filter": {"user": "a*"}}, {"session": alice, "filter": None}])
        again = self.made()
        again.lookThrough()
        self.assertEqual(self.held(alice), ["0"])
        again.holds([{"session": None, "filter": {"user": "a*"}}])
        self.assertEqual(self.held(alice), ["0"])
        again.holds([])
        self.assertEqual(self.held(alice), [])

    def test_away(self):
        """The store is away: told once, and done when it is back."""
        alice = self.session("alice")
        self.backend.failure = StorageUnavailable("503")
        self.locking.holds([{"session": alice, "filter": None}])
        self.clock.pump([AGAIN] * 3)
        self.assertEqual(self.alarms, ["store-locks"])
        later = self.session("alice")
        self.backend.failure = None
        self.clock.advance(AGAIN)
        self.assertEqual((self.held(alice), self.held(later)), (["0"], []))
