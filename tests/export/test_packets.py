"""Headers around recorded bytes: checksums by the rule itself, sequence numbers, addresses."""

from __future__ import annotations

from ipaddress import ip_address
from struct import unpack

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.export.packets import CLIENT4, CLIENT_PORT, PIECE, SERVER4, SERVER6, Conversation, addresses, checksum


def folded(data):
    """RFC 1071 as it is written: 16 bits at a time, the carry around the end."""
    total = 0
    for (word,) in zip(unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class PacketTests(SynchronousTestCase):
    @given(st.binary(max_size=200))
    def test_checksum(self, data):
        self.assertEqual(checksum(data), folded(data))

    def test_checksumEdges(self):
        for data in (b"", b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\0" * 20):
            self.assertEqual(checksum(data), folded(data))

    def conversation(self, client="198.51.100.7:50123"):
        talk = Conversation(*addresses(client, 0, 5432))
        return [*talk.opening(), *talk.say(0, b"question"), *talk.say(1, b"x" * (PIECE + 1)), *talk.closing()]

    def test_valid4(self):
        """Summed with their checksums, IP header and segment with pseudo header give zero."""
        for packet in self.conversation():
            outer, segment = packet[14:34], packet[34:]
            self.assertEqual(folded(outer), 0)
            self.assertEqual(folded(outer[12:20] + bytes((0, 6)) + len(segment).to_bytes(2, "big") + segment), 0)
            self.assertEqual(int.from_bytes(outer[2:4], "big"), len(packet) - 14)

    def test_valid6(self):
        for packet in self.conversation("2001:db8::7:50123"):
            outer, segment = packet[14:54], packet[54:]
            self.assertEqual(packet[12:14], b"\x86\xdd")
            self.assertEqual(folded(outer[8:40] + len(segment).to_bytes(4, "big") + bytes((0, 0, 0, 6)) + segment), 0)
            self.assertEqual(int.from_bytes(outer[4:6], "big"), len(segment))

    def test_sequence(self):
        """Each side's numbers count its bytes, SYN and FIN; each acknowledges all of the other's."""
        found = []
        for packet in self.conversation():
            sport, dport, number, acknowledged = unpack(">HHII", packet[34:46])
            found.append((sport, number, acknowledged, packet[47], len(packet) - 54))
        self.assertEqual(
            found,
            [
                (50123, 0, 0, 2, 0), (5432, 0, 1, 18, 0), (50123, 1, 1, 16, 0), (50123, 1, 1, 24, 8), (5432, 1, 9, 16, PIECE),
                (5432, 1 + PIECE, 9, 24, 1), (50123, 9, PIECE + 2, 17, 0), (5432, PIECE + 2, 10, 17, 0), (50123, 10, PIECE + 3, 16, 0),
            ],
        )  # fmt: skip

    def test_wraps(self):
        """Sequence numbers of a long session begin anew after 4 GiB."""
        talk = Conversation(*addresses("198.51.100.7:50123", 0, 5432))
        talk._next = [0xFFFFFFFF, 0]
        first, second = [*talk.say(0, b"ab"), *talk.say(0, b"c")]
        self.assertEqual((unpack(">I", first[38:42])[0], unpack(">I", second[38:42])[0]), (0xFFFFFFFF, 1))

    def test_addresses(self):
        self.assertEqual(addresses("198.51.100.7:5", 0, 22), ((ip_address("198.51.100.7"), 5), (SERVER4, 22)))
        self.assertEqual(addresses("198.51.100.7:65535", 2, 22)[0][1], 2)
        self.assertEqual(addresses("fe80::1%eth0:5", 0, 22), ((ip_address("fe80::1"), 5), (SERVER6, 22)))
        for nobody in ("unix:0", None, "", "x"):
            self.assertEqual(addresses(nobody, 0, 22), ((CLIENT4, CLIENT_PORT), (SERVER4, 22)))
