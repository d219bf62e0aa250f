"""What a crash left, at whatever instant, is put right at the next start; and never looks complete."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from hoopx.errors import RecordingFailed
from hoopx.frames import DONE, OPEN, RECOVERED, SEAL, START, encode, pack, segmentName, unpack
from hoopx.ledger.keys import loadKey, publicKey
from hoopx.reading import readSession
from hoopx.recording import catalogue, verify
from hoopx.recording.files import Files
from hoopx.recording.journal import entry
from hoopx.recording.recovery import Recovery
from hoopx.recording.verify import verifySession
from hoopx.values import CLIENT, PASSED
from tests.recording.rig import KIB, Killed, Rig, crash, letGo
from tests.recording.test_writer import Base


class RecoveryBase(Base):
    def crashed(self, payloads=(b"one", b"two"), roll=False, **more):
        """@return: the rig and the path of a recording that a kill has left."""
        rig = self.rig(**more)
        recording = self.open(rig)
        if roll:
            recording.append(0, CLIENT, PASSED, b"x" * 100 * KIB)
            rig.advance(12)
        for payload in payloads:
            recording.append(0, CLIENT, PASSED, payload)
        crash(recording)
        letGo(rig.store)
        return rig, recording.path

    def again(self, data):
        rig = Rig(data)
        self.successResultOf(rig.store.start())
        return rig

    def recovered(self, path, data):
        found = list(readSession(path))
        self.assertEqual([f.kind for f in found[-2:]], [RECOVERED, SEAL])
        verdict = verifySession(path, publicKey(data))
        self.assertEqual([str(problem) for problem in verdict.problems], [])
        self.assertIn(verdict.state, ("recovered", "never connected"))
        self.assertNotIn(OPEN, os.listdir(path))
        return found

    def snapshot(self, top):
        return sorted(
            (os.path.relpath(os.path.join(place, name), top), open(os.path.join(place, name), "rb").read())
            for place, _, names in os.walk(top)
            for name in names
        )


class RecoveryTests(RecoveryBase):
    def test_tornTail(self):
        rig, path = self.crashed()
        with open(os.path.join(path, OPEN), "ab") as file:
            file.write(encode(9, 99, 0, 3, 1, 1, 0, b"x" * 100)[:-7])
        again = self.again(rig.data)
        (one,) = again.store.recovered
        self.assertEqual((one.outcome, one.cut), ("recovered", 125))
        found = self.recovered(path, rig.data)
        self.assertEqual([f.payload for f in found if f.kind == 3], [b"one", b"two"])
        value = unpack(found[-2].payload)
        self.assertEqual((value["cut"], value["last"], value["bytes_from_client"]), (125, found[-3].sequence, 6))
        self.assertEqual(value["wall"], again.skew + again.ns / 1e9)
        self.assertEqual(verifySession(path).state, "recovered")

    def test_afterRoll(self):
        rig, path = self.crashed(roll=True)
        self.again(rig.data)
        found = self.recovered(path, rig.data)
        self.assertEqual(unpack(found[-2].payload)["bytes_from_client"], 100 * KIB + 6)

    def test_neverConnected(self):
        rig, path = self.crashed(payloads=())
        self.again(rig.data)
        self.recovered(path, rig.data)
        self.assertEqual(verifySession(path).state, "never connected")

    def test_openedAndLost(self):
        """The ledger has its OPEN leaf, and the disk has lost all but HEAD: what happened is not known, but not that nothing did."""
        rig, path = self.crashed(payloads=())
        key = loadKey(os.path.join(rig.data, "keys"), Files())
        Recovery(Files(), rig.data, key, time.time, {os.path.basename(path)}.__contains__).run()
        self.recovered(path, rig.data)
        public = publicKey(rig.data)
        self.assertEqual(verifySession(path, public).state, "recovered")
        self.patch(verify, "outline", lambda file: None)  # frame by frame
        self.assertEqual(verifySession(path, public).state, "recovered")
        (found,) = catalogue.sessions(rig.data)
        self.assertEqual((found.state, found.reason), ("recovered", "recovered"))

    def test_idempotent(self):
        rig, path = self.crashed(roll=True)
        first = self.again(rig.data)
        before = self.snapshot(os.path.join(rig.data, "recordings"))
        self.successResultOf(first.store.stop())
        again = self.again(rig.data)
        self.assertEqual(again.store.recovered, [])
        self.assertEqual(self.snapshot(os.path.join(rig.data, "recordings")), before)

    @settings(max_examples=60, deadline=None)
    @given(st.floats(0, 1), st.booleans())
    def test_anyPrefix(self, where, roll):
        """Killed at any byte: the whole frames before it are all there, and nothing else."""
        rig, path = self.crashed(roll=roll)
        name = os.path.join(path, OPEN)
        size = os.path.getsize(name)
        cut = int(where * size)
        os.truncate(name, cut)
        before = [] if not roll and cut < len(START) + 40 else list(readSession(path)) if cut or roll else []
        (one,) = self.again(rig.data).store.recovered
        if one.outcome == "removed":
            self.assertFalse(os.path.exists(path))
            self.assertFalse(before)
            return
        found = self.recovered(path, rig.data)
        self.assertEqual(found[: len(before)], before)
        self.assertTrue(all(f.kind in (2, RECOVERED, SEAL) for f in found[len(before) :]))

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 14), st.sampled_from("write rename link unlink fchmod fsync ftruncate".split()), st.integers(0, 1))
    def test_killedWhileRecovering(self, count, name, kind):
        """Recovery is itself interrupted at any call; the next one goes on from there."""
        rig, path = self.crashed(roll=kind == 1)
        with open(os.path.join(path, OPEN), "ab") as file:
            file.write(b"\0\0\0")
        broken = Rig(rig.data)
        calls = [count]
        real = getattr(broken.files, name)

        def fault(*arguments):
            calls[0] -= 1
            if calls[0] < 0:
                raise KeyboardInterrupt
            return real(*arguments)

        setattr(broken.files, name, fault)
        started = broken.store.start()
        started.addErrback(lambda failure: failure.trap(KeyboardInterrupt))
        if broken.store._lock >= 0:
            letGo(broken.store)
        self.again(rig.data)
        found = self.recovered(path, rig.data)
        self.assertEqual([f.payload for f in found if f.kind == 3][-2:], [b"one", b"two"])

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 12), st.integers(0, 40), st.integers(0, 40), st.booleans())
    def test_killedAtAnyCall(self, count, life, second, synced):
        """The gateway, and then the recovery, killed at any call of checking, rolling, closing."""
        rig = self.rig(size=KIB, durability="synced" if synced else "written")
        recording = self.open(rig)
        rig.files.life = life
        safe = []
        try:
            for number in range(count):
                payload = b"%d" % number * 300
                waiting = recording.append(0, CLIENT, PASSED, payload)
                if waiting is None:
                    safe.append(payload)
                else:
                    waiting.addCallbacks(lambda _, payload=payload: safe.append(payload), lambda failure: None)
                rig.advance(2)
            recording.close("enough")
        except (Killed, RecordingFailed):
            pass
        crash(recording)
        letGo(rig.store)
        gc.collect()  # Deferreds that the kill has left say so when they go
        self.flushLoggedErrors(Killed)
        broken = Rig(rig.data)
        broken.files.life = second
        broken.store.start().addErrback(lambda failure: failure.trap(Killed))
        gc.collect()
        self.flushLoggedErrors(Killed)
        letGo(broken.store)
        again = self.again(rig.data)
        found = [f.payload for f in readSession(recording.path) if f.kind == 3]
        self.assertEqual(found[: len(safe)], safe)
        self.assertLessEqual(len(found), len(safe) + 1)
        verdict = verifySession(recording.path, publicKey(rig.data))
        self.assertEqual([str(problem) for problem in verdict.problems], [])
        self.assertIn(verdict.state, ("recovered", "complete", "never connected"))
        self.assertEqual({name for name in os.listdir(recording.path) if not name[0].isdigit()}, set())
        self.assertIn([f.kind for f in readSession(recording.path)][-2], (DONE, RECOVERED))
        self.successResultOf(again.store.stop())

    def test_damagedInTheMiddle(self):
        """What is not the end of an unfinished write is cut off too, and kept."""
        rig, path = self.crashed(payloads=(b"one", b"two" * 100, b"three" * 100))
        name = os.path.join(path, OPEN)
        data = open(name, "rb").read()
        place = data.index(b"twotwo")
        with open(name, "r+b") as file:
            file.seek(place)
            file.write(b"X")
        (one,) = self.again(rig.data).store.recovered
        self.assertEqual((one.outcome, one.cut), ("recovered", len(data) - place + 32))
        found = self.recovered(path, rig.data)
        self.assertEqual([f.payload for f in found if f.kind == 3], [b"one"])
        kept = open(os.path.join(rig.data, "quarantine", one.session + ".cut"), "rb").read()
        self.assertEqual(kept, data[place - 32 : place] + b"X" + data[place + 1 :])

    def test_quarantine(self):
        """One that can not be read holds up no other."""
        rig, path = self.crashed()
        self.again(rig.data).store.stop()
        second, other = self.crashed2(rig.data)
        with open(os.path.join(other, OPEN), "wb") as file:
            file.write(b"this is no segment" * 100)
        third = os.path.join(os.path.dirname(other), "7" + "Z" * 25)
        os.mkdir(third)
        shutil.copy(os.path.join(path, segmentName(0)), os.path.join(third, "000001.hxr"))
        with open(os.path.join(third, OPEN), "wb"):
            pass
        again = self.again(rig.data)
        self.assertEqual(
            sorted((one.session, one.outcome) for one in again.store.recovered),
            sorted([(os.path.basename(other), "quarantined"), (os.path.basename(third), "finished")]),
        )
        self.assertFalse(os.path.exists(other))
        self.assertTrue(os.path.exists(os.path.join(rig.data, "quarantine", os.path.basename(other), OPEN)))
        self.assertIsNone(again.store.obstacle())

    def crashed2(self, data):
        rig = Rig(data)
        self.successResultOf(rig.store.start())
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, b"x")
        crash(recording)
        letGo(rig.store)
        return rig, recording.path

    def test_lockedIsLeftAlone(self):
        rig, path = self.crashed()
        import fcntl

        held = os.open(os.path.join(path, OPEN), os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        before = self.snapshot(path)
        (one,) = self.again(rig.data).store.recovered
        os.close(held)
        self.assertEqual((one.outcome, self.snapshot(path)), ("locked", before))

    def test_diskFails(self):
        """The start succeeds, the recording stays for the next one."""
        rig, path = self.crashed()
        broken = Rig(rig.data)
        broken.files.faults["fsync"] = errno.EIO
        self.successResultOf(broken.store.start())
        self.assertEqual([one.outcome for one in broken.store.recovered], ["failed"])
        broken.files.faults.clear()
        self.successResultOf(broken.store.stop())
        self.again(rig.data)
        self.recovered(path, rig.data)

    def test_doneWithoutSeal(self):
        """Killed between DONE and the seal: it ended, but nobody has signed that, so it is recovered, not complete."""
        rig, path = self.crashed()
        with open(os.path.join(path, OPEN), "ab") as file:
            file.write(encode(9, 99, 0, DONE, payload=pack({"reason": "x"})))
        self.again(rig.data)
        self.assertEqual([f.kind for f in self.recovered(path, rig.data)][-3:], [DONE, RECOVERED, SEAL])
        (one,) = catalogue.sessions(rig.data)
        self.assertEqual(one.state, "recovered")

    def test_leftovers(self):
        """A next segment that never took its name, and directories in which nothing began, are removed."""
        rig, path = self.crashed()
        with open(os.path.join(path, "next.hxr"), "wb") as file:
            file.write(b"x")
        empty = os.path.join(os.path.dirname(path), "7" + "Z" * 25)
        os.mkdir(empty)
        begun = os.path.join(os.path.dirname(path), "7" + "Y" * 25)
        os.mkdir(begun)
        with open(os.path.join(begun, OPEN), "wb") as file:
            file.write(START + b"\0\0")
        self.again(rig.data)
        self.recovered(path, rig.data)
        self.assertEqual(os.listdir(os.path.dirname(path)), [os.path.basename(path)])

    def test_progress(self):
        rig, path = self.crashed()
        said = []
        again = Rig(rig.data)
        self.successResultOf(again.store.start(lambda done, of: said.append((done, of))))
        self.assertEqual(said, [(0, 1), (1, 1)])


class JournalTests(RecoveryBase):
    def test_powerLoss(self):
        """Synced frames that the file has lost come back from the journal."""
        rig, path = self.crashed(payloads=(b"one", b"two", b"three"), durability="synced")
        name = os.path.join(path, OPEN)
        whole = [(f.sequence, f.payload) for f in readSession(path)]
        place = open(name, "rb").read().index(b"one")
        os.truncate(name, place + 1)
        self.again(rig.data)
        found = self.recovered(path, rig.data)
        self.assertEqual([(f.sequence, f.payload) for f in found[:-2]], whole)
        self.assertEqual(os.listdir(os.path.join(rig.data, "journal")), [])

    def test_powerLossAfterRoll(self):
        rig, path = self.crashed(durability="synced", roll=True)
        name = os.path.join(path, OPEN)
        place = open(name, "rb").read().index(b"one")
        whole = [(f.sequence, f.payload) for f in readSession(path)]
        os.truncate(name, place - 32)
        self.again(rig.data)
        self.assertEqual([(f.sequence, f.payload) for f in self.recovered(path, rig.data)[:-2]], whole)

    def test_strangeEntries(self):
        """Entries of other segments, behind a gap, or torn, are passed over."""
        rig, path = self.crashed()
        session = os.path.basename(path)
        end = os.path.getsize(os.path.join(path, OPEN))
        more = encode(9, 50, 0, 3, 1, 1, 0, b"more")
        from hoopx.recording.journal import MAGIC

        with open(os.path.join(rig.data, "journal", "001"), "wb") as file:
            file.write(
                MAGIC
                + entry(session, 1, end, more)
                + entry(session, 0, end + 5, more)
                + entry("7" + "Z" * 25, 0, end, more)
                + entry(session, 0, end, more)
                + entry(session, 0, end + len(more), encode(9, 51, 0, 3, 2, 1, 0, b"last"))[:-1]
            )
        self.again(rig.data)
        self.assertEqual([f.payload for f in self.recovered(path, rig.data) if f.kind == 3], [b"one", b"two", b"more"])
