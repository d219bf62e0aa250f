"""Whatever reads sessions reads packed ones: the catalogue, followers; and says what it can of encrypted ones."""

from __future__ import annotations

import json
import os

from hoopx.frames import DATA, OPEN, FrameError, segmentName
from hoopx.gateway import Tail
from hoopx.protocols.raw.view import RawView
from hoopx.reading import readSession
from hoopx.recording import catalogue
from hoopx.recording.packing import pack
from hoopx.recording.stored import Encrypted, opener
from hoopx.ulid import ulidTime
from hoopx.values import CLIENT, MADE, PASSED, TARGET
from tests.doubles import Picky
from tests.recording.packed import AUDITOR, OTHER, RECIPIENT, PackedBase
from tests.recording.rig import crash, letGo


class CatalogueTests(PackedBase):
    def packed(self, *recipients, **more):
        """@return: the directory of a session whose sealed segments are packed, and what the catalogue said before."""
        path = self.session(segments=3, **more)
        before = catalogue.summarise(path)
        for name in sorted(os.listdir(path)):
            if name != OPEN:
                pack(os.path.join(path, name), True, recipients)
        return path, before

    def test_compressed(self):
        """A compressed session is the same at a glance, complete, live and left behind."""
        path, before = self.packed()
        self.assertEqual(catalogue.summarise(path), before)
        self.assertEqual(before.state, "complete")
        path, before = self.packed(close=False)
        self.assertEqual(catalogue.summarise(path), before)
        self.assertEqual(before.state, "live")
        crash(self.recording)
        letGo(self.rig_.store)
        self.assertEqual(catalogue.summarise(path).reason, "interrupted")

    def test_withIdentity(self):
        path, before = self.packed(RECIPIENT)
        self.assertEqual(catalogue.summarise(path, opener([AUDITOR])), before)

    def test_encrypted(self):
        """Without an identity: which session, since when, until when, that it is encrypted and what to do about it."""
        path, before = self.packed(RECIPIENT)
        for opening, said in ((opener(), "--identity KEYFILE"), (opener([OTHER]), "none of the identities")):
            found = catalogue.summarise(path, opening)
            self.assertEqual((found.session, found.state, found.head, found.totals), (before.session, "encrypted", {}, {}))
            self.assertEqual(found.started, ulidTime(before.session))
            self.assertAlmostEqual(found.ended, os.stat(os.path.join(path, segmentName(2))).st_mtime)
            self.assertIn(said, found.reason)
            self.assertEqual(found.line()["user"], None)
            self.assertEqual(list(catalogue.sessions(self.rig_.data, opening)), [found])

    def test_encryptedLive(self):
        """A live one is live, whether or not its beginning can be read."""
        path, before = self.packed(RECIPIENT, close=False)
        found = catalogue.summarise(path)
        self.assertEqual((found.state, found.head, found.ended, found.totals), ("live", {}, None, before.totals))
        crash(self.recording)
        letGo(self.rig_.store)
        found = catalogue.summarise(path)
        self.assertEqual((found.state, found.reason), ("recovered", "interrupted"))

    def test_damaged(self):
        path, _ = self.packed()
        name = os.path.join(path, segmentName(2))
        os.chmod(name, 0o600)
        os.truncate(name, os.path.getsize(name) - 20)
        found = catalogue.summarise(path)
        self.assertEqual(found.state, "damaged")
        self.assertIn("compressed segment", found.reason)


class FollowTests(PackedBase):
    def test_packedBehind(self):
        """Segments are packed while somebody follows: he sees every frame once."""
        rig = self.rig(size=8192)
        recording = self.open(rig)
        follower = catalogue.follow(rig.data, recording.session)
        found = []
        packed = set()
        for number in range(40):
            recording.append(0, CLIENT, PASSED, b"%d" % number * 500)
            rig.advance(1)
            for name in sorted(os.listdir(recording.path)):
                if name != OPEN and name not in packed:
                    packed.add(name)
                    pack(os.path.join(recording.path, name))
            if number % 3 == 0:
                found += follower.step()
        self.close(recording)
        while (more := follower.step()) is not None:
            found += more
        follower.close()
        self.assertGreater(len(packed), 3)
        self.assertEqual(found, list(readSession(recording.path, opener())))
        self.assertEqual(len([frame for frame in found if frame.kind == DATA]), 40)

    def test_encrypted(self):
        path = self.session()
        pack(os.path.join(path, segmentName(0)), True, [RECIPIENT])
        session = os.path.basename(path)
        self.assertRaises(Encrypted, catalogue.follow(self.rig_.data, session).step)
        follower = catalogue.follow(self.rig_.data, session, opener([AUDITOR]))
        found = []
        while (more := follower.step()) is not None:
            found += more
        self.assertEqual(found, list(readSession(path, opener([AUDITOR]))))

    def test_tail(self):
        """Who watches through the gateway is told why there is nothing to see."""
        path = self.session(close=False)
        pack(os.path.join(path, segmentName(0)), True, [RECIPIENT])
        tail = Tail(catalogue.follow(self.rig_.data, os.path.basename(path)), RawView())
        (line,) = tail.read()
        self.assertIn("--identity KEYFILE", json.loads(line)["reason"])
        self.assertEqual(tail.read(), None)
        tail.close()
        crash(self.recording)
        letGo(self.rig_.store)

    def test_tailMasked(self):
        """Who watches sees what the client sees."""
        recording = self.open(self.rig(originals=(RECIPIENT,)))
        recording.seal(0, TARGET, b"4111")
        recording.append(0, TARGET, MADE, b"****")
        recording.seal(0, TARGET, b"4222")
        recording.append(0, TARGET, MADE, b"")
        tail = Tail(catalogue.follow(self.rig_.data, recording.session), Picky())
        self.assertEqual([json.loads(line)["text"] for line in tail.read()], ["****"])
        tail.close()
        self.close(recording)

    def test_damaged(self):
        path = self.session()
        name = os.path.join(path, segmentName(0))
        pack(name)
        os.chmod(name, 0o600)
        os.truncate(name, 100)
        follower = catalogue.follow(self.rig_.data, os.path.basename(path))
        error = self.assertRaises(FrameError, lambda: [follower.step() for _ in range(3)])
        self.assertIn("cut off", error.reason)
