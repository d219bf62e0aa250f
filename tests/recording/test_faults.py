"""No recording, no session: what happens when the disk is full, broken, or read-only."""

from __future__ import annotations

import errno
import os
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest

from hoopx.errors import RecordingFailed
from hoopx.frames import CHECK, DONE, OPEN, SEAL
from hoopx.recording import writer
from hoopx.values import CLIENT, PASSED, TARGET
from tests.recording.rig import KIB, Later, Rig
from tests.recording.test_writer import Base


class FullTests(Base):
    def test_endsNowAndEverAfter(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"good")
        rig.files.room = 0
        error = self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"lost")
        self.assertIn("No space left on device", str(error))
        rig.files.room = None
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"lost")
        self.assertRaises(RecordingFailed, recording.note, "note")
        self.assertEqual(self.data(recording), b"good")

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 131))
    def test_cutBack(self, room):
        """Whatever part of a frame fits, none of it stays, and the recording is closed properly behind the frame before."""
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"good")
        size = os.path.getsize(os.path.join(recording.path, OPEN))
        rig.files.room = room
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x" * 100)
        self.assertEqual(os.path.getsize(os.path.join(recording.path, OPEN)), size)
        rig.files.room = None
        self.close(recording, "recording-failed")
        self.assertEqual(self.kinds(recording)[-2:], [DONE, SEAL])
        self.assertEqual(self.data(recording), b"good")
        self.assertSound(recording)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, writer.APART + 31))
    def test_cutBackBig(self, room):
        """The same for a payload that is written from where it is."""
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"good")
        size = os.path.getsize(os.path.join(recording.path, OPEN))
        rig.files.room = room
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x" * writer.APART)
        self.assertEqual(os.path.getsize(os.path.join(recording.path, OPEN)), size)
        rig.files.room = None
        self.close(recording, "recording-failed")
        self.assertEqual(self.data(recording), b"good")
        self.assertSound(recording)

    def test_reserveIsForClosing(self):
        """The reserve is let go for DONE and SEAL, and no other session's traffic gets it."""
        rig = self.rig()
        first, second, third = (self.open(rig) for _ in range(3))
        for recording in (first, second, third):
            recording.append(0, CLIENT, PASSED, b"good")
        reserve = os.path.join(rig.data, "reserve")
        self.assertEqual(os.path.getsize(reserve), 64 * KIB)
        rig.files.room = 0
        unlink = rig.files.unlink

        def release(path):
            unlink(path)
            rig.files.room = 64 * KIB

        rig.files.unlink = release
        self.assertRaises(RecordingFailed, first.append, 0, CLIENT, PASSED, b"lost")
        self.assertTrue(os.path.exists(reserve))
        self.close(first, "recording-failed")
        self.assertFalse(os.path.exists(reserve))
        self.assertSound(first)
        self.assertRaises(RecordingFailed, second.append, 0, CLIENT, PASSED, b"lost")
        self.close(second, "recording-failed")
        self.assertSound(second)
        self.assertIsNotNone(rig.store.obstacle())
        # the third one was silent meanwhile: it lives on when there is space again
        rig.files.room = None
        rig.advance(1)
        self.assertEqual(os.path.getsize(reserve), 64 * KIB)
        self.assertIsNone(rig.store.obstacle())
        self.assertIsNone(third.append(0, CLIENT, PASSED, b" again"))
        self.close(third)
        self.assertSound(third)
        self.assertEqual(self.data(third), b"good again")

    def test_fullWhileSilent(self):
        """A session that has spoken shortly before, or whose segment comes of age meanwhile, lives on, too, whatever alarms there are: it is
        signed when there is space again, and takes nothing of the reserve."""
        rig = self.rig(age=1.0, refuseBelow=1)
        first, second, third = (self.open(rig) for _ in range(3))
        rig.advance(40)
        second.append(0, CLIENT, PASSED, b"good")
        third.append(0, CLIENT, PASSED, b"x" * 70 * KIB)
        rig.files.room = 0
        self.assertRaises(RecordingFailed, first.append, 0, CLIENT, PASSED, b"lost")
        rig.files.room = 10 * KIB
        rig.free = 0
        before = [os.path.getsize(os.path.join(each.path, OPEN)) for each in (second, third)]
        rig.advance(5)
        self.assertIsNone(second.note("alarm", alarm="ledger", why="it can not be written"))
        self.assertEqual([os.path.getsize(os.path.join(each.path, OPEN)) for each in (second, third)], before)
        rig.files.room = None
        rig.free = 1 << 40
        rig.advance(3)
        self.assertEqual(self.kinds(second)[-1], CHECK)
        self.assertIn(SEAL, self.kinds(third))
        for each, said in (second, b"good"), (third, b"x" * 70 * KIB):
            self.assertIsNone(each.append(0, CLIENT, PASSED, b" again"))
            self.close(each)
            self.assertSound(each)
            self.assertEqual(self.data(each), said + b" again")

    def test_fullWhileClosing(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"good")
        rig.files.room = 40
        unlink = rig.files.unlink

        def release(path):
            unlink(path)
            rig.files.room = None

        rig.files.unlink = release
        self.close(recording)
        self.assertSound(recording)
        self.assertEqual(self.kinds(recording)[-2:], [DONE, SEAL])

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 1500))
    def test_fullWhileRolling(self, room):
        """At whatever byte of SEAL or LINK the disk is full: the recording is whole and closed in the end."""
        rig = self.rig(size=KIB)
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x" * 2 * KIB)
        rig.ns += 2_000_000_000
        rig.clock.advance(2)
        rig.files.room = room
        unlink = rig.files.unlink

        def release(path):
            unlink(path)
            if path.endswith("reserve"):
                rig.files.room = None

        rig.files.unlink = release
        try:
            waiting = recording.append(0, CLIENT, PASSED, b"y" * 200)
        except RecordingFailed:
            expected = b""
        else:
            if waiting is None:
                expected = b"y" * 200
            else:
                outcome = []
                waiting.addCallbacks(lambda _: outcome.append(b"y" * 200), lambda _: outcome.append(b""))
                expected = outcome[0]
        self.close(recording)
        self.assertEqual(self.data(recording), b"x" * 2 * KIB + expected)
        self.assertSound(recording)

    def test_shortWrite(self):
        """A write that was short is continued: when that works, nothing was wrong."""
        for size in (100, writer.INLINE + 1):
            rig = self.rig()
            recording = self.open(rig)
            recording.append(0, CLIENT, PASSED, b"good ")
            write, shorter = rig.files.write, iter([True])
            rig.files.write = recording._write = lambda fd, data, w=write, s=shorter: w(fd, data[:7] if next(s, False) else data)
            waiting = recording.append(0, CLIENT, PASSED, b"x" * size)
            if waiting is not None:
                self.successResultOf(waiting)
            self.assertEqual(self.data(recording), b"good " + b"x" * size)
            self.close(recording)
            self.assertSound(recording)

    def test_oneFileIsFull(self):
        """One file may not grow any more: that is not a full disk, and the others go on."""
        for size in (100, writer.INLINE + 1):
            rig = self.rig()
            recording, other = self.open(rig), self.open(rig)
            recording.append(0, CLIENT, PASSED, b"good")
            write, shorter = rig.files.write, iter([True])

            def limited(fd, data, write=write, shorter=shorter, descriptor=recording._fd):
                if fd != descriptor:
                    return write(fd, data)
                if next(shorter, False):
                    return write(fd, data[:7])
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

            rig.files.write = recording._write = limited
            try:
                waiting = recording.append(0, CLIENT, PASSED, b"x" * size)
            except RecordingFailed as error:
                reason = str(error)
            else:
                reason = str(self.failureResultOf(waiting, RecordingFailed).value)
            self.assertIn("File too large", reason)
            self.assertFalse(rig.store.full)
            self.assertIsNone(other.append(0, CLIENT, PASSED, b"goes on"))

    def test_queuedFailsInOrder(self):
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"good")
        fired = []
        for number, size in enumerate((writer.INLINE + 1, 1, 2)):
            waiting = recording.append(0, CLIENT, PASSED, b"x" * size)
            waiting.addErrback(lambda f, n=number: fired.append((n, f.check(RecordingFailed))))
        rig.files.room = 1000
        threads.runAll()
        self.assertEqual(fired, [(n, RecordingFailed) for n in range(3)])
        rig.files.room = None
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x")
        self.close(recording)
        self.assertEqual(self.data(recording), b"good")
        self.assertSound(recording)

    def test_queuedGetsNothingOfTheReserve(self):
        """What waits for the writer thread when another recording finds the disk full is not written any more."""
        threads = Later()
        rig = self.rig(threads)
        recording, other = self.open(rig), self.open(rig)
        waiting = recording.append(0, CLIENT, PASSED, b"x" * (writer.INLINE + 1))
        rig.files.room = 0
        self.assertRaises(RecordingFailed, other.append, 0, CLIENT, PASSED, b"lost")
        rig.files.room = 1 << 30  # the reserve is let go
        written = len(rig.files.writes)
        threads.run(1)
        self.failureResultOf(waiting, RecordingFailed)
        self.assertEqual(rig.files.writes[written:], [])

    def test_noNewSession(self):
        rig = self.rig()
        rig.files.room = 0
        self.failureResultOf(rig.store.open({}), RecordingFailed)
        self.assertIn("No space", rig.store.obstacle())
        self.assertIn("No space", str(self.failureResultOf(rig.store.open({}), RecordingFailed).value))
        self.assertEqual([d for _, dirs, _ in os.walk(os.path.join(rig.data, "recordings")) for d in dirs if len(d) == 26], [])
        self.assertEqual(len(rig.alarms), 1)
        rig.files.room = None
        rig.advance(1)
        self.assertIsNone(rig.store.obstacle())
        self.open(rig)


