"""What is sealed can not be changed unnoticed."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopx.frames import CHECK, DATA, DONE, HEAD, OPEN, RECOVERED, START, encode, segmentName, unpack
from hoopx.ledger.keys import publicKey
from hoopx.reading import readSegment
from hoopx.recording.signing import publicHex, sign
from hoopx.recording.verify import verifySession
from hoopx.values import CLIENT, PASSED
from tests.recording.rig import KIB
from tests.recording.test_recovery import RecoveryBase


class VerifyTests(RecoveryBase):
    def recorded(self, close=True):
        rig = self.rig()
        recording = self.open(rig)
        for number in range(3):
            recording.append(0, CLIENT, PASSED, bytes([number]) * 70 * KIB)
            rig.advance(1)
            recording.append(0, CLIENT, PASSED, b"word")
            rig.advance(11)
        if close:
            self.close(recording)
        return recording.path

    def frames(self, path, name):
        with open(os.path.join(path, name), "rb") as file:
            return list(readSegment(file))

    def write(self, path, name, frames):
        target = os.path.join(path, name)
        if os.path.exists(target):
            os.remove(target)
        with open(target, "wb") as file:
            file.write(START + b"".join(encode(*frame) for frame in frames))

    def assertTampered(self, path, segment, reason, **more):
        verdict = verifySession(path, **more)
        self.assertEqual(verdict.state, "TAMPERED")
        self.assertEqual(verdict.problems[0].segment, segment)
        self.assertIn(reason, verdict.problems[0].reason)
        return verdict.problems[0]

    def test_sound(self):
        path = self.recorded()
        self.assertEqual(sorted(os.listdir(path)), [segmentName(n) for n in range(4)])
        self.assertEqual((verifySession(path).state, verifySession(path).problems), ("complete", []))
        self.assertEqual(verifySession(self.recorded(close=False)).state, "live")

    def test_format1(self):
        """A recording of the first version verifies for ever: its directory's name is its session."""
        fixture = os.path.join(os.path.dirname(os.path.dirname(__file__)), "fixtures", "recordings", "format1")
        with open(os.path.join(fixture, segmentName(0)), "rb") as file:
            session = unpack(next(readSegment(file)).payload)["session"]
        path = os.path.join(self.mktemp(), session)
        shutil.copytree(fixture, path)
        self.assertEqual((verifySession(path).state, verifySession(path).problems), ("complete", []))

    def test_reencoded(self):
        """A changed payload with a right checksum: the next signature tells."""
        path = self.recorded()
        frames = self.frames(path, segmentName(1))
        place = next(n for n, f in enumerate(frames) if f.kind == DATA)
        frames[place] = frames[place]._replace(payload=b"changed")
        self.write(path, segmentName(1), frames)
        problem = self.assertTampered(path, segmentName(1), "hash does not match")
        self.assertEqual(problem.frame, next(n for n, f in enumerate(frames) if n > place and f.kind in (CHECK, 7)))

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 3), st.data())
    def test_frameRemoved(self, number, data):
        path = self.recorded()
        frames = self.frames(path, segmentName(number))
        del frames[data.draw(st.integers(0, len(frames) - 1))]
        self.write(path, segmentName(number), frames)
        self.assertEqual(verifySession(path).state, "TAMPERED")

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_byteChanged(self, data):
        path = self.recorded()
        name = os.path.join(path, data.draw(st.sampled_from(sorted(os.listdir(path)))))
        content = bytearray(open(name, "rb").read())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        os.remove(name)
        with open(name, "wb") as file:
            file.write(content)
        verdict = verifySession(path)
        self.assertEqual(verdict.state, "TAMPERED")
        self.assertEqual(verdict.problems[0].segment, os.path.basename(name))

    def test_segments(self):
        """Missing, swapped, cut at the end, another session's."""
        path = self.recorded()
        os.rename(os.path.join(path, segmentName(1)), os.path.join(path, "away"))
        self.assertTampered(path, segmentName(1), "missing")
        os.rename(os.path.join(path, "away"), os.path.join(path, segmentName(1)))
        os.rename(os.path.join(path, segmentName(3)), os.path.join(path, "away"))
        self.assertTampered(path, segmentName(2), "without an end")
        other = self.recorded()
        os.rename(os.path.join(other, segmentName(3)), os.path.join(path, segmentName(3)))
        self.assertTampered(path, segmentName(3), "another session")

    def test_added(self):
        path = self.recorded()
        last = self.frames(path, segmentName(3))
        self.write(path, segmentName(3), last + [last[1]._replace(sequence=10**6)])
        self.assertTampered(path, segmentName(3), "behind the seal")
        self.write(path, segmentName(3), last)
        self.write(path, segmentName(4), last)
        self.assertTampered(path, segmentName(4), "behind the end")

    def test_gap(self):
        """What is left of a segment, called open, before segments that were sealed later: nobody writes it, and it hides what is gone."""
        path = self.recorded()
        names = sorted(os.listdir(path))
        self.assertGreater(len(names), 2)
        frames = self.frames(path, names[-3])
        os.remove(os.path.join(path, names[-3]))
        self.write(path, OPEN, frames[:2])
        verdict = verifySession(path)
        self.assertEqual(verdict.state, "TAMPERED")
        self.assertIn("the segment is missing", str(verdict.problems[0]))

    def test_sealSpelled(self):
        """One seal, one spelling: no other bytes say the same, also where no ledger has them."""
        path = self.recorded()
        name = sorted(os.listdir(path))[-1]
        frames = self.frames(path, name)
        signature = unpack(frames[-1].payload)["signature"].encode()
        for more, reason in (
            ({"payload": frames[-1].payload.replace(b'"frames":', b'"frames": ')}, "written otherwise than it is signed"),
            ({"payload": frames[-1].payload.replace(signature, signature.upper())}, "the signature does not match"),
            ({"channel": 7}, "has a channel, side, origin or flags"),
            ({"flags": 1}, "has a channel, side, origin or flags"),
        ):
            self.write(path, name, [*frames[:-1], frames[-1]._replace(**more)])
            self.assertTampered(path, name, reason)

    def test_resigned(self):
        """Sealed again with another key: it is not the key of HEAD; with HEAD changed, not the one published."""
        path = self.recorded()
        key = Ed25519PrivateKey.generate()
        frames = self.frames(path, segmentName(3))
        seal = unpack(frames[-1].payload)
        del seal["signature"]
        self.write(path, segmentName(3), frames[:-1] + [frames[-1]._replace(payload=sign(key, "seal", seal))])
        self.assertTampered(path, segmentName(3), "signature does not match")
        sound = self.recorded()
        self.assertEqual(verifySession(sound, public=bytes.fromhex(verifySession(sound).key)).state, "complete")
        self.assertTampered(sound, segmentName(0), "another key", public=bytes(32))

    def test_rewrittenBySessionKey(self):
        """A sealed segment that is written anew, even with the session's own key, does not fit the one behind it."""
        rig = self.rig()
        recording = self.open(rig)
        key = recording._segment.key
        for _ in range(2):
            recording.append(0, CLIENT, PASSED, b"x" * 70 * KIB)
            rig.advance(12)
        self.close(recording)
        path = recording.path
        frames = [f for f in self.frames(path, segmentName(0)) if f.kind != CHECK]
        place = next(n for n, f in enumerate(frames) if f.kind == DATA)
        frames[place] = frames[place]._replace(payload=b"changed")
        seal = unpack(frames[-1].payload)
        del seal["signature"]
        seal["frames"] = len(frames) - 1
        seal["sha256"] = sha256(START + b"".join(encode(*f) for f in frames[:-1])).hexdigest()
        self.write(path, segmentName(0), frames[:-1] + [frames[-1]._replace(payload=sign(key, "seal", seal))])
        self.assertTampered(path, segmentName(1), "LINK does not match")

    def test_recoveredByWhom(self):
        """Who recovers must hold the ledger key."""
        rig, path = self.crashed()
        self.again(rig.data)
        self.assertEqual(self.recovered(path, rig.data)[-2].kind, RECOVERED)
        self.assertTampered(path, segmentName(0), "another key than the ledger's", ledger=bytes(32))

    def test_recoveredForged(self):
        """A complete recording cut short and called recovered, with the thief's own key."""
        path = self.recorded()
        key = Ed25519PrivateKey.generate()
        frames = self.frames(path, segmentName(3))
        cut = [f for f in frames if f.kind not in (DONE, 7)]
        last = cut[-1].sequence
        value = {"session": os.path.basename(path), "segment": 3, "last": last, "cut": 0, "key": publicHex(key)}
        forged = cut[-1]._replace(kind=RECOVERED, sequence=last + 1, payload=sign(key, "recovered", value), side=0, origin=0)
        self.write(path, segmentName(3), cut + [forged])
        self.assertTampered(path, segmentName(3), "another key than the ledger's", ledger=publicKey(self.rig_.data))

    def test_nothing(self):
        path = self.mktemp()
        os.mkdir(path)
        self.assertTampered(path, OPEN, "no segment")

    def test_head(self):
        path = self.recorded()
        frames = self.frames(path, segmentName(0))
        self.assertEqual(frames[0].kind, HEAD)
        self.write(path, segmentName(0), [frames[0]._replace(payload=b"{}")] + frames[1:])
        self.assertEqual(verifySession(path).state, "TAMPERED")
