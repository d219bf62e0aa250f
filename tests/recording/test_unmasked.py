"""Originals in the place of what was sent instead of them."""

from __future__ import annotations

import os
import shutil

from hoopx.frames import DATA, EVENT, LIMIT, RECOVERED, unpack
from hoopx.reading import Unreadable, readSession
from hoopx.recording import unmasked as module
from hoopx.recording.auditors import identities
from hoopx.recording.originals import NotSealed
from hoopx.recording.stored import Encrypted, WrongIdentity
from hoopx.recording.unmasked import Unmasked, unmasked
from hoopx.recording.verify import verifySession
from hoopx.values import ATTEMPTED, CLIENT, MADE, ORIGINAL, PASSED, TARGET
from tests.recording.packed import AUDITOR, OTHER, RECIPIENT, PackedBase
from tests.recording.rig import Rig, crash, letGo

FIXTURE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "fixtures", "recordings", "originals")


class UnmaskedTests(PackedBase):
    def begin(self, **more):
        return self.open(self.rig(originals=(RECIPIENT,), **more), {"target": "orders"})

    def frames(self, recording):
        frames = list(readSession(recording.path))
        return unpack(frames[0].payload), frames

    def read(self, recording):
        """@return: the DATA frames as an auditor has them."""
        head, frames = self.frames(recording)
        found = list(unmasked(frames, head, [AUDITOR]))
        self.assertEqual(len({frame.sequence for frame in found}), len(found))
        return [(frame.channel, frame.side, frame.origin, frame.payload) for frame in found if frame.kind == DATA]

    def test_inPlace(self):
        """What was masked is there as if it had passed; what was not is as it was; the gateway's own words stay its own."""
        recording = self.begin()
        recording.append(0, CLIENT, PASSED, b"GET card")
        recording.seal(0, TARGET, b"4111")
        recording.append(0, TARGET, MADE, b"****")
        recording.append(0, TARGET, PASSED, b"plain")
        recording.append(0, TARGET, MADE, b"a notice")
        recording.seal(0, TARGET, b"4222")
        recording.append(0, TARGET, MADE, b"****")
        recording.note("note", text="between")
        self.close(recording)
        self.assertEqual(
            self.read(recording),
            [
                (0, CLIENT, PASSED, b"GET card"),
                (0, TARGET, PASSED, b"4111"),
                (0, TARGET, PASSED, b"plain"),
                (0, TARGET, MADE, b"a notice"),
                (0, TARGET, PASSED, b"4222"),
            ],
        )
        head, frames = self.frames(recording)
        kinds = [frame.kind for frame in unmasked(frames, head, [AUDITOR]) if frame.kind != DATA]
        self.assertEqual(kinds, [frame.kind for frame in frames if frame.kind != DATA])
        self.assertIn(EVENT, kinds)

    def test_long(self):
        """Pieces of an original, and pieces of what was sent: one in the place of the other, and nothing of what follows is lost."""
        recording = self.begin()
        data = os.urandom(2 * LIMIT + 10)
        recording.seal(0, TARGET, data)
        recording.append(0, TARGET, MADE, b"*" * (3 * LIMIT + 1))
        recording.append(0, TARGET, MADE, b"own words")
        recording.seal(0, TARGET, data)
        recording.append(0, TARGET, MADE, b"")
        self.close(recording)
        found = self.read(recording)
        self.assertEqual(b"".join(payload for _, _, origin, payload in found if origin == PASSED), data * 2)
        self.assertEqual([payload for _, _, origin, payload in found if origin == MADE], [b"own words"])

    def test_flows(self):
        """Each channel and side for itself, whatever stands between."""
        recording = self.begin(size=4096)
        recording.seal(0, TARGET, b"one")
        recording.seal(7, TARGET, b"two")
        recording.append(0, CLIENT, PASSED, bytes(9000))
        self.rig_.advance(3)
        recording.append(7, TARGET, MADE, b"***")
        recording.append(0, TARGET, MADE, b"***")
        self.close(recording)
        expected = [(0, CLIENT, PASSED, bytes(9000)), (7, TARGET, PASSED, b"two"), (0, TARGET, PASSED, b"one")]
        self.assertEqual(self.read(recording), expected)

    def test_notForwarded(self):
        """What was kept back for good was attempted, and the words after it are the gateway's."""
        recording = self.begin()
        recording.seal(0, TARGET, b"411")
        recording.append(0, TARGET, ATTEMPTED, b"")
        recording.append(0, TARGET, MADE, b"the session ends")
        self.close(recording)
        self.assertEqual(self.read(recording), [(0, TARGET, ATTEMPTED, b"411"), (0, TARGET, MADE, b"the session ends")])

    def test_crash(self):
        """The gateway has died between the original and what was to be sent: it was not."""
        recording = self.begin()
        recording.seal(0, TARGET, b"4111")
        recording.append(0, TARGET, MADE, b"****")
        recording.seal(0, TARGET, b"4222")
        self.rig_.store.sleep(recording)
        crash(recording)
        self.assertEqual(self.read(recording), [(0, TARGET, PASSED, b"4111"), (0, TARGET, ATTEMPTED, b"4222")])

    def test_recovered(self):
        """The same, once the next start has put an end to it: what was not forwarded stands before the end."""
        recording = self.begin()
        recording.seal(0, TARGET, b"4222")
        crash(recording)
        letGo(self.rig_.store)
        again = Rig(self.rig_.data)
        self.successResultOf(again.store.start())
        head, frames = self.frames(recording)
        kinds = [(frame.kind, frame.origin) for frame in unmasked(frames, head, [AUDITOR]) if frame.kind in (DATA, RECOVERED)]
        self.assertEqual(kinds, [(DATA, ATTEMPTED), (RECOVERED, 0)])
        self.successResultOf(again.store.stop())

    def test_nothing(self):
        """What a mask has added where nothing was: nothing is in its place."""
        recording = self.begin()
        recording.seal(0, TARGET, b"")
        recording.append(0, TARGET, MADE, b"added")
        self.close(recording)
        self.assertEqual(self.read(recording), [(0, TARGET, PASSED, b"")])

    def test_bound(self):
        """More than any unit can be is not waited for."""
        self.patch(module, "HELD", 1000)
        recording = self.begin()
        for number in range(3):
            recording.seal(0, TARGET, b"%d" % number * 400)
        recording.append(0, TARGET, ATTEMPTED, b"")
        self.close(recording)
        found = [(origin, payload[:1]) for _, _, origin, payload in self.read(recording)]
        self.assertEqual(found, [(PASSED, b"0"), (ATTEMPTED, b"1"), (ATTEMPTED, b"2")])

    def test_refused(self):
        recording = self.begin()
        recording.seal(0, TARGET, b"4111")
        self.close(recording)
        head, frames = self.frames(recording)
        self.assertRaises(Encrypted, Unmasked, head, [])
        self.assertRaises(WrongIdentity, Unmasked, head, [OTHER])
        self.assertRaises(NotSealed, Unmasked, {"session": "x"}, [AUDITOR])
        (sealed,) = [frame for frame in frames if frame.origin == ORIGINAL]
        wrong = sealed._replace(payload=sealed.payload[:-1] + bytes([sealed.payload[-1] ^ 1]))
        self.assertRaises(Unreadable, Unmasked(head, [AUDITOR]).feed, wrong)

    def test_fixture(self):
        """Made once; it stays as it is, and is read for ever."""
        (auditor,) = identities([os.path.join(FIXTURE, "auditor.key")])
        frames = list(readSession(FIXTURE))
        head = unpack(frames[0].payload)
        found = [(frame.channel, frame.side, frame.origin, frame.payload) for frame in unmasked(frames, head, [auditor]) if frame.kind == DATA]
        self.assertEqual(
            found,
            [
                (0, CLIENT, PASSED, b"GET card\n"),
                (0, TARGET, PASSED, b"4111 2222 3333 4444\n"),
                (0, TARGET, PASSED, b"kept back\n"),
                (7, TARGET, ATTEMPTED, b"never told"),
                (0, TARGET, MADE, b"the session ends\n"),
            ],
        )
        place = os.path.join(self.mktemp(), head["session"])
        shutil.copytree(FIXTURE, place)
        verdict = verifySession(place)
        self.assertEqual((verdict.state, verdict.problems), ("complete", []))
