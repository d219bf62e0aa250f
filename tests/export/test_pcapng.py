"""Packet captures: blocks as the format wants them, and the very bytes that client and gateway exchanged."""

from __future__ import annotations

from struct import unpack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.export import pcapng
from hoopx.export.pcapng import Capture
from hoopx.values import ATTEMPTED, CLIENT, MADE, ORIGINAL, PASSED, TARGET
from tests.export.forged import foreign
from tests.export.recorded import HEADER, TALK, frames, written


def blocks(data):
    found = []
    while data:
        kind, size = unpack("<II", data[:8])
        assert size % 4 == 0 and unpack("<I", data[size - 4 : size]) == (size,), size
        found.append((kind, data[8 : size - 4]))
        data = data[size:]
    return found


def packets(data):
    """(nanoseconds since the epoch, packet)"""
    found = []
    for kind, body in blocks(data):
        if kind == 6:
            interface, high, low, captured, original = unpack("<IIIII", body[:20])
            assert (interface, captured) == (0, original)
            found.append(((high << 32) + low, body[20 : 20 + captured]))
    return found


class CaptureTests(SynchronousTestCase):
    def capture(self, found=None, **head):
        return written(Capture({**HEADER, **head}, "hoopx 1"), found)

    def test_blocks(self):
        found = blocks(self.capture())
        self.assertEqual([kind for kind, _ in found[:3]], [0x0A0D0D0A, 1, 6])
        self.assertIn(b"made up", found[0][1])
        self.assertEqual({kind for kind, _ in found[2:]}, {6})

    def test_bytes(self):
        """What the client has sent, refused things included, and what it has received: nothing else."""
        sides = {(CLIENT, PASSED): 0, (CLIENT, ATTEMPTED): 0, (TARGET, PASSED): 1, (TARGET, MADE): 1}
        wanted = [b"", b""]
        for side, origin, payload in [*TALK, (TARGET, ORIGINAL, b"masked"), (TARGET, ATTEMPTED, b"kept back")]:
            if (side, origin) in sides:
                wanted[sides[side, origin]] += payload
        talk = [*TALK, (TARGET, ORIGINAL, b"masked"), (TARGET, ATTEMPTED, b"kept back")]
        found = [b"", b""]
        for _, packet in packets(self.capture(frames(talk))):
            found[unpack(">H", packet[34:36]) == (5432,)] += packet[54:]
        self.assertEqual(found, wanted)

    def test_times(self):
        found = packets(self.capture())
        self.assertEqual(found[0][0], 1_700_000_003_250_000_000)
        self.assertEqual(found[-1][0], 1_700_000_010_250_000_000)
        self.assertEqual(len(found), 3 + 6 + 3)

    def test_channels(self):
        """Each channel is a connection of its own."""
        first, second = frames(TALK[:2]), [frame._replace(channel=1) for frame in frames(TALK[:2])[2:-1]]
        ports = {unpack(">HH", packet[34:38]) for _, packet in packets(self.capture(first[:-1] + second + first[-1:]))}
        self.assertEqual(ports, {(50123, 5432), (5432, 50123), (50124, 5432), (5432, 50124)})

    def test_noEnd(self):
        """A session that lives, or was never used."""
        self.assertEqual(len(packets(self.capture(frames(done=False)))), 3 + 6)
        self.assertEqual(len(blocks(self.capture([]))), 2)
        self.assertEqual(packets(self.capture(frames([]))), [])

    @given(foreign(), st.lists(st.sampled_from([0, 1, 10**9, (1 << 63) - 1, (1 << 64) - 1]), max_size=4))
    @settings(max_examples=200, deadline=None)
    def test_forged(self, head, times):
        """Whatever stands in HEAD and whatever time frames have: blocks that are whole, the bytes that were said, times that fit."""
        found = frames(TALK[:2])
        for number, at in enumerate(times):
            found[-1:-1] = [found[2]._replace(at=at, channel=number)]
        data = written(Capture(head, "hoopx 1"), found)
        self.assertEqual([kind for kind, _ in blocks(data)[:2]], [0x0A0D0D0A, 1])
        spoken = b""
        for _, packet in packets(data):
            size = 54 if packet[12:14] == b"\x08\0" else 74
            self.assertGreater(min(unpack(">HH", packet[size - 20 : size - 16])), 0)
            spoken += packet[size:]
        self.assertEqual(spoken, TALK[0][2] + TALK[1][2] + TALK[0][2] * len(times))

    def test_manyChannels(self):
        """Channels without end are not kept in mind: the oldest one is told to have ended, and may begin again."""
        self.patch(pcapng, "CHANNELS", 2)
        first, *_ = frames(TALK[:1])[2:]
        found = [first._replace(channel=number % 3) for number in range(6)]
        self.assertEqual(len(packets(self.capture([*frames([], done=False), *found]))), 6 * 4 + 4 * 3)
