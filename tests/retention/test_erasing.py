"""Erased: the objects, the index, the files, then the leaf; never early, never half without going on."""

import os
from functools import partial

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hoopx.recording.files import Files
from hoopx.retention.erasing import Eraser, NotErased
from hoopx.retention.rules import Keeping, Rule
from hoopx.storage.errors import NotStored, StorageRefused
from tests.curator.rig import WALL, FakeBackend, ListLedger, Now, Recorded, bench, book, scribe

AUDIT = "ab" * 32
KEEP = 1000.0


class Guard:
    doubt = None

    def look(self):
        return self.doubt


class Index:
    data = ""

    def __init__(self):
        self.erased = []

    def erase(self, session):
        assert not [path for path, _, _ in os.walk(self.data) if path.endswith(session)], "a sweep would put it down again"
        self.erased.append(session)
        return succeed(None)


class Deleting(FakeBackend):
    def delete(self, receipt):
        if self.failure is not None:
            return fail(self.failure)
        self.deleted.append(receipt.name)
        return succeed(None)


class ErasingTests(SynchronousTestCase):
    def setUp(self):
        self.book = book()
        self.addCleanup(self.book.close)
        self.now = WALL
        self.ledger = ListLedger()
        self.guard, self.index, self.backend = Guard(), Index(), Deleting()
        self.eraser = self.made(self.backend)
        recorded = Recorded(self.mktemp())
        self.index.data = recorded.data
        table, self.recording = bench(self.book), recorded.session(2)
        leaf = 0
        while (step := table.step(self.recording.session, self.recording.path)) is not None:
            table.logged(step, [leaf, leaf + 1][: len(step.leaves)])
            leaf += len(step.leaves)
        self.session = self.recording.session
        self.ended = self.book.session(self.session)["ended"]

    def made(self, backend):
        keeping = Keeping([Rule(KEEP)], {})
        return Eraser(
            self.book, keeping, self.guard, scribe(self.ledger), Now(), lambda: self.now, Files(), backend, self.index
        )

    def test_held(self):
        """By the ledger's word, which an old copy of the state store knows nothing of; the last one counts."""
        self.now = self.ended + KEEP
        self.book.hold(self.session, 7, True)
        self.book.relearn([(6, {"session": self.session, "type": "hold-lifted"}, "", WALL)], 8)
        failure = self.failureResultOf(self.eraser.erase(self.session, AUDIT), NotErased)
        self.assertIn("held", str(failure.value))
        self.assertTrue(os.path.exists(self.recording.path))
        self.book.relearn([(9, {"session": self.session, "type": "hold-lifted"}, "", WALL)], 10)
        self.successResultOf(self.eraser.erase(self.session, AUDIT))

    def store(self):
        for number in range(2):
            self.backend.put(f"gw/{number}", os.path.join(self.recording.path, f"{number:06d}.hxr"), None).addCallback(
                lambda receipt, number=number: self.book.stored(self.session, number, receipt)
            )

    def test_erased(self):
        self.store()
        self.now = self.ended + KEEP - 1
        self.assertEqual(self.eraser.expired(""), [])
        self.failureResultOf(self.eraser.erase(self.session, AUDIT), NotErased)
        self.now += 1
        (found,) = self.eraser.expired("")
        self.assertEqual((found["session"], found["head"]["target"]), (self.session, "orders"))
        self.successResultOf(self.eraser.erase(self.session, AUDIT))
        self.assertEqual(self.backend.deleted, ["gw/0", "gw/1"])
        self.assertEqual(self.index.erased, [self.session])
        self.assertFalse(os.path.exists(self.recording.path))
        self.assertEqual([value["audit"] for _, value in self.ledger.leaves], [AUDIT])
        self.assertEqual(self.eraser.expired(""), [])
        self.failureResultOf(self.eraser.erase(self.session, AUDIT), NotErased)
        self.assertIn(self.session, self.book.overSessions())

    def next(self, waiting, receipt):
        return next(waiting)

    def test_heldMeanwhile(self):
        """While the store takes its time: nothing more goes, of the objects or of the files."""
        for gone in (1, 2):
            self.setUp()
            self.store()
            self.now = self.ended + KEEP
            waiting = [Deferred(), Deferred()]
            asked = iter(waiting)
            self.backend.delete = partial(self.next, asked)
            erasing = self.eraser.erase(self.session, AUDIT)
            for each in waiting[: gone - 1]:
                each.callback(None)
            self.book.hold(self.session, 7, True)
            waiting[gone - 1].callback(None)
            self.assertIn("held", str(self.failureResultOf(erasing, NotErased).value))
            self.assertEqual((len(list(asked)), self.index.erased, self.ledger.leaves), (2 - gone, [], []))
            self.assertTrue(os.path.exists(os.path.join(self.recording.path, "000001.hxr")))
        self.backend.delete = lambda receipt: fail(NotStored("it is gone"))
        self.book.hold(self.session, 8, False)
        self.successResultOf(self.eraser.erase(self.session, AUDIT))

    def test_clock(self):
        self.now = self.ended + KEEP
        self.guard.doubt = "the clock was set forward by 86400 s"
        self.assertRaises(NotErased, self.eraser.expired, "")
        self.failureResultOf(self.eraser.erase(self.session, AUDIT), NotErased)
        self.assertTrue(os.path.exists(self.recording.path))

    def test_storeRefuses(self):
        """Still locked in the store: nothing is said to be erased; the next run tries again, whatever is gone by then."""
        self.store()
        self.now = self.ended + KEEP
        self.backend.failure = StorageRefused("it is retained")
        self.failureResultOf(self.eraser.erase(self.session, AUDIT), StorageRefused)
        self.assertEqual((self.ledger.leaves, os.path.exists(self.recording.path)), ([], True))
        self.backend.failure = NotStored("gone")
        self.successResultOf(self.eraser.erase(self.session, AUDIT))
        self.assertEqual(self.ledger.types(), ["erased"])

    def test_storeIsGone(self):
        self.store()
        self.now = self.ended + KEEP
        self.failureResultOf(self.made(None).erase(self.session, AUDIT), NotErased)

    def test_wrongTimes(self):
        """A session whose end was recorded under a clock in the past counts from the latest time that was known."""
        self.assertGreaterEqual(self.ended, WALL)
