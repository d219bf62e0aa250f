"""The fast look at a segment: it finds the true seal, and leaves what is unusual alone."""

from __future__ import annotations

import io
import os
from hashlib import sha256
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import DATA, DONE, HEAD, LIMIT, SEAL, START, encode, pack
from hoopx.recording import outline as outlines
from hoopx.recording import verify
from hoopx.recording.outline import BLOCK, LONG, outline, stands
from hoopx.recording.verify import verifySession
from hoopx.values import CLIENT, PASSED
from tests.recording.test_recovery import RecoveryBase


class Trickle(io.BytesIO):
    """A stream that gives as little at once as it likes."""

    def __init__(self, data, sizes):
        super().__init__(data)
        self.sizes = sizes

    def readinto(self, buffer):
        self.sizes.append(self.sizes.pop(0))
        return super().readinto(memoryview(buffer)[: self.sizes[0]])


def segment(*payloads, kinds=(), tail=b""):
    """@return: the bytes, and those before the seal."""
    kinds = kinds or [DATA] * len(payloads)
    frames = [encode(0, 1, 0, HEAD, payload=pack({"session": "S"}))]
    frames += [encode(n, n, 0, kind, CLIENT, PASSED, payload=payload) for n, (kind, payload) in enumerate(zip(kinds, payloads), 2)]
    body = START + b"".join(frames)
    return body + encode(9, len(frames) + 1, 0, SEAL, payload=b"{}") + tail, body


class OutlineTests(SynchronousTestCase):
    def check(self, data, body, file=None):
        found = outline(file or io.BytesIO(data))
        self.assertEqual(found.sha.hexdigest(), sha256(body).hexdigest())
        self.assertEqual(found.whole, sha256(data).hexdigest())
        self.assertEqual((found.first.kind, found.last[-1].kind), (HEAD, SEAL))
        return found

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from([0, 1, 31, 32, 33, 5000, BLOCK - 40, BLOCK]), max_size=6))
    def test_sizes(self, sizes):
        """Frames that end anywhere in a block, or are longer than one."""
        found = self.check(*segment(*(os.urandom(size) for size in sizes)))
        self.assertEqual(found.frames, len(sizes) + 1)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 300), max_size=8), st.lists(st.integers(10, 90), min_size=1, max_size=5))
    def test_trickle(self, sizes, reads):
        """A stream, such as one that is unpacked, that gives little at once."""
        data, body = segment(*(bytes(size) for size in sizes))
        self.check(data, body, Trickle(data, reads))

    def test_forgedInside(self):
        """What looks like an end and a seal, inside a payload, is passed over."""
        fake = encode(7, 7, 0, DONE, payload=b"{}") + encode(8, 8, 0, SEAL, payload=b"{}")
        found = self.check(*segment(b"x" + fake, fake))
        self.assertEqual(len(found.last), 1)

    def test_unusual(self):
        """Everything else is for the slow walk."""
        data, _ = segment(b"a", b"b")
        longer = encode(1, 2, 0, DATA, payload=bytes(LIMIT))
        wrong = [
            b"",
            b"PK" + data[2:],
            data[:-1],
            data[:5],
            data + b"x",
            data + data,
            data[: len(START)],
            segment(bytes(LONG + 1), kinds=[DONE])[0],
            segment(b"{}", b"x", kinds=[DONE, DATA])[0],
            segment(b"x")[1],
            START + (LIMIT + 1).to_bytes(4, "big") + longer[4:] + b"x",
        ]
        for each in wrong:
            self.assertIsNone(outline(io.BytesIO(each)))
        for more in (b"x", longer[:40], data[len(START) :]):  # behind the seal, and read when the seal was found already
            self.assertIsNone(outline(Trickle(data + more, [len(data), len(data), 1 << 20])))


class StandsTests(SynchronousTestCase):
    @given(st.lists(st.integers(0, 90), max_size=20), st.integers(1, 200))
    def test_split(self, sizes, step):
        """At the beginnings of frames and nowhere else, however the file comes in."""
        begins, data = [len(START)], START
        for number, size in enumerate(sizes):
            data += encode(0, number, 0, DATA, payload=bytes(size))
            begins.append(len(data))
        for at in range(len(START), len(data) + 40):
            with patch.object(outlines, "BLOCK", step):
                self.assertEqual(stands(io.BytesIO(data), at), at in begins)


class SpeedTests(RecoveryBase):
    def test_fast(self):
        """A sound recording is never walked, so no checksum or CHECK is looked at: that is what makes it fast."""
        rig = self.rig()
        recording = self.open(rig)
        for _ in range(3):
            recording.append(0, CLIENT, PASSED, bytes(70 * 1024))
            rig.advance(12)
        self.close(recording)

        def walked(*arguments):
            raise AssertionError("walked")

        self.patch(verify, "Walk", walked)
        self.assertEqual(verifySession(recording.path).state, "complete")
