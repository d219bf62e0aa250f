"""Unmasked bytes: never plain on the disk, readable by the auditors, and only in their place."""

from __future__ import annotations

import gc
import os
from base64 import b64decode, b64encode

import pyrage

from hoopx.errors import RecordingFailed
from hoopx.frames import DATA, LIMIT, OPEN, segmentName, unpack
from hoopx.reading import Unreadable, readSession
from hoopx.recording.auditors import KeyProblem, recipients
from hoopx.recording.originals import FIELD, LONGEST, NotSealed, Originals, OriginalsReader, nonce
from hoopx.recording.packing import pack
from hoopx.recording.stored import Encrypted, WrongIdentity, opener
from hoopx.recording.verify import verifySession
from hoopx.values import CLIENT, MADE, ORIGINAL, TARGET
from tests.recording.packed import AUDITOR, OTHER, RECIPIENT, PackedBase, content
from tests.recording.rig import Later, Rig, crash, letGo

SESSION = "01KE0000000000000000000000"
SECRET = b"4111 1111 1111 1111 is a payment card"


class OriginalsBase(PackedBase):
    def begin(self, **more):
        """@return: a recording that keeps originals."""
        return self.open(self.rig(originals=(RECIPIENT,), **more), {"target": "orders"})

    def sealed(self, path, identities=(AUDITOR,)):
        """@return: the HEAD and the sealed frames."""
        frames = list(readSession(path, opener(identities)))
        return unpack(frames[0].payload), [frame for frame in frames if frame.origin == ORIGINAL]

    def read(self, path):
        head, frames = self.sealed(path)
        reader = OriginalsReader(head, [OTHER, AUDITOR])
        return [(frame.channel, frame.side, reader.open(frame)) for frame in frames]


