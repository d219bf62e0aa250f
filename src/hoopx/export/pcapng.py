# -*- test-case-name: tests.export.test_pcapng -*-
"""
A session as a packet capture (pcapng, draft-ietf-opsawg-pcapng): what client and gateway said to each other, as if it had been caught on
the wire, without TLS. Ethernet, IP and TCP around it are made up; bytes, order and times are the recording's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import pack
from typing import Any, Final

from hoopx.export.packets import Conversation, addresses
from hoopx.frames import DATA, DONE, RECOVERED
from hoopx.heading import moment, text
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET, Frame

PORTS: Final = {"postgres": 5432, "ssh": 22, "http": 80}
"""By which port Wireshark knows the protocol. Of others it is L{OTHER}: "decode as" tells it."""
OTHER: Final = 9999

ETHERNET: Final = 1
NANOSECONDS: Final = 9

LATEST: Final = (1 << 64) - 1
"""Nanoseconds since the epoch, in the year 2554: the format has 64 bits for them."""
CHANNELS: Final = 10_000
"""Open at once, more than any session has. When there are more, the oldest one is told to have ended."""

_SPOKEN: Final = {(CLIENT, PASSED): 0, (CLIENT, ATTEMPTED): 0, (TARGET, PASSED): 1, (TARGET, MADE): 1}
"""What the client has sent (0), and what it has received (1)."""


class Capture:
    """
    @param head: HEAD's object.
    @param program: who writes it, such as C{hoopx 1.0}.
    """

    def __init__(self, head: Mapping[str, Any], program: str) -> None:
        self._started = round(moment(head.get("started")) * 1_000_000) * 1000  # what a float can tell
        self._client = head.get("client")
        self._port = PORTS.get(text(head.get("protocol")) or "", OTHER)
        self._open: dict[int, Conversation] = {}
        self._at = 0
        session, target = text(head.get("session")), text(head.get("target"))
        said = f"session {session}, target {target}: the conversation of client and gateway as recorded; "
        comment = said + "TCP/IP headers are made up, and there was TLS outside of it if the recording says so"
        self._begin = _section(program, comment) + _interface()

    def feed(self, frame: Frame) -> bytes:
        begin, self._begin = self._begin, b""
        self._at = min(self._started + frame.at, LATEST)
        if frame.kind in (DONE, RECOVERED):
            return begin + self._close()
        side = _SPOKEN.get((frame.side, frame.origin)) if frame.kind == DATA else None
        if side is None or not frame.payload:
            return begin
        conversation = self._open.get(frame.channel)
        if conversation is None:
            if len(self._open) >= CHANNELS:
                begin += self._packets(self._open.pop(next(iter(self._open))).closing())
            conversation = Conversation(*addresses(self._client, frame.channel, self._port))
            self._open[frame.channel] = conversation
            begin += self._packets(conversation.opening())
        return begin + self._packets(conversation.say(side, frame.payload))

    def finish(self) -> bytes:
        """A session that has no end is left open."""
        begin, self._begin = self._begin, b""
        return begin

    def _close(self) -> bytes:
        ended, self._open = self._open, {}
        return b"".join(self._packets(conversation.closing()) for conversation in ended.values())

    def _packets(self, packets: Iterable[bytes]) -> bytes:
        return b"".join([_packet(self._at, packet) for packet in packets])


def _block(kind: int, body: bytes) -> bytes:
    size = pack("<I", len(body) + 12)
    return pack("<I", kind) + size + body + size


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return pack("<HH", code, len(value)) + _padded(value)


def _section(program: str, comment: str) -> bytes:
    options = _option(1, comment.encode()) + _option(4, program.encode()) + _option(0, b"")
    return _block(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def _interface() -> bytes:
    options = _option(2, b"hoopx") + _option(9, bytes((NANOSECONDS,))) + _option(0, b"")
    return _block(1, pack("<HHI", ETHERNET, 0, 0) + options)


def _packet(at: int, packet: bytes) -> bytes:
    return _block(6, pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(packet), len(packet)) + _padded(packet))