class MarkTests(Base):
    def test_refuseBelow(self):
        rig = self.rig(refuseBelow=1000, free=1 << 30)
        self.assertIsNone(rig.store.obstacle())
        recording = self.open(rig)
        rig.free = 999
        rig.advance(1)
        self.assertIn("nearly full", rig.store.obstacle())
        self.failureResultOf(rig.store.open({}), RecordingFailed)
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"those that are open go on"))
        rig.free = 1000
        rig.advance(1)
        self.assertIsNone(rig.store.obstacle())

    def test_noReserve(self):
        rig = Rig(self.mktemp(), reserve=KIB, refuseBelow=KIB, free=2 * KIB - 1)
        self.successResultOf(rig.store.start())
        self.assertIn("reserve", rig.store.obstacle())
        rig.free = 2 * KIB
        rig.advance(1)
        self.assertIsNone(rig.store.obstacle())

    def test_readOnly(self):
        rig = self.rig()
        rig.readOnly = True
        rig.advance(1)
        self.assertIn("read-only", rig.store.obstacle())
        rig.readOnly = False
        rig.advance(1)
        self.assertIsNone(rig.store.obstacle())


class BrokenTests(Base):
    def test_oneWrite(self):
        """EIO and EROFS end the one session; new ones are let in when a probe was written."""
        for number in (errno.EIO, errno.EROFS):
            rig = self.rig()
            recording, other = self.open(rig), self.open(rig)
            rig.files.faults["write"] = number
            error = self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x")
            self.assertIn(os.strerror(number), str(error))
            self.assertIn(os.strerror(number), rig.store.obstacle())
            rig.advance(1)
            self.assertIsNotNone(rig.store.obstacle())
            rig.files.faults.clear()
            self.assertIsNone(other.append(0, CLIENT, PASSED, b"x"))
            rig.advance(1)
            self.assertIsNone(rig.store.obstacle())
            self.close(recording)
            self.assertSound(recording)

    def test_closeNeverFails(self):
        """What can not be closed is left for recovery, the file and its lock are let go; new sessions wait until the disk works."""
        for name in ("write", "fdatasync", "rename", "fchmod", "fsync"):
            rig = self.rig()
            recording = self.open(rig)
            recording.append(0, CLIENT, PASSED, b"x")
            rig.files.faults[name] = errno.EIO
            self.close(recording)
            self.assertEqual(rig.store.obstacle(), os.strerror(errno.EIO))
            self.assertEqual(recording._segment.descriptor, -1)
            self.assertNotIn(recording, rig.store._open)

    def test_everyCallOfARoll(self):
        """A session that fails while its segment is sealed is closed soundly once the disk works."""
        for name in ("link", "rename", "fchmod", "write"):
            rig = self.rig(size=KIB)
            recording = self.open(rig)
            recording.append(0, CLIENT, PASSED, b"x" * 2 * KIB)
            rig.ns += 2_000_000_000
            rig.clock.advance(2)
            rig.files.faults[name] = errno.EIO
            try:
                waiting = recording.append(0, CLIENT, PASSED, b"y")
                self.assertIsNotNone(waiting, name)
                self.failureResultOf(waiting, RecordingFailed)
            except RecordingFailed:
                pass
            self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"z")
            rig.files.faults.clear()
            self.close(recording)
            self.assertSound(recording)
            self.assertEqual(self.data(recording), b"x" * 2 * KIB)

    def test_unsyncedSegment(self):
        """A sealed segment that can not be synced ends its session: nobody knows what of it is on the disk."""
        rig = self.rig(size=KIB)
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x" * 2 * KIB)
        rig.ns += 2_000_000_000
        rig.clock.advance(2)
        rig.files.faults["fdatasync"] = errno.EIO
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"y")
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"z")

    def test_checkFails(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x")
        rig.files.faults["write"] = errno.EIO
        rig.advance(1)
        rig.files.faults.clear()
        self.assertNotIn(CHECK, self.kinds(recording))
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x")

    def test_defect(self):
        """Even an exception that nobody thought of ends the session, and closes it."""
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        waiting = recording.append(0, CLIENT, PASSED, b"x" * (writer.INLINE + 1))
        done, _, arguments = threads.calls.pop()
        done.errback(ZeroDivisionError())
        self.failureResultOf(waiting, RecordingFailed)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x")
        self.close(recording)


    def test_defectWhileClosing(self):
        """Not even then is closing tried for ever."""
        rig = self.rig()
        recording = self.open(rig)

        def defect(*arguments):
            raise ZeroDivisionError

        rig.files.fdatasync = defect
        self.close(recording)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertNotIn(recording, rig.store._open)
        self.assertEqual(recording._segment.descriptor, -1)


class SyncedTests(Base):
    def test_safeBeforeItFires(self):
        threads, journal = Later(), Later()
        self.rig_ = rig = Rig(self.mktemp(), threads, journal, durability="synced")
        started = rig.store.start()
        threads.runAll()
        self.successResultOf(started)
        recording, other = self.open(rig), self.open(rig)
        first = recording.append(0, CLIENT, PASSED, b"a")
        second = other.append(0, CLIENT, PASSED, b"b")
        third = recording.append(0, TARGET, PASSED, b"c")
        self.assertNoResult(first)
        del rig.files.calls[:]
        journal.run()
        self.successResultOf(first)
        self.assertNoResult(second)
        journal.run()
        self.successResultOf(second)
        self.successResultOf(third)
        self.assertEqual([name for name, _ in rig.files.calls if name == "fdatasync"], ["fdatasync"] * 2)

    def test_failureIsFinal(self):
        """EIO from fdatasync is final for every session of the group, and the file is never asked again."""
        threads, journal = Later(), Later()
        self.rig_ = rig = Rig(self.mktemp(), threads, journal, durability="synced")
        rig.store.start()
        threads.runAll()
        first, second, third = self.open(rig), self.open(rig), self.open(rig)
        safe = third.append(0, CLIENT, PASSED, b"0")
        journal.run()
        self.successResultOf(safe)
        blocker = third.append(0, CLIENT, PASSED, b"1")
        group = [first.append(0, CLIENT, PASSED, b"a"), second.append(0, CLIENT, PASSED, b"b")]
        journal.run()
        self.successResultOf(blocker)
        rig.files.faults["fdatasync"] = errno.EIO
        journal.run()
        rig.files.faults.clear()
        for waiting in group:
            self.failureResultOf(waiting, RecordingFailed)
        self.assertRaises(RecordingFailed, first.append, 0, CLIENT, PASSED, b"x")
        self.assertRaises(RecordingFailed, second.append, 0, CLIENT, PASSED, b"x")
        safe = third.append(0, CLIENT, PASSED, b"2")
        del rig.files.calls[:]
        journal.runAll()
        self.successResultOf(safe)
        self.assertEqual(sorted(os.listdir(os.path.join(rig.data, "journal"))), ["001", "002"])
        for recording in (first, second, third):
            self.close(recording)
            self.assertSound(recording)


class RealDiskTests(Base):
    """A real file system that is full: tmpfs of one megabyte."""

    def setUp(self):
        self.place = os.path.abspath(self.mktemp())
        os.mkdir(self.place)
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "hoopx", self.place]
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            raise SkipTest("mounting a tmpfs takes root")
        self.addCleanup(subprocess.run, ["umount", self.place], capture_output=True, check=True)

    def start(self):
        rig = Rig(os.path.join(self.place, "data"), reserve=256 * KIB, refuseBelow=64 * KIB)
        del rig.files.statvfs
        self.rig_ = rig
        self.successResultOf(rig.store.start())
        self.addCleanup(rig.store.stop)
        return rig

    def test_fullAndBack(self):
        rig = self.start()
        self.assertIsNone(rig.store.obstacle())
        recording, silent = self.open(rig), self.open(rig)
        silent.append(0, CLIENT, PASSED, b"before")
        written = 0
        chunk = b"x" * 3000
        with self.assertRaises(RecordingFailed):
            while written < 2 << 20:
                self.assertIsNone(recording.append(0, CLIENT, PASSED, chunk))
                written += len(chunk)
        self.assertLess(written, 1 << 20)
        self.close(recording, "recording-failed")
        self.assertSound(recording)
        self.assertEqual(len(self.data(recording)), written)
        self.assertEqual(self.kinds(recording)[-2:], [DONE, SEAL])
        rig.advance(2)
        self.assertIsNotNone(rig.store.obstacle())
        self.failureResultOf(rig.store.open({}), RecordingFailed)
        for name in os.listdir(recording.path):
            os.remove(os.path.join(recording.path, name))
        rig.advance(2)
        self.assertIsNone(rig.store.obstacle())
        self.assertIsNone(silent.append(0, CLIENT, PASSED, b" after"))
        self.close(silent)
        self.assertSound(silent)
        self.assertEqual(self.data(silent), b"before after")

    def test_readOnlyStart(self):
        """What can not be owned is not started on."""
        rig = self.start()
        self.close(self.open(rig))
        self.successResultOf(rig.store.stop())
        subprocess.run(["mount", "-o", "remount,ro", self.place], capture_output=True, check=True)
        again = Rig(os.path.join(self.place, "data"))
        error = self.failureResultOf(again.store.start(), OSError).value
        self.assertEqual(error.errno, errno.EROFS)
        self.failureResultOf(again.store.open({}), RecordingFailed)
        subprocess.run(["mount", "-o", "remount,rw", self.place], capture_output=True, check=True)
        self.close(self.open(self.start()))

    def test_startOnAFullDisk(self):
        """A full disk is no reason not to start, nor not to recover."""
        rig = self.start()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x")
        os.close(recording._segment.descriptor)
        recording._segment.descriptor = -1
        rig.store._open.clear()
        self.successResultOf(rig.store.stop())
        with self.assertRaises(OSError), open(os.path.join(self.place, "ballast"), "wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))
        again = self.start()
        self.assertEqual([one.outcome for one in again.store.recovered], ["recovered"])
        self.assertIsNotNone(again.store.obstacle())
        os.remove(os.path.join(self.place, "ballast"))
        again.advance(1)
        self.assertIsNone(again.store.obstacle())