class WriteTests(OriginalsBase):
    def test_there(self):
        """What was masked for the client can be read by the auditor, whole and in order, also after packing."""
        recording = self.begin()
        said = [(0, TARGET, SECRET), (7, TARGET, b"x"), (0, CLIENT, SECRET * 2)]
        for channel, side, data in said:
            self.assertEqual(recording.seal(channel, side, data), None)
            recording.append(channel, side, MADE, b"*" * len(data))
        self.close(recording)
        self.assertEqual(self.read(recording.path), said)
        verdict = verifySession(recording.path)
        self.assertEqual((verdict.state, verdict.problems), ("complete", []))
        pack(os.path.join(recording.path, segmentName(0)), True, [RECIPIENT])
        self.assertEqual(self.read(recording.path), said)

    def test_neverPlain(self):
        """Not for a moment: not in the open segment, not in the journal."""
        for durability in ("written", "synced"):
            recording = self.begin(durability=durability)
            recording.seal(0, TARGET, SECRET * 10)
            found = []
            for place, _, names in os.walk(self.rig_.data):
                found += [os.path.join(place, name) for name in names if name != "reserve"]
            self.assertIn(os.path.join(recording.path, OPEN), found)
            for path in found:
                self.assertNotIn(SECRET[:16], content(path), path)
            self.close(recording)

    def test_long(self):
        """A sealed payload is never cut: longer ones are sealed in pieces."""
        recording = self.begin()
        data = os.urandom(2 * LONGEST + 5)
        recording.seal(0, TARGET, data)
        self.close(recording)
        head, frames = self.sealed(recording.path)
        self.assertEqual([len(frame.payload) for frame in frames], [LIMIT, LIMIT, 5 + 24])
        self.assertEqual({frame.flags for frame in frames}, {0})
        self.assertEqual(b"".join(part for _, _, part in self.read(recording.path)), data)

    def test_notCounted(self):
        """The totals are what the sides have said, once."""
        recording = self.begin()
        recording.seal(0, TARGET, SECRET)
        self.assertEqual(recording.totals()["bytes_from_target"], 0)
        self.close(recording)

    def test_waits(self):
        """While a slow disk is waited for, the caller waits too."""
        threads = Later()
        recording = self.begin(threads=threads)
        recording.append(0, TARGET, MADE, bytes(300_000))  # goes through a thread
        safe = recording.seal(0, TARGET, SECRET)
        self.assertNoResult(safe)
        threads.runAll()
        self.successResultOf(safe)
        self.close(recording)

    def test_fails(self):
        """When it can not be recorded the session ends, as with every other byte."""
        recording = self.begin()
        self.rig_.files.room = 3
        self.assertRaises(RecordingFailed, recording.seal, 0, TARGET, SECRET)
        self.rig_.files.room = None

    def test_nobody(self):
        self.assertRaises(ValueError, Originals, SESSION, [])
        rig = self.rig()
        self.assertRaises(KeyProblem, rig.store.keepOriginals, ["age1x"])

    def test_notKept(self):
        """Where nobody has asked for it nothing is recorded, and HEAD says nothing."""
        recording = self.open(self.rig(), {"target": "orders"})
        before = recording.sequence
        self.assertIdentical(recording.seal(0, TARGET, SECRET), None)
        self.assertEqual(recording.sequence, before)
        self.close(recording)
        head, frames = self.sealed(recording.path)
        self.assertEqual((FIELD in head, frames), (False, []))

    def test_changes(self):
        """New settings are for the sessions that begin from then on; one that has begun goes on as it was."""
        before = self.begin()
        store = self.rig_.store
        store.keepOriginals([str(OTHER.to_public())])
        after = self.open(self.rig_, {"target": "orders"})
        store.keepOriginals([])
        none = self.open(self.rig_, {"target": "orders"})
        for recording in (before, after, none):
            recording.seal(0, TARGET, SECRET)
            self.close(recording)
        for recording, opens, closed in ((before, AUDITOR, OTHER), (after, OTHER, AUDITOR)):
            head, (frame,) = self.sealed(recording.path)
            self.assertEqual(OriginalsReader(head, [opens]).open(frame), SECRET)
            self.assertRaises(WrongIdentity, OriginalsReader, head, [closed])
        self.assertNotIn(FIELD, self.sealed(none.path)[0])

    def test_closed(self):
        """The key goes with the session: what comes later is not recorded, and not passed over either."""
        recording = self.begin()
        self.assertIsNotNone(recording._originals)
        recording.close("idle")
        self.assertIdentical(recording._originals, None)
        self.assertRaises(RecordingFailed, recording.seal, 0, TARGET, SECRET)

    def test_segments(self):
        """Over the end of a segment the numbers go on."""
        recording = self.begin(size=4096)
        for number in range(3):
            recording.seal(0, TARGET, SECRET + bytes(5000) + b"%d" % number)
            self.rig_.advance(2)
        self.close(recording)
        self.assertGreater(len([name for name in os.listdir(recording.path) if name.endswith(".hxr")]), 2)
        self.assertEqual([data[-1:] for _, _, data in self.read(recording.path)], [b"0", b"1", b"2"])
        self.assertEqual(verifySession(recording.path).state, "complete")

    def test_largest(self):
        """A protocol's largest unit, masked, on a disk that takes its time: both wait for it, none is too much."""
        threads = Later()
        recording = self.begin(threads=threads)
        unit = 16 * 1024 * 1024
        safe = [recording.seal(0, TARGET, bytes(unit)), recording.append(0, TARGET, MADE, bytes(unit))]
        for one in safe:
            self.assertNoResult(one)
        threads.runAll()
        for one in safe:
            self.successResultOf(one)
        self.close(recording)

    def test_failsLater(self):
        """All pieces wait for the disk; it fails; nobody hears more than once, and nothing is left unhandled."""
        threads = Later()
        recording = self.begin(threads=threads)
        safe = recording.seal(0, TARGET, bytes(3 * LONGEST))
        self.rig_.files.faults["write"] = 5
        threads.runAll()
        self.failureResultOf(safe, RecordingFailed)
        self.rig_.files.faults.clear()
        recording.close("recording-failed")
        threads.runAll()
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(RecordingFailed), [])

    def test_crash(self):
        """The key is in HEAD: what a crash has left opens like anything else."""
        recording = self.begin()
        recording.seal(0, TARGET, SECRET)
        recording.append(0, TARGET, MADE, b"*")
        recording.seal(0, TARGET, SECRET * 2)
        crash(recording)
        letGo(self.rig_.store)
        again = Rig(self.rig_.data)
        self.successResultOf(again.store.start())
        self.assertEqual(len(again.store.recovered), 1)
        verdict = verifySession(recording.path)
        self.assertEqual((verdict.state, verdict.problems), ("recovered", []))
        self.assertEqual([data for _, _, data in self.read(recording.path)], [SECRET, SECRET * 2])
        self.successResultOf(again.store.stop())

    def test_nonces(self):
        """Each comes once; keys are of one session."""
        self.assertEqual(len({nonce(number) for number in (0, 1, 2**32, 2**64 - 1)}), 4)
        one, other = (Originals(SESSION, recipients([RECIPIENT])) for _ in range(2))
        keys = [pyrage.decrypt(b64decode(each.head["key"]), [AUDITOR]) for each in (one, other)]
        self.assertNotEqual(*keys)
        self.assertEqual([len(key) for key in keys], [32, 32])


