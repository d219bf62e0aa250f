"""All recordings of one gateway."""

from __future__ import annotations

import os
import stat
import time
import tracemalloc
from hashlib import sha256

from twisted.internet import defer
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hoopx.errors import RecordingFailed
from hoopx.frames import OPEN, pack, segmentName
from hoopx.interfaces import IRecordings
from hoopx.recording import store as storeModule
from hoopx.recording.locks import Locked, isLocked
from hoopx.recording.threads import Threads
from hoopx.recording.verify import verifySession
from hoopx.ulid import ulidTime
from hoopx.values import CLIENT, PASSED
from tests.recording.rig import Later, Rig
from tests.recording.test_writer import Base


class OpenTests(Base):
    def test_seam(self):
        verifyObject(IRecordings, self.rig().store)

    def test_before1970(self):
        """A clock that stands before 1970: the session is one all the same, and has a time."""
        rig = self.rig()
        rig.skew = -1e10
        recording = self.open(rig)
        self.assertEqual(ulidTime(recording.session), 0.0)
        self.assertTrue(recording.path.endswith(os.path.join("recordings", "1970", "01", "01", recording.session)), recording.path)
        with open(os.path.join(recording.path, OPEN), "rb") as file:
            self.assertIn(pack({"started": 0.0})[1:-1], file.read())

    def test_notBeforeItIsSafe(self):
        """HEAD, its directory and every new directory above are synced before anybody gets the recording."""
        threads = Later()
        rig = self.rig(threads)
        opened = rig.store.open({})
        self.assertNoResult(opened)
        del rig.files.calls[:]
        threads.run()
        recording = self.successResultOf(opened)
        day = os.path.dirname(recording.path)
        self.assertRegex(recording.path, r"recordings/\d{4}/\d\d/\d\d/[0-9A-Z]{26}$")
        synced = [what for name, what in rig.files.calls if name == "fsync"]
        self.assertEqual(len(synced), 2 + 4)  # HEAD, its directory; day, month, year, recordings
        self.assertTrue(isLocked(os.path.join(recording.path, OPEN)))
        self.assertEqual(len(os.listdir(day)), 1)

    def test_together(self):
        """Many that begin at once share the syncing of their day, and the number of threads at it is bounded."""
        threads = Later()
        rig = self.rig(threads)
        self.open(rig)
        opened = [rig.store.open({}) for _ in range(300)]
        self.assertEqual(len(threads.calls), storeModule.OPENERS)
        del rig.files.calls[:]
        threads.runAll()
        self.assertEqual(len({self.successResultOf(one).session for one in opened}), 300)
        self.assertLess(sum(name == "fsync" for name, _ in rig.files.calls), 600 + 20)

    def test_waitingIsBounded(self):
        threads = Later()
        rig = self.rig(threads)
        opened = [rig.store.open({}) for _ in range(storeModule.WAITING + 10)]
        for one in opened[-5:]:
            self.assertIn("too many", str(self.failureResultOf(one, RecordingFailed).value))
        for one in opened[1:]:
            one.addErrback(lambda failure: failure.trap(RecordingFailed))
        threads.runAll()
        self.successResultOf(opened[0])

    def test_oneBadHead(self):
        """A head that can not be written fails alone, and leaves nothing."""
        threads = Later()
        rig = self.rig(threads)
        blocker = [rig.store.open({}) for _ in range(storeModule.OPENERS)]
        bad, good = rig.store.open({"x": object()}), rig.store.open({})
        threads.runAll()
        self.failureResultOf(bad, RecordingFailed)
        self.assertIsNone(rig.store.obstacle())
        self.assertEqual(len(os.listdir(os.path.dirname(self.successResultOf(good).path))), len(blocker) + 1)

    def test_notStarted(self):
        rig = Rig(self.mktemp())
        self.failureResultOf(rig.store.open({}), RecordingFailed)

    def test_stop(self):
        rig = self.rig()
        recording = self.open(rig)
        self.successResultOf(rig.store.stop())
        self.assertSound(recording)
        self.assertIn("stopping", rig.store.obstacle())
        self.failureResultOf(rig.store.open({}), RecordingFailed)
        self.assertEqual(rig.clock.getDelayedCalls(), [])
        self.assertFalse(isLocked(os.path.join(rig.data, "lock")))

    def test_openedWhileStopping(self):
        threads = Later()
        rig = self.rig(threads)
        opened = rig.store.open({})
        rig.store.stop()
        threads.runAll()
        self.assertSound(self.successResultOf(opened))


