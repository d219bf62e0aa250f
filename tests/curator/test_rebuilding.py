"""The list is made anew from the ledger; what a power cut left between two leaves is made up for."""

import os

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.rebuilding import catchUp
from hoopx.frames import segmentName
from hoopx.ledger.leaf import leaf, parse
from tests.curator.rig import WALL, Recorded, bench, book

HASH = "ab" * 32


class Entries:
    """The leaves of a ledger, in a list."""

    def __init__(self, leaves):
        self.leaves = leaves

    @property
    def size(self):
        return len(self.leaves)

    def entries(self, start, stop):
        return self.leaves[start:stop]


class RebuildingTests(SynchronousTestCase):
    def setUp(self):
        self.book = book()
        self.addCleanup(self.book.close)

    def run_(self, recording, recipients=()):
        table, leaves = bench(book(), recipients=recipients), []
        while (step := table.step(recording.session, recording.path)) is not None:
            table.logged(step, list(range(len(leaves), len(leaves) + len(step.leaves))))
            leaves += step.leaves
        return leaves

    def test_lost(self):
        data = self.mktemp()
        recording = Recorded(data).session(3)
        ledger = Entries([leaf("audit", WALL, audit=HASH), *self.run_(recording)])
        self.assertEqual(catchUp(self.book, ledger, data), 5)
        standing = self.book.standing(recording.session)
        self.assertEqual((standing.next, standing.over), (3, True))
        row = self.book.session(recording.session)
        self.assertTrue(os.path.samefile(row["path"], recording.path))
        self.assertEqual(row["ended"], WALL)
        self.assertEqual([each.digest for each in self.book.unstored(9)], [parse(line)["object"] for line in ledger.leaves[1:4]])
        self.assertEqual(catchUp(self.book, ledger, data), 0)
        ledger.leaves.append(leaf("erased", WALL, session=recording.session, audit=HASH))
        self.assertEqual(catchUp(self.book, ledger, data), 1)
        self.assertTrue(self.book.session(recording.session)["erased"])
        self.assertEqual(self.book.unstored(9), [])

    def test_otherLedger(self):
        """A list that knows more than the ledger has is of another one."""
        self.book.setFact("ledger", 1000)
        data = self.mktemp()
        recording = Recorded(data).session(1)
        self.assertEqual(catchUp(self.book, Entries(self.run_(recording)), data), 2)

    def test_encrypted(self):
        """Nobody here can read the segments any more, and nobody need."""
        data = self.mktemp()
        recording = Recorded(data).session(2)
        identity = pyrage.x25519.Identity.generate()
        recipients = (str(identity.to_public()),)
        catchUp(self.book, Entries(self.run_(recording, recipients)), data)
        self.assertIsNone(bench(self.book, recipients=recipients).step(recording.session, recording.path))

    def test_lastLeafLost(self):
        """The power went between the segment's leaf and the session's."""
        data = self.mktemp()
        recording = Recorded(data).session(2)
        leaves = self.run_(recording)
        catchUp(self.book, Entries(leaves[:2]), data)
        table = bench(self.book)
        step = table.step(recording.session, recording.path)
        self.assertEqual(step.leaves, leaves[2:])
        table.logged(step, [2])
        self.assertTrue(self.book.standing(recording.session).over)
        self.assertIsNone(table.step(recording.session, recording.path))
        self.assertIn(segmentName(1), os.listdir(recording.path))

    def test_livesOn(self):
        """A session whose next segment is not sealed yet has not ended."""
        data = self.mktemp()
        recording = Recorded(data).session(2, close=False)
        catchUp(self.book, Entries(self.run_(recording)), data)
        self.assertIsNone(bench(self.book).step(recording.session, recording.path))
