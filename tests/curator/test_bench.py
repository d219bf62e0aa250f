"""One segment on the bench: read, indexed, packed, and what its leaves say; interrupted anywhere, the same again."""

import os
from hashlib import sha256

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.bench import TOLD
from hoopx.curator.tail import endsOf
from hoopx.frames import OPEN, segmentName
from hoopx.ledger.leaf import parse
from hoopx.recording.stored import ZSTD_MAGIC
from tests.curator.rig import Recorded, bench, book


class Index:
    def __init__(self):
        self.fed = []
        self.failure = None

    def segment(self, session, path, number):
        if self.failure is not None:
            raise self.failure
        with open(path, "rb") as file:
            self.fed.append((session, number, file.read(4)))


class BenchTests(SynchronousTestCase):
    def setUp(self):
        self.recorded = Recorded(self.mktemp())
        self.book = book()
        self.addCleanup(self.book.close)

    def run_(self, bench, recording, first=0):
        """@return: leaves of all steps."""
        leaves = []
        while (step := bench.step(recording.session, recording.path)) is not None:
            begin = first + len(leaves)
            leaves += step.leaves
            bench.logged(step, list(range(begin, begin + len(step.leaves))))
        return [parse(leaf) for leaf in leaves]

    def test_leaves(self):
        """Each segment's leaf names its seal and its file as it is afterwards; after the last comes the session's."""
        recording = self.recorded.session(3)
        seals = [endsOf(os.path.join(recording.path, segmentName(number))).seal for number in range(3)]
        index = Index()
        leaves = self.run_(bench(self.book, index=index), recording)
        self.assertEqual([leaf["type"] for leaf in leaves], ["sealed"] * 3 + ["done"])
        self.assertEqual([leaf["seal"] for leaf in leaves[:3]], seals)
        for number, leaf in enumerate(leaves[:3]):
            with open(os.path.join(recording.path, segmentName(number)), "rb") as file:
                data = file.read()
            self.assertTrue(data.startswith(ZSTD_MAGIC))
            self.assertEqual((leaf["object"], leaf["size"], leaf["segment"]), (sha256(data).hexdigest(), len(data), number))
        self.assertEqual(leaves[3]["segments"], 3)
        self.assertEqual([(number, magic) for _, number, magic in index.fed], [(0, b"\x89HXR"), (1, b"\x89HXR"), (2, b"\x89HXR")])
        self.assertTrue(self.book.standing(recording.session).over)

    def test_told(self):
        """Digests that the gateway tells are kept within a limit, the latest ones; where one is not known, the file is hashed."""
        table = bench(self.book, compress=False)
        recording = self.recorded.session(2)
        table.told(recording.session, 0, "ab" * 32)
        for number in range(TOLD):
            table.told("another", number, "cd" * 32)
        leaves = self.run_(table, recording)
        for number, leaf in enumerate(leaves[:2]):
            with open(os.path.join(recording.path, segmentName(number)), "rb") as file:
                self.assertEqual(leaf["object"], sha256(file.read()).hexdigest())

    def test_live(self):
        """The open segment is left alone; what is sealed is packed."""
        recording = self.recorded.session(3, close=False)
        self.assertEqual([leaf["segment"] for leaf in self.run_(bench(self.book), recording)], [0, 1])
        self.assertIn(OPEN, os.listdir(recording.path))
        recording.close("client-left")
        self.assertEqual([leaf["type"] for leaf in self.run_(bench(self.book), recording)], ["sealed", "done"])

    def test_beingSealed(self):
        """A segment with a second name is still open: its recording relies on both names being one file."""
        recording = self.recorded.session(1, close=False)
        os.link(os.path.join(recording.path, OPEN), os.path.join(recording.path, segmentName(0)))
        self.assertIsNone(bench(self.book).step(recording.session, recording.path))
        self.assertTrue(os.path.samefile(os.path.join(recording.path, OPEN), os.path.join(recording.path, segmentName(0))))

    def test_successorIsNotThere(self):
        """While the open segment has not even its first frame, recovery needs the one before, plain."""
        recording = self.recorded.session(2, close=False)
        with open(os.path.join(recording.path, OPEN), "rb+") as file:
            file.truncate(5)
        self.assertIsNone(bench(self.book).step(recording.session, recording.path))

    def test_again(self):
        """Killed between packing and the leaf: the next one says the same, also when the book is lost."""
        for lost in (False, True):
            recording = self.recorded.session(2)
            first = bench(self.book).step(recording.session, recording.path)
            other = book() if lost else self.book
            again = bench(other).step(recording.session, recording.path)
            self.assertEqual(again, first)

    def test_encrypted(self):
        """The same with encryption, where nobody here could read the segment again."""
        identity = pyrage.x25519.Identity.generate()
        recipients = (str(identity.to_public()),)
        recording = self.recorded.session(2)
        seals = [endsOf(os.path.join(recording.path, segmentName(number))) for number in range(2)]
        first = bench(self.book, recipients=recipients).step(recording.session, recording.path)
        again = bench(self.book, recipients=recipients).step(recording.session, recording.path)
        self.assertEqual(again, first)
        leaves = self.run_(bench(self.book, recipients=recipients), recording)
        self.assertEqual([leaf.get("seal") for leaf in leaves], [ends.seal for ends in seals] + [None])
        self.assertEqual(leaves[2]["end"], seals[1].end)
        with open(os.path.join(recording.path, segmentName(1)), "rb") as file:
            self.assertTrue(file.read().startswith(b"age-encryption.org/v1"))
        self.assertEqual(sorted(os.listdir(recording.path)), [segmentName(0), segmentName(1)])

    def test_indexFails(self):
        """The evidence does not wait for the index; somebody is told."""
        index, said = Index(), []
        index.failure = RuntimeError("no such table")
        recording = self.recorded.session(1)
        leaves = self.run_(bench(self.book, index=index, trouble=said.append), recording)
        self.assertEqual([leaf["type"] for leaf in leaves], ["sealed", "done"])
        self.assertIn("no such table", said[0])
        self.flushLoggedErrors(RuntimeError)

    def test_damaged(self):
        recording = self.recorded.session(1)
        path = os.path.join(recording.path, segmentName(0))
        os.chmod(path, 0o600)
        with open(path, "rb+") as file:
            file.seek(-3, os.SEEK_END)
            file.write(b"xxx")
        self.assertRaises(ValueError, bench(self.book).step, recording.session, recording.path)
        with open(path, "rb") as file:
            self.assertTrue(file.read().startswith(b"\x89HXR"))
