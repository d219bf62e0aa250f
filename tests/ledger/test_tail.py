"""The tail: what a crash can leave, and what no crash explains."""

from __future__ import annotations

import errno
import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import LedgerDamaged
from hoopx.ledger.tail import Tail, readTail
from hoopx.recording.files import Files
from tests.recording.rig import FaultyFiles


class TailTests(SynchronousTestCase):
    def setUp(self):
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "tail")

    def tail(self, leaves=(b"first", b"second"), files=None):
        tail = Tail.prepare(self.directory, files or Files(), 512, leaves)
        tail.commit(self.directory)
        self.addCleanup(tail.close)
        return tail

    def read(self, data=None):
        if data is None:
            with open(self.path, "rb") as file:
                data = file.read()
        return readTail(data, "tail")

    def test_round(self):
        tail = self.tail()
        self.assertEqual(self.read(), (512, [b"first", b"second"]))
        tail.append(514, [b"third"])
        tail.append(515, [b"fourth", b""])
        self.assertEqual(self.read(), (512, [b"first", b"second", b"third", b"fourth", b""]))

    def test_oneSync(self):
        files = FaultyFiles()
        tail = self.tail(files=files)
        files.calls.clear()
        files.writes.clear()
        tail.append(514, [b"x"] * 1000)
        self.assertEqual(([name for name, _ in files.calls], len(files.writes)), (["fdatasync"], 1))

    def written(self):
        """A tail of three appends, and where each ends."""
        tail = self.tail()
        ends = [os.path.getsize(self.path)]
        for number in range(3):
            tail.append(514 + number, [b"leaf %d" % number])
            ends.append(os.path.getsize(self.path))
        with open(self.path, "rb") as file:
            return file.read(), ends

    def test_everyCut(self):
        """An append that was cut short anywhere is not there, and all before it are."""
        data, ends = self.written()
        for cut in range(ends[0], len(data) + 1):
            whole = sum(cut >= end for end in ends[1:])
            self.assertEqual(self.read(data[:cut]), (512, [b"first", b"second", *[b"leaf %d" % n for n in range(whole)]]))
        for cut in range(ends[0]):
            self.assertRaises(LedgerDamaged, self.read, data[:cut])

    def test_everyByte(self):
        """A byte changed in the last append may be a crash; anywhere else it is damage."""
        data, ends = self.written()
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 0x55
            if at < ends[2] and not 24 <= at < 28:
                self.assertRaises(LedgerDamaged, self.read, bytes(changed))
            else:
                start, leaves = self.read(bytes(changed))
                self.assertEqual(leaves[:4], [b"first", b"second", b"leaf 0", b"leaf 1"])

    def test_zerosBehind(self):
        data, _ = self.written()
        self.assertEqual(len(self.read(data + bytes(5000))[1]), 5)

    @settings(max_examples=200)
    @given(st.binary(max_size=200))
    def test_anyBytes(self, data):
        try:
            readTail(data, "tail")
        except LedgerDamaged:
            pass

    @settings(max_examples=100)
    @given(st.binary(max_size=200))
    def test_anythingBehind(self, more):
        data, _ = self.__dict__.setdefault("_data", self.written())
        self.assertEqual(readTail(data + more, "tail")[1][:5], [b"first", b"second", b"leaf 0", b"leaf 1", b"leaf 2"])

    def test_fullDisk(self):
        """What did not fit is cut off again, and the next append is good."""
        files = FaultyFiles()
        tail = self.tail(files=files)
        before = os.path.getsize(self.path)
        for room in range(28):
            files.room = room
            self.assertRaises(OSError, tail.append, 514, [b"leaf 0"])
            self.assertFalse(tail.broken)
            self.assertEqual(os.path.getsize(self.path), before)
        files.room = None
        tail.append(514, [b"leaf 0"])
        self.assertEqual(self.read()[1], [b"first", b"second", b"leaf 0"])

    def test_brokenForGood(self):
        for name in ("fdatasync", "ftruncate"):
            files = FaultyFiles()
            tail = self.tail(files=files)
            files.faults[name] = errno.EIO
            if name == "ftruncate":
                files.room = 3
            self.assertRaises(OSError, tail.append, 514, [b"leaf 0"])
            self.assertTrue(tail.broken)
