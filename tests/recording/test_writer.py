"""One session's recording: what is in the file, and when."""

from __future__ import annotations

import os
import stat

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import RecordingFailed
from hoopx.frames import CHECK, CLOCK, CONTINUED, DATA, DONE, EVENT, HEAD, LIMIT, LINK, OPEN, SEAL, segmentName, unpack
from hoopx.interfaces import IRecording
from hoopx.reading import readSession
from hoopx.recording import queued, writer
from hoopx.recording.segment import FEW
from hoopx.recording.verify import verifySession
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET
from tests.recording.rig import KIB, Later, Rig


class Base(SynchronousTestCase):
    def rig(self, threads=None, **more):
        self.rig_ = rig = Rig(self.mktemp(), threads, **more)
        started = rig.store.start()
        if isinstance(threads, Later):
            threads.runAll()
        self.successResultOf(started)
        return rig

    def open(self, rig, head=None):
        opened = rig.store.open(head or {"target": "orders"})
        if isinstance(rig.threads, Later):
            rig.threads.runAll()
        return self.successResultOf(opened)

    def close(self, recording, reason="client-left"):
        closed = recording.close(reason)
        if isinstance(self.rig_.threads, Later):
            self.rig_.threads.runAll()
        self.successResultOf(closed)

    def frames(self, recording):
        return list(readSession(recording.path))

    def kinds(self, recording):
        return [frame.kind for frame in self.frames(recording)]

    def data(self, recording):
        return b"".join(frame.payload for frame in self.frames(recording) if frame.kind == DATA)

    def assertSound(self, recording, state="complete"):
        verdict = verifySession(recording.path)
        self.assertEqual((verdict.state, [str(problem) for problem in verdict.problems]), (state, []))


class InlineTests(Base):
    def test_seam(self):
        verifyObject(IRecording, self.open(self.rig()))

    def test_inTheFileBeforeItReturns(self):
        """G1: another reader sees the bytes as soon as append has returned None."""
        recording = self.open(self.rig())
        for number in range(5):
            self.assertIsNone(recording.append(7, CLIENT, PASSED, b"%d" % number))
            last = self.frames(recording)[-1]
            self.assertEqual(
                (last.kind, last.channel, last.side, last.origin, last.payload, last.sequence),
                (DATA, 7, CLIENT, PASSED, b"%d" % number, recording.sequence),
            )

    def test_oneWriteEach(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x")
        del rig.files.writes[:], rig.files.calls[:]
        for _ in range(100):
            recording.append(0, CLIENT, PASSED, b"x" * 100)
        self.assertEqual((rig.files.writes, rig.files.calls), ([132] * 100, []))
        self.assertEqual(len(rig.clock.getDelayedCalls()), 1)

    def test_time(self):
        rig = self.rig()
        recording = self.open(rig)
        rig.ns += 1234
        recording.append(0, CLIENT, PASSED, b"x")
        self.assertEqual(self.frames(recording)[-1].at, 1234)
        self.assertEqual(recording.lastActivity, rig.ns)
        rig.ns += 6
        recording.note("note", text="t")
        self.assertEqual(recording.lastActivity, rig.ns)
        rig.ns += 7
        recording.note("alarm", alarm="ledger", why="")  # is none of the session's doing, and keeps no idle one alive
        self.assertEqual(recording.lastActivity, rig.ns - 7)

    def test_note(self):
        recording = self.open(self.rig())
        self.assertIsNone(recording.note("cancel", channel=3, by="client"))
        last = self.frames(recording)[-1]
        self.assertEqual((last.kind, last.channel, unpack(last.payload)), (EVENT, 3, {"event": "cancel", "by": "client"}))
        self.assertRaises(ValueError, recording.note, "no-such-event")

    def test_head(self):
        rig = self.rig()
        recording = self.open(rig, {"target": "orders", "client": "1.2.3.4:5"})
        head = self.frames(recording)[0]
        value = unpack(head.payload)
        self.assertEqual((head.kind, head.sequence, head.at), (HEAD, 1, 0))
        key = value.pop("key")
        self.assertEqual(len(bytes.fromhex(key)), 32)
        self.assertEqual(
            value,
            {
                "session": recording.session,
                "format": 1,
                "node": "gw",
                "gateway": "1.0",
                "plugins": {"raw": "1.0"},
                "started": rig.skew + rig.ns / 1e9,
                "target": "orders",
                "client": "1.2.3.4:5",
            },
        )

    def test_done(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"123")
        recording.append(0, CLIENT, ATTEMPTED, b"45")
        recording.append(0, CLIENT, MADE, b"made is nobody's")
        recording.append(0, TARGET, PASSED, b"6")
        rig.ns += 2_000_000_000
        self.close(recording, "idle")
        frames = self.frames(recording)
        self.assertEqual([frame.kind for frame in frames[-2:]], [DONE, SEAL])
        self.assertEqual(
            unpack(frames[-2].payload),
            {
                "reason": "idle",
                "duration": 2.0,
                "wall": rig.skew + rig.ns / 1e9,
                "bytes_from_client": 5,
                "bytes_from_target": 1,
                "frames_from_client": 2,
                "frames_from_target": 1,
            },
        )
        self.assertEqual(os.listdir(recording.path), [segmentName(0)])
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(recording.path, segmentName(0))).st_mode), 0o440)
        self.assertSound(recording)

    def test_closedForEver(self):
        recording = self.open(self.rig())
        self.close(recording)
        before = self.frames(recording)
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x")
        self.assertRaises(RecordingFailed, recording.note, "note")
        self.successResultOf(recording.close("again"))
        self.assertEqual(self.frames(recording), before)
        self.assertIsNone(recording._segment.key)

    def test_modes(self):
        recording = self.open(self.rig())
        self.assertEqual(stat.S_IMODE(os.stat(recording.path).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(recording.path, OPEN)).st_mode), 0o600)


