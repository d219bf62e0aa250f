"""
L{hoopx.preamble}: headers as balancers write them, at every split; and what is no header.
"""

from __future__ import annotations

from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation
from hoopx.preamble import V1_LIMIT, V2_LIMIT, V2_START, Client, Preamble


def binary(command: int, family: int, body: bytes) -> bytes:
    return V2_START + pack(">BBH", command, family, len(body)) + body


FOUR = bytes([192, 0, 2, 7]) + bytes([198, 51, 100, 1]) + pack(">HH", 56324, 443)
SIX = bytes.fromhex("20010db8000000000000000000000001") * 2 + pack(">HH", 4124, 443)
MAPPED = bytes.fromhex("00000000000000000000ffffc0000207") * 2 + pack(">HH", 1, 2)
TLV = b"\x04\0\x03abc"

GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Client("192.0.2.7", 56324)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Client("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:db8::1 2001:DB8::2 0 443\r\n", Client("2001:db8::1", 0)),
    (b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", Client("ffff:" * 7 + "ffff", 65535)),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 5 6\r\n", Client("192.0.2.7", 5)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", None),
    (binary(0x21, 0x11, FOUR), Client("192.0.2.7", 56324)),
    (binary(0x21, 0x11, FOUR + TLV), Client("192.0.2.7", 56324)),
    (binary(0x21, 0x21, SIX), Client("2001:db8::1", 4124)),
    (binary(0x21, 0x21, MAPPED), Client("192.0.2.7", 1)),
    (binary(0x21, 0x31, b"/run/x".ljust(216, b"\0")), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x21, 0x00, TLV), None),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, FOUR), None),
    (binary(0x21, 0x11, FOUR + bytes(V2_LIMIT - 16 - 12)), Client("192.0.2.7", 56324)),
]
"""Headers of the specification's examples and limits, and whom they name."""

BAD = [
    b"\0\0\0\x08\x04\xd2\x16\x2f",  # PostgreSQL's SSLRequest
    b"\x16\x03\x01",  # TLS
    b"proxy TCP4 ",
    b"PROXY\tTCP4",
    b"GET / HTTP/1.1\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 056324 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1 99999\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY UNKNOWNED\r\n",
    b"PROXY UNKNOWN\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN " + b"x" * V1_LIMIT,
    binary(0x11, 0x11, FOUR),
    binary(0x22, 0x11, FOUR),
    binary(0x21, 0x12, FOUR),  # UDP
    binary(0x21, 0x41, FOUR),
    binary(0x21, 0x11, FOUR[:-1]),
    binary(0x21, 0x21, SIX[:-1]),
    binary(0x21, 0x31, b"/run/x"),
    V2_START + b"\x21\x11" + pack(">H", V2_LIMIT - 15),
    V2_START + b"\x21\x11\xff\xff",
]


def read(pieces: list[bytes]) -> tuple[Client | None, bytes]:
    """@return: who, and what was the client's own, once all the pieces are fed."""
    preamble, rest = Preamble(), None
    for piece in pieces:
        if rest is None:
            rest = preamble.feed(piece)
        else:
            rest += piece
    assert rest is not None, "not whole"
    return preamble.client, rest


class PreambleTests(SynchronousTestCase):
    def test_everySplit(self) -> None:
        """Cut in two at every byte, and byte by byte; what follows is the client's, to the last byte."""
        for header, client in GOOD:
            for rest in (b"", b"\0", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n"):
                said = header + rest
                for cut in range(1, len(said), 1 if len(said) < 400 else 97):
                    self.assertEqual(read([said[:cut], said[cut:]]), (client, rest), (header[:60], cut))
                self.assertEqual(read([said[at : at + 1] for at in range(len(said))]), (client, rest))

    def test_notWhole(self) -> None:
        """As long as it may become one it is waited for, and nobody is named."""
        for header, _ in GOOD:
            for cut in range(1, len(header), 1 if len(header) < 400 else 97):
                preamble = Preamble()
                self.assertIsNone(preamble.feed(header[:cut]))
                self.assertIsNone(preamble.client)

    def test_malformed(self) -> None:
        """Whole or byte by byte: a violation, and nobody is named."""
        for said in BAD:
            for pieces in ([said], [said[at : at + 1] for at in range(len(said))]):
                preamble = Preamble()

                def feed(preamble: Preamble = preamble, pieces: list[bytes] = pieces) -> None:
                    for piece in pieces:
                        self.assertIsNone(preamble.feed(piece))

                self.assertRaises(ProtocolViolation, feed)
                self.assertIsNone(preamble.client, said)

    def test_early(self) -> None:
        """The first wrong byte is enough: a client without a header is not kept waiting for one."""
        for said in (b"\0", b"\x16", b"PROXI", b"\r\n\r\n\0\r\nQUIX"):
            self.assertRaises(ProtocolViolation, Preamble().feed, said)

    def test_bounded(self) -> None:
        """What can be kept back has an end, in both versions."""
        for start, limit in ((b"PROXY TCP4 ", V1_LIMIT), (V2_START + b"\x21\x11" + pack(">H", V2_LIMIT - 16), V2_LIMIT)):
            preamble, fed = Preamble(), len(start)
            self.assertIsNone(preamble.feed(start))
            try:
                while preamble.feed(b"1") is None:
                    fed += 1
                    self.assertLess(fed, limit + 1)
            except ProtocolViolation:
                pass

    @given(
        st.one_of(
            st.binary(max_size=64),
            st.binary(max_size=120).map(b"PROXY TCP4 ".__add__),
            st.binary(max_size=120).map(V2_START.__add__),
            st.sampled_from([header for header, _ in GOOD]).flatmap(
                lambda header: st.tuples(st.integers(0, len(header) - 1), st.integers(0, 255)).map(
                    lambda change: header[: change[0]] + bytes([change[1]]) + header[change[0] + 1 :]
                )
            ),
        ),
        st.lists(st.integers(1, 40), max_size=12),
    )
    def test_anything(self, said: bytes, sizes: list[int]) -> None:
        """Any bytes give a header or a violation, and the same ones however they are cut."""
        pieces, at = [], 0
        for size in sizes:
            pieces.append(said[at : at + size])
            at += size
        pieces.append(said[at:])

        def outcome(pieces: list[bytes]) -> object:
            try:
                return read([piece for piece in pieces if piece])
            except ProtocolViolation:
                return "violation"
            except AssertionError:
                return "not whole"

        self.assertEqual(outcome(pieces), outcome([said]))
