"""Recordings in files, whole and otherwise."""

from __future__ import annotations

import io
import os

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import DATA, HEAD, LINK, OPEN, START, FrameError, encode, pack, segmentName
from hoopx.reading import readSegment, readSession


class SegmentTests(SynchronousTestCase):
    def test_strictOrTorn(self):
        data = START + encode(0, 1, 0, HEAD, payload=b"{}")
        self.assertEqual(len(list(readSegment(io.BytesIO(data)))), 1)
        self.assertRaises(FrameError, list, readSegment(io.BytesIO(data + b"\0")))
        self.assertEqual(len(list(readSegment(io.BytesIO(data + b"\0"), torn=True))), 1)


class SessionTests(SynchronousTestCase):
    def setUp(self):
        self.path = self.mktemp()
        os.mkdir(self.path)

    def write(self, name, *encoded):
        with open(os.path.join(self.path, name), "wb") as file:
            file.write(START + b"".join(encoded))

    def sequences(self):
        return [frame.sequence for frame in readSession(self.path)]

    def test_inOrder(self):
        self.write(segmentName(0), encode(0, 1, 0, HEAD, payload=b"{}"), encode(0, 2, 0, DATA))
        self.write(segmentName(1), encode(0, 3, 0, LINK, payload=pack({"segment": 1})), encode(0, 4, 0, DATA))
        self.write(OPEN, encode(0, 5, 0, LINK, payload=pack({"segment": 2})), encode(0, 6, 0, DATA), b"\0\0")
        self.assertEqual(self.sequences(), [1, 2, 3, 4, 5, 6])
        os.remove(os.path.join(self.path, OPEN))
        self.assertEqual(self.sequences(), [1, 2, 3, 4])

    def test_sealedButNotReplaced(self):
        """Between link(2) and rename(2) one segment has two names."""
        self.write(segmentName(0), encode(0, 1, 0, HEAD, payload=b"{}"))
        os.link(os.path.join(self.path, segmentName(0)), os.path.join(self.path, OPEN))
        self.assertEqual(self.sequences(), [1])

    def test_wrong(self):
        self.assertRaises(FrameError, self.sequences)
        self.write(segmentName(0), encode(0, 1, 0, HEAD, payload=b"{}"), b"\0\0")
        self.assertIn("000000.hxr", str(self.assertRaises(FrameError, self.sequences)))
        self.write(segmentName(0), encode(0, 1, 0, DATA))
        self.assertIn("neither HEAD nor LINK", str(self.assertRaises(FrameError, self.sequences)))
        self.write(segmentName(0), encode(0, 1, 0, LINK, payload=b"?"))
        self.assertIn("LINK can not be read", str(self.assertRaises(FrameError, self.sequences)))
        self.write(segmentName(0), encode(0, 1, 0, HEAD, payload=b"{}"))
        self.write(OPEN, encode(0, 5, 0, LINK, payload=pack({"segment": 2})))
        self.assertIn("segment 2 stands where 1", str(self.assertRaises(FrameError, self.sequences)))