class TendingTests(Base):
    def test_check(self):
        """Every second while there is traffic, and only then."""
        rig = self.rig()
        recording = self.open(rig)
        rig.advance(2)
        self.assertEqual(self.kinds(recording), [HEAD])
        recording.append(0, CLIENT, PASSED, b"a")
        rig.advance(3)
        self.assertEqual(self.kinds(recording), [HEAD, DATA, CHECK])
        for _ in range(3):
            recording.append(0, CLIENT, PASSED, b"a")
            recording.append(0, CLIENT, PASSED, b"b")
            rig.advance(1)
        self.assertEqual(self.kinds(recording)[3:], [DATA, DATA, CHECK] * 3)
        self.assertSound(recording, "live")

    def test_clock(self):
        """With the next DATA at least every 10 s, before it."""
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"a")
        rig.advance(12)
        recording.append(0, CLIENT, PASSED, b"b")
        self.assertEqual(self.kinds(recording), [HEAD, DATA, CHECK, CLOCK, DATA])
        clock = self.frames(recording)[3]
        self.assertEqual(unpack(clock.payload), {"wall": rig.skew + rig.ns / 1e9})
        at = [f.at for f in self.frames(recording) if f.kind == CLOCK]
        for _ in range(40):
            recording.append(0, CLIENT, PASSED, b"b")
            rig.advance(1)
        at += [f.at for f in self.frames(recording) if f.kind == CLOCK][1:]
        self.assertTrue(3 <= len(at) <= 5, at)
        self.assertTrue(all(b - a <= 11e9 for a, b in zip(at, at[1:])), at)

    def test_clockJump(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"a")
        rig.advance(2)
        rig.skew += 3600
        rig.advance(1)
        recording.append(0, CLIENT, PASSED, b"b")
        self.assertEqual(self.kinds(recording)[-2:], [CLOCK, DATA])
        self.assertEqual(unpack(self.frames(recording)[-2].payload)["wall"], rig.skew + rig.ns / 1e9)

    def test_rollByAge(self):
        rig = self.rig()
        recording = self.open(rig)
        for _ in range(20):
            recording.append(0, CLIENT, PASSED, b"x" * 8 * KIB)
            rig.advance(1)
        self.assertEqual(sorted(os.listdir(recording.path)), [segmentName(0), segmentName(1), OPEN])
        self.assertSound(recording, "live")
        self.close(recording)
        self.assertSound(recording)
        self.assertEqual(self.data(recording), b"x" * 160 * KIB)

    def test_littleIsRolledLate(self):
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x")
        rig.advance(290, 10)
        self.assertEqual(os.listdir(recording.path), [OPEN])
        rig.advance(20, 10)
        self.assertEqual(sorted(os.listdir(recording.path)), [segmentName(0), OPEN])
        rig.advance(3600, 10)
        self.assertEqual(sorted(os.listdir(recording.path)), [segmentName(0), OPEN])
        self.assertEqual(self.kinds(recording)[-1], LINK)
        self.assertNotIn(recording, rig.store._active)

    def test_idleCostsNothing(self):
        rig = self.rig()
        recording = self.open(rig)
        self.assertNotIn(recording, rig.store._active)
        rig.advance(3600, 10)
        self.assertEqual(self.kinds(recording), [HEAD])
        self.assertEqual(os.listdir(recording.path), [OPEN])

    def test_rollBySize(self):
        rig = self.rig(size=64 * KIB)
        recording = self.open(rig)
        for _ in range(7):
            rig.advance(1)
            recording.append(0, CLIENT, PASSED, b"x" * 16 * KIB)
        self.close(recording)
        names = sorted(os.listdir(recording.path))
        self.assertEqual(len(names), 2)
        self.assertSound(recording)
        link = next(f for f in self.frames(recording) if f.kind == LINK)
        self.assertEqual(unpack(link.payload)["segment"], 1)

    def test_bulkGrowsSegments(self):
        """Within a second a segment may take 16 times its size, and no more."""
        rig = self.rig(size=64 * KIB)
        recording = self.open(rig)
        for _ in range(40):
            recording.append(0, CLIENT, PASSED, b"x" * 64 * KIB)
        self.close(recording)
        sizes = [os.path.getsize(os.path.join(recording.path, name)) for name in sorted(os.listdir(recording.path))]
        self.assertEqual(len(sizes), 3)
        self.assertTrue(all(1024 * KIB <= size < 1400 * KIB for size in sizes[:-1]), sizes)
        self.assertSound(recording)

    def test_signingIsBounded(self):
        """Many busy sessions: at most a slice at once, and each gets its turn."""
        rig = self.rig()
        many = [self.open(rig) for _ in range(120)]
        for recording in many:
            recording.append(0, CLIENT, PASSED, b"x")
        checked = lambda: sum(CHECK in self.kinds(recording) for recording in many)
        rig.advance(1)
        self.assertEqual(checked(), 50)
        rig.advance(0.1, 0.1)
        self.assertEqual(checked(), 100)
        rig.advance(0.1, 0.1)
        self.assertEqual(checked(), 120)