class OwnerTests(Base):
    def test_secondOwner(self):
        rig = self.rig()
        recording = self.open(rig)
        other = Rig(rig.data)
        error = self.failureResultOf(other.store.start(), Locked).value
        self.assertIn(str(os.getpid()), str(error))
        self.assertIn("belongs to a gateway that is running", str(error))
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"x"))
        self.successResultOf(rig.store.stop())
        self.successResultOf(Rig(rig.data).store.start())

    def test_ledgerKey(self):
        rig = self.rig()
        keys = os.path.join(rig.data, "keys")
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(keys, "ledger.key")).st_mode), 0o600)
        first = open(os.path.join(keys, "ledger.key")).read()
        self.successResultOf(rig.store.stop())
        self.successResultOf(Rig(rig.data).store.start())
        self.assertEqual(open(os.path.join(keys, "ledger.key")).read(), first)


class Told:
    """A curator that writes down what it is told."""

    def __init__(self):
        self.said = []
        self.recovered = defer.Deferred()

    def recover(self, progress):
        self.said.append("recover")
        return self.recovered

    def sealed(self, session, path, segment, digest):
        with open(os.path.join(path, segmentName(segment)), "rb") as file:
            assert digest == sha256(file.read()).hexdigest()
        self.said.append(("sealed", segment))

    def recordingEnded(self, session, path, segment, digest):
        assert OPEN not in os.listdir(path)
        with open(os.path.join(path, segmentName(segment)), "rb") as file:
            assert digest == sha256(file.read()).hexdigest()
        self.said.append("ended")


class CuratorTests(SynchronousTestCase):
    def test_recovers(self):
        """Who has a curator leaves recovery to it, owns the directory first, and begins when it is through."""
        curator = Told()
        rig = Rig(self.mktemp(), curator=curator)
        started = rig.store.start()
        self.assertEqual(curator.said, ["recover"])
        self.assertFalse(os.path.exists(os.path.join(rig.data, "keys", "ledger.key")))
        self.failureResultOf(Rig(rig.data).store.start(), Locked)
        self.assertNoResult(started)
        self.assertIsNotNone(rig.store.obstacle())
        curator.recovered.callback(["found"])
        self.successResultOf(started)
        self.assertEqual((rig.store.recovered, rig.store.obstacle()), (["found"], None))

    def test_canNot(self):
        curator = Told()
        rig = Rig(self.mktemp(), curator=curator)
        started = rig.store.start()
        curator.recovered.errback(RuntimeError("damaged"))
        self.failureResultOf(started, RuntimeError)
        self.successResultOf(Rig(rig.data).store.start())  # nobody owns the directory any more

    def test_told(self):
        """Of each segment when it is sealed and on the disk, and of the end."""
        for durability in ("written", "synced"):
            curator = Told()
            curator.recovered.callback([])
            threads = Later()
            rig = Rig(self.mktemp(), threads=threads, curator=curator, durability=durability)
            rig.store.start()
            threads.runAll()
            opened = rig.store.open({})
            threads.runAll()
            recording = self.successResultOf(opened)
            for _ in range(2):
                recording.append(0, CLIENT, PASSED, b"x" * 100_000)
                rig.advance(12)
            self.assertEqual(curator.said, ["recover", ("sealed", 0), ("sealed", 1)])
            recording.append(0, CLIENT, PASSED, b"x")
            recording.close("client-left")
            threads.runAll()
            self.assertEqual(curator.said[3:], ["ended"])


class MemoryTests(SynchronousTestCase):
    def test_idle(self):
        """An idle open recording takes less than 4 KiB."""
        rig = Rig(self.mktemp())
        self.successResultOf(rig.store.start())
        keep = [self.successResultOf(rig.store.open({})) for _ in range(10)]
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        keep += [self.successResultOf(rig.store.open({"target": "orders"})) for _ in range(300)]
        each = (tracemalloc.get_traced_memory()[0] - before) / 300
        tracemalloc.stop()
        for recording in keep:
            recording.close("x")
        self.assertLess(each, 4096)


class ThreadTests(TestCase):
    """With real threads and a real disk."""

    @defer.inlineCallbacks
    def test_everythingReal(self):
        from twisted.internet import reactor
        from twisted.python.threadpool import ThreadPool

        pool = ThreadPool(0, 4)
        pool.start()
        self.addCleanup(pool.stop)
        threads = Threads(reactor, pool)
        for durability in ("written", "synced"):
            data = self.mktemp()
            rig = Rig(data, threads=threads, durability=durability, size=256 * 1024)
            store = rig.store
            store.monotonic = store._opener._monotonic = time.monotonic_ns
            yield store.start()
            recordings = yield defer.gatherResults([store.open({"n": n}) for n in range(20)])
            waiting = []
            for turn in range(40):
                for number, recording in enumerate(recordings):
                    size = 400_000 if turn % 20 == number else 1000 + number
                    safe = recording.append(0, CLIENT, PASSED, bytes([turn]) * size)
                    if safe is not None:
                        waiting.append(safe)
                if turn % 5 == 0:
                    rig.clock.advance(1)
                    yield threads.call(lambda: None)
            yield defer.gatherResults(waiting)
            yield store.stop()
            for recording in recordings:
                verdict = verifySession(recording.path)
                self.assertEqual((verdict.state, verdict.problems), ("complete", []))
