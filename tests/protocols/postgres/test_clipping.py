"""
The part of L{hoopx.protocols.postgres.codec} that only readers use: large messages are clipped.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres.codec import ALL, CLIENT_KINDS, MessageCodec
from hoopx.protocols.postgres.messages import message, query

LIMIT = 40


def units(pieces: list[bytes]) -> list[tuple]:
    """Cut units; runs that follow each other are one, as their borders depend on the splits."""
    codec = MessageCodec(ALL, ALL, LIMIT, clip=True)
    found: list[tuple] = []
    for piece in pieces:
        for kind, raw in codec.feed(piece):
            if kind is None and found and found[-1][0] is None:
                found[-1] = (None, found[-1][1] + raw)
            else:
                found.append((kind, raw))
    return found


class ClippingTests(SynchronousTestCase):
    def test_clipped(self) -> None:
        raw = query(b"x" * 100)
        self.assertEqual(units([raw + query(b"y")]), [(b"Q", raw[:LIMIT]), (None, raw[LIMIT:]), (b"Q", query(b"y"))])

    @given(some.lists(some.integers(0, 100), min_size=1, max_size=6), some.lists(some.integers(1, 50), min_size=1, max_size=4))
    def test_everySplit(self, bodies: list[int], sizes: list[int]) -> None:
        stream = b"".join(message(b"d", bytes([65 + number]) * size) for number, size in enumerate(bodies))
        pieces, position, turn = [], 0, 0
        while position < len(stream):
            size = sizes[turn % len(sizes)]
            pieces.append(stream[position : position + size])
            position += size
            turn += 1
        whole = units([stream])
        self.assertEqual(units(pieces), whole)
        self.assertEqual(b"".join(raw for _, raw in whole), stream)
        self.assertLessEqual(max(len(raw) for kind, raw in whole if kind), LIMIT + 1)

    def test_violationKeepsWhatWasWhole(self) -> None:
        codec = MessageCodec(ALL, CLIENT_KINDS)
        violation = self.assertRaises(ProtocolViolation, codec.feed, query(b"a") + b"\xff\xff\xff\xff\xff")
        self.assertEqual(list(violation.units), [(b"Q", query(b"a"))])