class QueueTests(Base):
    def test_bigGoesThroughTheThread(self):
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"a"))
        big = b"b" * (writer.INLINE + 1)
        first = recording.append(0, CLIENT, PASSED, big)
        second = recording.append(0, TARGET, PASSED, b"c")
        third = recording.note("note")
        for waiting in (first, second, third):
            self.assertNoResult(waiting)
        self.assertEqual(self.data(recording), b"a")
        threads.run()
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertEqual(self.data(recording), b"a" + big)
        threads.run()
        self.successResultOf(second)
        self.successResultOf(third)
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"d"))
        self.assertEqual(self.data(recording), b"a" + big + b"cd")
        self.close(recording)
        self.assertSound(recording)

    def test_orderWhileFiring(self):
        """What is appended from a Deferred's callback stands behind everything that waits."""
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        again = []
        first = recording.append(0, CLIENT, PASSED, b"1" * (writer.INLINE + 1))
        first.addCallback(lambda _: again.append(recording.append(0, CLIENT, PASSED, b"3")))
        recording.append(0, CLIENT, PASSED, b"2")
        threads.run()
        self.assertIsNotNone(again[0])
        threads.runAll()
        self.successResultOf(again[0])
        self.assertEqual(self.data(recording)[writer.INLINE + 1 :], b"23")

    def test_cutAtTheLimit(self):
        rig = self.rig()
        recording = self.open(rig)
        whole = os.urandom(2 * LIMIT + 5)
        self.successResultOf(recording.append(4, TARGET, PASSED, whole))
        found = [f for f in self.frames(recording) if f.kind == DATA]
        self.assertEqual([(len(f.payload), f.flags) for f in found], [(LIMIT, CONTINUED), (LIMIT, CONTINUED), (5, 0)])
        self.assertEqual(b"".join(f.payload for f in found), whole)
        self.assertEqual(recording.totals()["bytes_from_target"], len(whole))

    def test_slowDisk(self):
        """One slow write is the last one inline; when the disk is fast again, so is the recording."""
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"a")

        def slow():
            rig.ns += 21_000_000

        rig.files.took = slow
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"b"))
        rig.files.took = None
        waiting = recording.append(0, CLIENT, PASSED, b"c")
        self.assertNoResult(waiting)
        threads.runAll()
        self.successResultOf(waiting)
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"d"))
        self.assertEqual(self.data(recording), b"abcd")

    def test_slowThread(self):
        """A file stays with the thread while the thread's writes are slow."""
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)

        def slow():
            rig.ns += 50_000_000

        rig.files.took = slow
        recording.append(0, CLIENT, PASSED, b"a" * (writer.INLINE + 1))
        threads.runAll()
        for _ in range(3):
            waiting = recording.append(0, CLIENT, PASSED, b"b")
            self.assertNoResult(waiting)
            threads.runAll()
            self.successResultOf(waiting)
        rig.advance(1)
        rig.advance(10)
        self.assertIn(CHECK, self.kinds(recording))

        def fast():
            rig.ns += 1000

        rig.files.took = fast
        self.assertIsNotNone(recording.append(0, CLIENT, PASSED, b"c"))
        threads.runAll()
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"d"))
        self.close(recording)
        self.assertSound(recording)

    def test_queueIsBounded(self):
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        waiting = [recording.append(0, CLIENT, PASSED, bytes(LIMIT))]
        for _ in range(queued.QUEUE_BOUND // LIMIT):
            waiting.append(recording.append(0, CLIENT, PASSED, bytes(LIMIT)))
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, bytes(LIMIT))
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"x")
        for one in waiting:
            one.addErrback(lambda f: f.trap(RecordingFailed))
        threads.runAll()
        self.close(recording)
        self.assertSound(recording)

    def test_closeBehindWhatWaits(self):
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        waiting = recording.append(0, CLIENT, PASSED, b"x" * (writer.INLINE + 1))
        more = recording.append(0, CLIENT, PASSED, b"y")
        self.close(recording)
        self.successResultOf(waiting)
        self.successResultOf(more)
        self.assertEqual(self.data(recording)[-1:], b"y")
        self.assertSound(recording)

    def test_rollInTheThread(self):
        """What comes while a segment is sealed stands in the next one."""
        threads = Later()
        rig = self.rig(threads, size=4 * KIB)
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x" * 5 * KIB)
        rig.ns += 2_000_000_000
        rig.clock.advance(2)
        recording.append(0, CLIENT, PASSED, b"y")
        waiting = recording.append(0, CLIENT, PASSED, b"z")
        self.assertNoResult(waiting)
        threads.runAll()
        self.successResultOf(waiting)
        kinds = self.kinds(recording)
        self.assertEqual(kinds.count(LINK), 1)
        self.close(recording)
        self.assertSound(recording)
        self.assertEqual(self.data(recording), b"x" * 5 * KIB + b"yz")

    def test_hashingInTheThread(self):
        """Bulk is hashed beside the writing; when the thread does not keep up, the lane waits."""
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        chunk = b"x" * 64 * KIB
        count = 0
        while recording.append(0, CLIENT, PASSED, chunk) is None:
            count += 1
            self.assertLess(count, 1000)
        self.assertGreaterEqual(count * 64 * KIB, writer.HASH_BOUND)
        threads.runAll()
        self.assertIsNone(recording.append(0, CLIENT, PASSED, chunk))
        self.close(recording)
        self.assertEqual(len(self.data(recording)), (count + 2) * 64 * KIB)
        self.assertSound(recording)

    def test_hashedTogether(self):
        """A hand-off to the thread is not for nothing: in bulk there is more to hash before the next one."""
        for pause, more in ((0, writer.HASH_MOST), (2_000_000_000, writer.HASH_AT)):
            threads = Later()
            rig = self.rig(threads, size=64 * writer.HASH_MOST)
            recording = self.open(rig)
            recording.append(0, CLIENT, PASSED, b"x")
            rig.ns += pause
            chunk = b"x" * writer.HASH_AT
            recording.append(0, CLIENT, PASSED, chunk)
            threads.runAll()
            written = 0
            while not threads.calls:
                self.assertIsNone(recording.append(0, CLIENT, PASSED, chunk))
                written += len(chunk)
            self.assertEqual(written, more)
            threads.runAll()
            self.close(recording)
            self.assertSound(recording)

    def test_apart(self):
        """A payload is written from where it is, or copied behind its header: the file is the same."""
        rig = self.rig()
        recording = self.open(rig)
        expected = b""
        for number in range(3 * FEW):
            payload = bytes([number]) * (writer.APART + number % 3 - 1)
            expected += payload
            self.assertIsNone(recording.append(0, CLIENT, PASSED, payload))
        self.assertEqual(recording.totals()["bytes_from_client"], len(expected))
        self.assertEqual(recording.totals()["frames_from_client"], 3 * FEW)
        rig.advance(1)
        self.assertIn(CHECK, self.kinds(recording))
        self.close(recording)
        self.assertEqual(self.data(recording), expected)
        seal = [unpack(f.payload) for f in self.frames(recording) if f.kind == SEAL][-1]
        self.assertEqual(seal["frames"], len(self.kinds(recording)) - 1)
        self.assertSound(recording)

    def test_hashingBesideASeal(self):
        """Also when the segment is due to be sealed meanwhile, which has to wait for the thread."""
        threads = Later()
        rig = self.rig(threads, size=64 * KIB)  # sealed at 16 times as much
        recording = self.open(rig)
        chunk, most = b"x" * 64 * KIB, writer.HASH_BOUND + 2 * writer.HASH_MOST
        count = 0
        while recording.append(0, CLIENT, PASSED, chunk) is None:
            count += 1
            self.assertLess(count * 64 * KIB, most, "to be hashed")
        threads.runAll()
        self.close(recording)
        self.assertEqual(len(self.data(recording)), (count + 1) * 64 * KIB)
        self.assertSound(recording)

    def test_bigBesideHashing(self):
        """A big payload waits for the hashing to be through, and everything behind it waits too."""
        threads = Later()
        rig = self.rig(threads)
        recording = self.open(rig)
        for _ in range(3):
            self.assertIsNone(recording.append(0, CLIENT, PASSED, b"x" * 100 * KIB))
        self.assertEqual(len(threads.calls), 1)
        self.assertIsNone(recording.append(0, CLIENT, PASSED, b"x"))
        big = recording.append(0, CLIENT, PASSED, b"y" * (writer.INLINE + 1))
        small = recording.append(0, CLIENT, PASSED, b"z")
        self.assertNoResult(big)
        self.assertNoResult(small)
        self.close(recording)
        self.successResultOf(small)
        self.assertEqual(self.data(recording)[-2:], b"yz")
        self.assertSound(recording)


