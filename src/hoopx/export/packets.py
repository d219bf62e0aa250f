# -*- test-case-name: tests.export.test_packets -*-
"""
Ethernet, IP and TCP around bytes that were recorded above them: RFC 791, 8200 and 9293, with right checksums and sequence numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack
from typing import Any, Final

from hoopx.heading import endpoint

FIN: Final = 1
SYN: Final = 2
PSH: Final = 8
ACK: Final = 16

PIECE: Final = 16 * 1024
"""Bytes of payload in one packet: more than a network card sends, as captures on a host see it; few enough for every length field."""
WINDOW: Final = 65535
TCP: Final = 6

CLIENT_MAC: Final = bytes.fromhex("020000000001")
SERVER_MAC: Final = bytes.fromhex("020000000002")
"""Locally administered: nobody's."""

SERVER4: Final = ip_address("192.0.2.1")
SERVER6: Final = ip_address("2001:db8::1")
CLIENT4: Final = ip_address("192.0.2.2")
"""Addresses for documentation (RFC 5737, 3849): the gateway's own is not recorded, nor has a client on a Unix socket one."""
CLIENT_PORT: Final = 49152

Address = tuple["IPv4Address | IPv6Address", int]


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071): as a number to the base 65536, modulo 65535, is the sum of its digits with end-around carry."""
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big")
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


def addresses(client: Any, channel: int, port: int) -> tuple[Address, Address]:
    """
    @param client: as HEAD has it: C{host:port}.
    @param channel: each of a session's has a connection of its own, with the client's port and so many more.
    @param port: the server's.
    @return: the client's and the gateway's address and port.
    """
    address, own = endpoint(client) or (CLIENT4, CLIENT_PORT)
    server = SERVER4 if address.version == 4 else SERVER6
    return (address, (own + channel - 1) % 0xFFFF + 1 if own + channel else CLIENT_PORT), (server, port)


class Conversation:
    """One TCP connection, seen from the middle. Sequence numbers of both sides begin at 0, so that they are offsets in the stream."""

    def __init__(self, client: Address, server: Address) -> None:
        self._ends = (client, server)
        self._macs = (CLIENT_MAC, SERVER_MAC)
        self._next = [0, 0]
        self._ident = 0

    def opening(self) -> Iterator[bytes]:
        """SYN, SYN and ACK, ACK."""
        yield self._packet(0, SYN)
        yield self._packet(1, SYN | ACK)
        yield self._packet(0, ACK)

    def say(self, side: int, payload: bytes) -> Iterator[bytes]:
        """@param side: 0 the client, 1 the gateway."""
        for at in range(0, len(payload), PIECE):
            last = at + PIECE >= len(payload)
            yield self._packet(side, ACK | PSH if last else ACK, payload[at : at + PIECE])

    def closing(self) -> Iterator[bytes]:
        yield self._packet(0, FIN | ACK)
        yield self._packet(1, FIN | ACK)
        yield self._packet(0, ACK)

    def _packet(self, side: int, flags: int, payload: bytes = b"") -> bytes:
        (source, sport), (target, dport) = self._ends[side], self._ends[1 - side]
        number = self._next[side] & 0xFFFFFFFF
        acknowledged = self._next[1 - side] & 0xFFFFFFFF if flags & ACK else 0
        self._next[side] += len(payload) + bool(flags & (SYN | FIN))
        head = pack(">HHIIBBHHH", sport, dport, number, acknowledged, 5 << 4, flags, WINDOW, 0, 0)
        size = len(head) + len(payload)
        if source.version == 4:
            pseudo = source.packed + target.packed + pack(">BBH", 0, TCP, size)
        else:
            pseudo = source.packed + target.packed + pack(">II", size, TCP)
        head = head[:16] + pack(">H", checksum(pseudo + head + payload)) + head[18:]
        macs = self._macs[1 - side] + self._macs[side]
        if source.version == 6:
            return macs + b"\x86\xdd" + pack(">IHBB", 6 << 28, size, TCP, 64) + source.packed + target.packed + head + payload
        self._ident = (self._ident + 1) & 0xFFFF
        outer = pack(">BBHHHBBH", 0x45, 0, 20 + size, self._ident, 0x4000, 64, TCP, 0) + source.packed + target.packed
        outer = outer[:10] + pack(">H", checksum(outer)) + outer[12:]
        return macs + b"\x08\x00" + outer + head + payload
