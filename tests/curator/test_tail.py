"""How segments begin and end is read without reading what is between."""

import os
from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.tail import endsOf, endsOfStream, firstOf, headOf
from hoopx.frames import DONE, RECOVERED, SEAL, encode, segmentName
from hoopx.frames import pack as canonical
from hoopx.reading import readSession
from hoopx.recording.catalogue import summarise
from hoopx.recording.scan import TOTALS
from hoopx.values import CLIENT, PASSED
from tests.curator.rig import Recorded
from tests.recording.rig import KIB


class TailTests(SynchronousTestCase):
    def setUp(self):
        self.recorded = Recorded(self.mktemp())

    def test_ends(self):
        """The same as reading all of it says; DONE is only in the last segment."""
        recording = self.recorded.session(3)
        frames = list(readSession(recording.path))
        seals = [sha256(frame.payload).hexdigest() for frame in frames if frame.kind == SEAL]
        (done,) = [sha256(frame.payload).hexdigest() for frame in frames if frame.kind == DONE]
        found = [endsOf(os.path.join(recording.path, segmentName(number))) for number in range(3)]
        self.assertEqual([ends.seal for ends in found], seals)
        self.assertEqual([(ends.ended, ends.end) for ends in found], [("", ""), ("", ""), ("done", done)])
        self.assertIsNotNone(found[2].wall)
        for number, ends in enumerate(found):
            with open(os.path.join(recording.path, segmentName(number)), "rb") as file:
                self.assertEqual(endsOfStream(file, "x"), ends)

    def test_pretended(self):
        """Somebody sends what looks like the end of a session, just before a seal: it is only what he has sent."""
        recording = self.recorded.session(1, close=False)
        value = {"reason": "client-left", "duration": 1.0, "wall": 1.0, **dict.fromkeys(TOTALS, 0)}
        for kind in (DONE, RECOVERED):
            end = encode(0, 1, 0, kind, payload=canonical(value))
            recording.append(0, CLIENT, PASSED, bytes(70 * KIB) + end)
            recording.append(0, CLIENT, PASSED, b"and on it goes")
        for number in range(2):
            path = os.path.join(recording.path, segmentName(number))
            with open(path, "rb") as file:
                self.assertIn(b"client-left", file.read())
            self.assertEqual(endsOf(path).ended, "")
            self.assertEqual(summarise(recording.path).state, "live")
        recording.close("client-left")

    def test_notSealed(self):
        recording = self.recorded.session(1, close=False)
        path = os.path.join(recording.path, "open.hxr")
        self.assertRaises(ValueError, endsOf, path)
        with open(path, "rb") as file:
            self.assertRaises(ValueError, endsOfStream, file, "x")

    def test_cutOff(self):
        recording = self.recorded.session(1)
        path = os.path.join(recording.path, segmentName(0))
        os.chmod(path, 0o600)
        os.truncate(path, os.path.getsize(path) - 1)
        self.assertRaises(ValueError, endsOf, path)

    def test_head(self):
        recording = self.recorded.session(2)
        with open(os.path.join(recording.path, segmentName(0)), "rb") as file:
            self.assertEqual(headOf(file, "x")["target"], "orders")
        with open(os.path.join(recording.path, segmentName(1)), "rb") as file:
            self.assertRaises(ValueError, headOf, file, "x")
        with open(__file__, "rb") as file:
            self.assertRaises(ValueError, firstOf, file, "x")