class PropertyTests(Base):
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(
                    st.just("append"), st.sampled_from([CLIENT, TARGET]), st.sampled_from([0, 1, 100, 5000, 200 * KIB, 300 * KIB])
                ),
                st.tuples(st.just("advance"), st.sampled_from([0.001, 1.0, 11.0]), st.just(0)),
                st.tuples(st.just("threads"), st.integers(1, 3), st.just(0)),
                st.tuples(st.just("note"), st.just(0), st.just(0)),
            ),
            max_size=30,
        ),
        st.booleans(),
    )
    def test_whateverHappens(self, steps, synced):
        """Order, completeness and a sound chain, whatever is written when by whom."""
        threads = Later()
        rig = self.rig(threads, size=8 * KIB, durability="synced" if synced else "written")
        recording = self.open(rig)
        expected = {CLIENT: b"", TARGET: b""}
        waiting, fired = [], []
        for number, (what, one, two) in enumerate(steps):
            if what == "append":
                payload = bytes([65 + number % 26]) * two
                expected[one] += payload
                safe = recording.append(0, one, PASSED, payload)
                if safe is None:
                    self.assertEqual(len(fired), len(waiting), "inline while something waits")
                    self.assertFalse(synced)
                else:
                    waiting.append(number)
                    safe.addCallback(lambda _, number=number: fired.append(number))
            elif what == "advance":
                rig.ns += int(one * 1e9)
                rig.clock.advance(one)
            elif what == "threads":
                threads.run(one)
            else:
                recording.note("note")
        self.close(recording)
        self.assertEqual(fired, waiting)
        found = self.frames(recording)
        for side in (CLIENT, TARGET):
            self.assertEqual(b"".join(f.payload for f in found if f.kind == DATA and f.side == side), expected[side])
        self.assertEqual([f.sequence for f in found], sorted({f.sequence for f in found}))
        self.assertSound(recording)
        self.assertEqual(os.listdir(recording.path).count(OPEN), 0)