class ReadTests(OriginalsBase):
    def setUp(self):
        recording = self.begin()
        for number in range(4):
            recording.seal(number % 2, TARGET, SECRET + b"%d" % number)
        self.close(recording)
        self.head, self.frames = self.sealed(recording.path)

    def reader(self, *identities, **more):
        return OriginalsReader({**self.head, **more}, identities or (AUDITOR,))

    def test_identities(self):
        self.assertIn("--identity", str(self.assertRaises(Encrypted, OriginalsReader, self.head, [])))
        self.assertIn("none of the identities", str(self.assertRaises(WrongIdentity, self.reader, OTHER)))
        self.assertRaises(NotSealed, OriginalsReader, {"session": self.head["session"]}, [AUDITOR])

    def test_changed(self):
        """Any bit of a sealed frame, and any word that it is bound to."""
        frame = self.frames[0]
        for place in range(len(frame.payload)):
            payload = bytearray(frame.payload)
            payload[place] ^= 4
            self.assertRaises(Unreadable, self.reader().open, frame._replace(payload=bytes(payload)))
        for change in ({"channel": 9}, {"side": CLIENT}, {"payload": b""}, {"payload": frame.payload[:-1]}, {"origin": MADE}):
            self.assertRaises(Unreadable, self.reader().open, frame._replace(**change))
        self.assertRaises(Unreadable, self.reader(session=SESSION).open, frame)
        self.assertEqual(self.reader().open(frame), SECRET + b"0")

    def test_moved(self):
        """Dropped, doubled, swapped."""
        one, two, three, four = self.frames
        for order in ([two], [one, one], [one, three], [one, three, two, four]):
            reader = self.reader()
            self.assertRaises(Unreadable, lambda: [reader.open(frame) for frame in order])  # noqa: B023

    def test_ofAnotherSession(self):
        """The same place in another session, sealed to the same people."""
        before = self.frames[0]
        self.setUp()
        self.assertRaises(Unreadable, self.reader().open, before)

    def test_damagedHead(self):
        short = b64encode(pyrage.encrypt(b"short", [AUDITOR.to_public()])).decode()
        for said in (
            {"cipher": "AES-512", "key": self.head[FIELD]["key"]}, {"cipher": "AES-256-GCM"}, {}, "x", 7,
            *({"cipher": "AES-256-GCM", "key": key} for key in ("", "!", 5, self.head[FIELD]["key"][:-40], short, "AAAA")),
        ):  # fmt: skip
            self.assertRaises(Unreadable, self.reader, AUDITOR, **{FIELD: said})

    def test_frames(self):
        self.assertEqual({frame.kind for frame in self.frames}, {DATA})
