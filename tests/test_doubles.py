"""The doubles keep the seams' promises."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import RecordingFailed
from hoopx.interfaces import IRecording, IRecordings
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET
from tests.doubles import MemoryRecording, MemoryRecordings


class MemoryTests(SynchronousTestCase):
    def test_seams(self):
        verifyObject(IRecordings, MemoryRecordings())
        verifyObject(IRecording, MemoryRecording())

    def test_directions(self):
        recording = self.successResultOf(MemoryRecordings().open({"target": "x"}))
        recording.append(0, CLIENT, PASSED, b"a")
        recording.append(0, CLIENT, ATTEMPTED, b"b")
        recording.append(0, CLIENT, MADE, b"c")
        recording.append(0, TARGET, PASSED, b"d")
        self.assertEqual((recording.sent(CLIENT), recording.received(TARGET), recording.received(CLIENT)), (b"ab", b"ac", b"d"))

    def test_slowAndFailed(self):
        recording = MemoryRecording()
        recording.slow = True
        first = recording.append(0, CLIENT, PASSED, b"a")
        recording.slow = False
        second = recording.append(0, CLIENT, PASSED, b"b")
        recording.release(1)
        self.successResultOf(first)
        self.assertNoResult(second)
        recording.fail()
        self.failureResultOf(second, RecordingFailed)
        self.assertRaises(RecordingFailed, recording.append, 0, CLIENT, PASSED, b"c")
