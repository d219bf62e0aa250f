# -*- test-case-name: tests.test_preamble -*-
"""
What a load balancer says about a client before the client's own first byte: the PROXY protocol, versions 1 and 2
(https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).

Whoever may say it is believed: that is for the caller to decide, by the address of the connection itself.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final, NamedTuple

from hoopx.errors import ProtocolViolation

V1_START: Final = b"PROXY "
V1_LIMIT: Final = 107
"""Bytes of a line with its end: the longest that the protocol allows (§2.1)."""
V2_START: Final = b"\r\n\r\n\0\r\nQUIT\n"
V2_HEADER: Final = 16
V2_LIMIT: Final = 4096
"""Bytes of a binary header with what it carries besides: a client certificate fits, and nobody is kept waiting for 64 KiB."""

_V1: Final = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]{2,45}) ([0-9A-Fa-f.:]{2,45}) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_NONE: Final = (0x00, 0)
_UNIX: Final = (0x31, 216)
_FAMILIES: Final = {0x11: (IPv4Address, Struct(">4s4sHH")), 0x21: (IPv6Address, Struct(">16s16sHH"))}
_size: Final = Struct(">H").unpack_from


class Client(NamedTuple):
    """Where a client really is."""

    host: str
    port: int


class Preamble:
    """
    Reads one header, whatever the splits of what is fed.

    @ivar client: the L{Client} of a header that names one; C{None} when it says that the balancer speaks for itself (LOCAL: a health
        check), does not know (UNKNOWN, UNSPEC), or that the client came to it by a Unix socket.
    """

    __slots__ = ("_buffer", "client")

    def __init__(self) -> None:
        self._buffer = b""
        self.client: Client | None = None

    def feed(self, data: bytes) -> bytes | None:
        """
        @param data: the next bytes.
        @return: C{None} while the header is not whole; then what followed it, which is the client's.
        @raise ProtocolViolation: this is no header. What is kept back is never more than L{V2_LIMIT} bytes.
        """
        buffer = self._buffer = self._buffer + data
        if buffer.startswith(V1_START):
            return self._line(buffer)
        if buffer.startswith(V2_START):
            return self._binary(buffer)
        if V1_START.startswith(buffer) or V2_START.startswith(buffer):
            return None
        raise ProtocolViolation("no PROXY header, where one has to come first")

    def _line(self, buffer: bytes) -> bytes | None:
        end = buffer.find(b"\n", 0, V1_LIMIT) + 1
        if not end:
            if len(buffer) >= V1_LIMIT:
                raise ProtocolViolation(f"a PROXY line is longer than {V1_LIMIT} bytes")
            return None
        line, self._buffer = buffer[:end], b""
        if not (line.startswith(b"PROXY UNKNOWN") and line[13:14] in (b" ", b"\r") and line.endswith(b"\r\n")):
            match = _V1.fullmatch(line)
            if match is None:
                raise ProtocolViolation("a PROXY line is malformed")
            kind = IPv4Address if match[1] == b"TCP4" else IPv6Address
            try:
                source, _ = (kind(match[group].decode("ascii")) for group in (2, 3))
            except ValueError:
                raise ProtocolViolation("a PROXY line holds no address of its family") from None
            ports = int(match[4]), int(match[5])
            if max(ports) > 0xFFFF:
                raise ProtocolViolation("a PROXY line holds no port")
            self.client = _client(source, ports[0])
        return buffer[end:]

    def _binary(self, buffer: bytes) -> bytes | None:
        if len(buffer) < V2_HEADER:
            return None
        command, family = buffer[12], buffer[13]
        end = V2_HEADER + _size(buffer, 14)[0]
        if command not in (_LOCAL, _PROXY):
            raise ProtocolViolation(f"a PROXY header of an unknown version or command ({command:#04x})")
        if end > V2_LIMIT:
            raise ProtocolViolation(f"a PROXY header of {end} bytes is longer than {V2_LIMIT}")
        if len(buffer) < end:
            return None
        self._buffer = b""
        if command == _PROXY and family in _FAMILIES:
            kind, shape = _FAMILIES[family]
            if end - V2_HEADER < shape.size:
                raise ProtocolViolation("a PROXY header is too short for its addresses")
            source, _, port, _ = shape.unpack_from(buffer, V2_HEADER)
            self.client = _client(kind(source), port)
        elif command == _PROXY and not any(family == known and end - V2_HEADER >= least for known, least in (_NONE, _UNIX)):
            # Datagrams have no connection that could be handed on.
            raise ProtocolViolation(f"a PROXY header of a family that is not known here ({family:#04x})")
        return buffer[end:]


def _client(address: IPv4Address | IPv6Address, port: int) -> Client:
    """One client has one spelling, whichever family its balancer listens with."""
    mapped = getattr(address, "ipv4_mapped", None)
    return Client(str(mapped or address), port)
