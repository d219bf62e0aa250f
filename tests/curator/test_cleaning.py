"""Traces of erased sessions are removed once for many, and also when the curator died in between; nobody waits for that."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.cleaning import AGAIN, PAUSE, QUIET, TRACES, Cleaning
from hoopx.curator.indexing import Indexing
from hoopx.curator.parts import Parts
from hoopx.curator.settings import CuratorSettings
from hoopx.registry import protocols
from tests.curator.rig import Now, book
from tests.index.rig import asked, feed, record
from tests.index.rig import writer as indexWriter


class Index:
    def __init__(self):
        self.did = []
        self.steps = 3
        self.left = 0
        self.failure = None

    def erase(self, session):
        self.did.append(session)
        self.left = self.steps
        return True

    def clean(self):
        if self.failure is not None:
            raise self.failure
        self.did.append("clean")
        self.left -= 1
        return self.left <= 0


class CleaningTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.book = book()
        self.addCleanup(self.book.close)
        self.book.setFact(TRACES, 0)
        self.index = Index()
        self.alarms = []
        self.cleaning = self.made()

    def made(self):
        parts = Parts(Now(), Now(), Now(), lambda function, *arguments: function(*arguments))
        return Cleaning(self.book, self.index, parts, self.clock, lambda alarm, text: self.alarms.append(alarm))

    def run_(self, seconds):
        for _ in range(int(seconds / PAUSE) + 1):
            self.clock.advance(PAUSE)

    def test_once(self):
        """For all that are erased one after the other, not for each."""
        self.cleaning.start()
        for number in range(5):
            self.successResultOf(self.cleaning.erase(f"S{number}"))
            self.run_(QUIET / 2)
        self.assertEqual(self.index.did, ["S0", "S1", "S2", "S3", "S4"])
        self.run_(QUIET)
        self.assertEqual(self.index.did[5:], ["clean"] * 3)
        self.assertEqual(self.book.fact(TRACES), 0)
        self.run_(1000)
        self.assertEqual(len(self.index.did), 8)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing(self):
        self.cleaning.start()
        self.run_(QUIET * 2)
        self.assertEqual(self.index.did, [])

    def test_unknown(self):
        """The list was lost: nobody knows whether there are traces."""
        self.book.close()
        self.book = book()
        self.made().start()
        self.run_(QUIET)
        self.assertIn("clean", self.index.did)

    def test_killed(self):
        """Noted before it is erased; the next curator goes on, also when it died half-way."""
        self.successResultOf(self.cleaning.erase("S"))
        self.run_(QUIET)
        self.cleaning.stop()
        self.assertNotEqual(self.book.fact(TRACES), 0)
        del self.index.did[:]
        self.index.left = 2
        self.made().start()
        self.run_(QUIET + 1)
        self.assertEqual((self.index.did, self.book.fact(TRACES)), (["clean"] * 2, 0))

    def test_meanwhile(self):
        """What is erased while it is at work is seen to afterwards."""
        self.index.steps = 5
        self.successResultOf(self.cleaning.erase("S"))
        self.clock.advance(QUIET)
        self.index.steps = 2
        self.successResultOf(self.cleaning.erase("T"))
        self.run_(1)
        self.assertEqual(self.book.fact(TRACES), 2)
        self.run_(QUIET + 1)
        self.assertEqual(self.book.fact(TRACES), 0)

    def test_fails(self):
        """It is told once, and tried again."""
        self.index.failure = ValueError("no disk")
        self.successResultOf(self.cleaning.erase("S"))
        self.run_(QUIET + AGAIN * 3)
        self.assertEqual(self.alarms, ["index"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.index.failure = None
        self.run_(AGAIN + 1)
        self.assertEqual(self.book.fact(TRACES), 0)

    def test_noIndex(self):
        self.index = None
        cleaning = self.made()
        cleaning.start()
        self.assertIsNone(self.successResultOf(cleaning.erase("S")))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FilesTests(SynchronousTestCase):
    """The real index: its file and its log, searched for what was said."""

    def setUp(self):
        self.data = Path(self.mktemp()).absolute()
        self.clock = Clock()
        self.book = book()
        self.addCleanup(self.book.close)
        self.gone = [record(self.data, [sum((asked(f"SELECT 'zanzibar{number}{n}'") for n in range(20)), [])]) for number in range(4)]
        self.stays = record(self.data, [asked("SELECT 'trumpet'")])
        writing, engine, reads = indexWriter(self.data)
        for session in (*self.gone, self.stays):
            feed(writing, reads, session)
        engine.dispose()

    def cleaning(self):
        indexing = Indexing(CuratorSettings(str(self.data), "gw1"), protocols())
        self.addCleanup(indexing.close)
        parts = Parts(Now(), Now(), Now(), lambda function, *arguments: function(*arguments))
        return Cleaning(self.book, indexing, parts, self.clock, lambda alarm, text: None)

    def raw(self):
        return b"".join(path.read_bytes() for path in self.data.glob("index.sqlite*"))

    def test_run(self):
        """Several sessions of one run."""
        cleaning = self.cleaning()
        for session in self.gone:
            self.successResultOf(cleaning.erase(session))
        self.assertIn(b"zanzibar", self.raw())
        self.clock.advance(QUIET)
        self.clock.pump([PAUSE] * 100)
        raw = self.raw()
        self.assertIn(b"trumpet", raw)
        for word in (b"zanzibar", *(session.encode() for session in self.gone)):
            self.assertNotIn(word, raw)

    def test_killed(self):
        """A curator that ended after the sessions were erased, and before their traces were: the next one sees to it."""
        first = self.cleaning()
        for session in self.gone:
            self.successResultOf(first.erase(session))
        first.stop()
        self.assertIn(b"zanzibar", self.raw())
        self.cleaning().start()
        self.clock.advance(QUIET)
        self.clock.pump([PAUSE] * 100)
        self.assertNotIn(b"zanzibar", self.raw())
        self.assertIn(b"trumpet", self.raw())
