"""Segments on their way: in order, a few sessions at once; what can not be processed holds up nobody."""

from sqlite3 import OperationalError

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.pipeline import FIRST, LATE, Pipeline
from hoopx.ledger.errors import LedgerFailed
from tests.curator.rig import ListLedger, Now, Recorded, bench, book, scribe
from tests.recording.rig import Later


class FakeBench:
    """C{plan}: session -> how many steps, or an exception."""

    def __init__(self, **plan):
        self.plan = plan
        self.calls = []

    def step(self, session, path):
        self.calls.append(session)
        left = self.plan[session]
        if isinstance(left, Exception):
            raise left
        if not left:
            return None
        self.plan[session] = left - 1
        return FakeStep()

    def logged(self, step, indexes):
        pass


class FakeStep:
    leaves = ()


class PipelineTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.alarms = []
        self.ledger = ListLedger()

    def pipeline(self, bench, threads=None, **more):
        return Pipeline(
            bench, scribe(self.ledger), threads or Now(), self.clock, lambda alarm, text: self.alarms.append((alarm, text)), **more
        )

    def test_recordings(self):
        recorded = Recorded(self.mktemp())
        book_ = book()
        self.addCleanup(book_.close)
        pipeline = self.pipeline(bench(book_))
        recordings = [recorded.session(count) for count in (1, 3, 2)]
        for recording in recordings:
            pipeline.look(recording.session, recording.path)
        self.successResultOf(pipeline.whenIdle())
        for recording, count in zip(recordings, (1, 3, 2)):
            self.assertEqual(self.ledger.types(recording.session), ["sealed"] * count + ["done"])
        pipeline.look(recordings[0].session, recordings[0].path)
        self.assertEqual(self.ledger.size, 9)
        self.assertEqual(pipeline.done, 6)

    def test_wide(self):
        """So many at once and no more; each in turn."""
        bench = FakeBench(a=9, b=1, c=1)
        threads = Later()
        pipeline = self.pipeline(bench, threads, wide=2)
        for name in "abc":
            pipeline.look(name, name)
        self.assertEqual(len(threads.calls), 2)
        self.assertEqual(pipeline.waiting, 3)
        threads.runAll()
        self.assertEqual(pipeline.waiting, 0)
        self.assertLess(bench.calls.index("c"), len(bench.calls) - 4)  # it did not wait for all of a

    def test_hintWhileAtWork(self):
        bench = FakeBench(a=1)
        threads = Later()
        pipeline = self.pipeline(bench, threads)
        pipeline.look("a", "a")
        pipeline.look("a", "a")
        threads.runAll()
        self.assertEqual(bench.calls, ["a", "a", "a"])

    def test_late(self):
        """What waits long although nothing fails is told once, and again when it has been made up for in between."""
        threads = Later()
        pipeline = self.pipeline(FakeBench(a=2, b=1), threads)
        for expected in (1, 2):
            pipeline.look("a", "a")
            self.clock.advance(LATE - 1)
            pipeline.look("b", "b")  # somebody else's hint
            self.assertEqual(len(self.alarms), expected - 1)
            self.clock.advance(1)
            for _ in range(3):
                pipeline.look("b", "b")
            self.assertEqual(len(self.alarms), expected)
            alarm, text = self.alarms[-1]
            self.assertEqual((alarm, f"for {LATE:.0f} s: the recording a first" in text), ("behind", True), text)
            threads.runAll()
        self.assertEqual(pipeline.waiting, 0)
        self.clock.advance(LATE * 10)
        pipeline.look("b", "b")
        self.assertEqual(len(self.alarms), 2)

    def test_lateWhileAtWork(self):
        """Each step is a moment to notice it; what is quarantined waits no more."""
        threads = Later()
        pipeline = self.pipeline(FakeBench(a=2, bad=ValueError("is not sealed")), threads)
        pipeline.look("bad", "bad")
        threads.runAll()
        pipeline.look("a", "a")
        self.clock.advance(LATE)
        threads.runAll()
        self.assertEqual([alarm for alarm, _ in self.alarms], ["quarantined", "behind"])
        self.assertIn("recording a", self.alarms[-1][1])

    def test_quarantine(self):
        pipeline = self.pipeline(FakeBench(bad=ValueError("is not sealed"), good=1))
        pipeline.look("bad", "bad")
        pipeline.look("good", "good")
        pipeline.look("bad", "bad")
        self.assertEqual(pipeline.quarantined, {"bad": "is not sealed"})
        self.assertEqual([alarm for alarm, _ in self.alarms], ["quarantined"])
        self.assertEqual(pipeline.done, 1)

    def test_diskFails(self):
        """Tried again, later and later; nothing is quarantined for it."""
        bench = FakeBench(a=OSError(28, "No space left on device"))
        pipeline = self.pipeline(bench)
        pipeline.look("a", "a")
        self.clock.advance(FIRST)
        self.assertEqual(len(bench.calls), 2)
        self.clock.advance(FIRST)
        self.assertEqual(len(bench.calls), 2)
        bench.plan["a"] = 1
        self.clock.advance(FIRST)
        self.assertEqual(pipeline.done, 1)
        self.assertEqual(pipeline.quarantined, {})

    def test_bookFails(self):
        """The disk under the curator's own list is full: that is no fault of the recording, and passes."""
        bench = FakeBench(a=OperationalError("database or disk is full"))
        pipeline = self.pipeline(bench)
        pipeline.look("a", "a")
        self.assertEqual((pipeline.quarantined, pipeline.waiting), ({}, 1))
        bench.plan["a"] = 1
        self.clock.advance(FIRST)
        self.assertEqual((pipeline.done, pipeline.waiting), (1, 0))

    def test_ledgerFails(self):
        self.ledger.failure = LedgerFailed("Input/output error")
        recorded = Recorded(self.mktemp())
        book_ = book()
        self.addCleanup(book_.close)
        recording = recorded.session(2)
        pipeline = self.pipeline(bench(book_))
        pipeline.look(recording.session, recording.path)
        self.assertEqual(self.ledger.size, 0)
        self.ledger.failure = None
        self.clock.advance(FIRST)
        self.assertEqual(self.ledger.types(), ["sealed", "sealed", "done"])

    def test_stop(self):
        threads = Later()
        pipeline = self.pipeline(FakeBench(a=3, b=3, c=3), threads)
        for name in "abc":
            pipeline.look(name, name)
        stopped = pipeline.stop()
        self.assertNoResult(stopped)
        threads.runAll()
        self.successResultOf(stopped)
        self.assertEqual(pipeline.done, 2)
