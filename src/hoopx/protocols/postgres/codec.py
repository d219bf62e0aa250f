# -*- test-case-name: tests.protocols.postgres.test_codec -*-
"""
Bytes to messages (PostgreSQL documentation, "Message Formats").

A message is a type byte, a length (u32, counting itself) and a body. Two things are framed otherwise: what a client says before
its session begins (no type byte), and the answer to an SSLRequest (one bare byte).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from zope.interface import implementer

from hoopx.errors import ProtocolViolation
from hoopx.interfaces import IWireCodec

CANCEL_REQUEST: Final = 80877102
SSL_REQUEST: Final = 80877103
GSSENC_REQUEST: Final = 80877104

MAX_STARTUP: Final = 10_000
"""Bytes of a startup packet: the server's own limit (MAX_STARTUP_PACKET_LENGTH)."""
MAX_PASSWORD: Final = 64 * 1024
"""Bytes of a password message: a JWT with many groups is some 10 KB."""
MAX_UNIT: Final = 16 * 1024 * 1024
"""Bytes of a message that must be held whole to be understood. Messages nobody cuts out have no limit but the protocol's."""
MAX_MESSAGE: Final = 0x3FFFFFFF
"""Bytes of any message: the server's own limit (PQ_LARGE_MESSAGE_LIMIT)."""

ALL: Final = frozenset(bytes([kind]) for kind in range(256))
"""As an interest: every message is cut out."""
CLIENT_KINDS: Final = frozenset(bytes([kind]) for kind in b"BCDEFHPQSXcdfp")
TARGET_KINDS: Final = frozenset(bytes([kind]) for kind in b"123ACDEGHIKNRSTVWZcdnstv")

HANDSHAKE: Final = b"\x16"
"""First byte of a TLS ClientHello (RFC 8446 §5.1). A startup packet's length never begins with it."""

BULK: Final = 64 * 1024
"""Bytes of one read from which on a stream that nobody asks anything of is not walked: 73 ns for every row, a third of what a COPY
costs the gateway."""
READY: Final = b"Z\x00\x00\x00\x05"
"""All of ReadyForQuery but its last byte, the transaction's state."""

_u32 = Struct(">I").unpack_from
_header = Struct(">cI").unpack_from


@implementer(IWireCodec)
class MessageCodec:
    """
    Messages of one direction.

    @param interest: kinds (bytes of length 1) to cut out whole.
    @param kinds: kinds that are allowed at all; anything else is a violation.
    @param limit: bytes of a message that may be kept back.
    @param clip: a wanted message that is larger than the limit is no violation: its first C{limit} bytes are the unit, the rest is
        an uncut run (for readers of what has been recorded).
    """

    __slots__ = ("_clip", "_interest", "_kinds", "_need", "_partial", "_plain", "_skip", "_skipped", "_table", "limit")

    def __init__(
        self, interest: frozenset | set = ALL, kinds: frozenset = ALL, limit: int = MAX_UNIT, clip: bool = False
    ) -> None:
        self._kinds = kinds
        self.limit = limit
        self._clip = clip
        self._skip = self._skipped = 0
        self._need = 0
        self._partial: bytes | bytearray = b""
        self.interest = interest

    @property
    def interest(self) -> frozenset | set:
        return self._interest

    @interest.setter
    def interest(self, interest: frozenset | set) -> None:
        self._interest = interest
        self._table = _table(frozenset(interest), self._kinds)
        self._plain = self._kinds - self._interest

    @property
    def atBoundary(self) -> bool:
        return not self._skip

    @property
    def wasAtBoundary(self) -> bool:
        return not self._skipped

    @property
    def buffered(self) -> int:
        return len(self._partial)

    def residue(self) -> bytes:
        """@return: bytes that never became a unit, at the end of the stream."""
        return bytes(self._partial)

    def feed(self, data: bytes) -> list:
        self._skipped = self._skip
        if self._partial:
            if len(self._partial) + len(data) < self._need:
                if type(self._partial) is bytes:
                    self._partial = bytearray(self._partial)
                self._partial += data  # type: ignore[operator]
                return []
            data = bytes(self._partial) + data
            self._partial = b""
        size = len(data)
        position = self._skip
        if position >= size:
            self._skip = position - size
            return [(None, data)]
        table = self._table
        start = 0
        units: list = []
        plain = self._plain
        last = size - 5
        while position <= last:
            kind, length = _header(data, position)
            if kind in plain and 4 <= length <= MAX_MESSAGE:
                # The path of rows and COPY data: nothing but walking from header to header.
                position += length + 1
                continue
            end = position + 1 + length
            wanted = table.get(kind)
            if wanted is None or length < 4 or length > MAX_MESSAGE:
                raise _violation(f"no PostgreSQL message: type {kind!r}, length {length}", units)
            if wanted:
                if start < position:
                    units.append((None, data[start:position]))
                start = position
                if length > self.limit and self._clip:
                    if size - position <= self.limit:
                        break
                    start += self.limit
                    units.append((kind, data[position:start]))
                    position = end
                    if end < size:
                        continue
                    self._skip = end - size
                    if start < size:
                        units.append((None, data[start:]))
                    return units
                if end > size:
                    if length > self.limit:
                        raise _violation(f"message {kind!r} of {length} bytes is larger than {self.limit} can be understood", units)
                    break
                units.append((kind, data[position:end]))
                start = end
            position = end
        if position > size:
            self._skip = position - size
            units.append((None, data[start:] if start else data))
            return units
        self._skip = 0
        if position < size:
            # A header that is not whole, or a wanted message that is not.
            if start < position:
                units.append((None, data[start:position]))
            self._partial = data[position:]
            self._need = min(_header(data, position)[1] + 1, self.limit + 1) if size - position >= 5 else 5
        elif start < size:
            units.append((None, data[start:] if start else data))
        return units


@implementer(IWireCodec)
class RelayedCodec:
    """
    What a server says while nobody asks for any of it: passed on as it comes, nothing is kept back and nothing refused.

    Where its messages end is still followed, so that words of the gateway's own can be put between two of them: by ReadyForQuery at
    the end of what came, else from header to header while little comes; inside of bulk it is not known.
    """

    __slots__ = ("_part", "_skip", "interest")

    buffered = 0

    def __init__(self) -> None:
        self.interest: frozenset = frozenset()
        self._skip = 0  # bytes of the last message that are still to come; -1: not known
        self._part = b""  # of the last message's header; when it is not known where messages end, the stream's last 5 bytes

    @property
    def atBoundary(self) -> bool:
        return not self._skip and not self._part

    def residue(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> list:
        if data[-6:-1] == READY and self._skip <= len(data) - 6:
            self._skip = 0
            self._part = b""
        else:
            self._walk(data)
        return [(None, data)]

    def _walk(self, data: bytes) -> None:
        position, size = self._skip, len(data)
        if position < 0 or size >= BULK:
            self._lost(data)
            return
        if position >= size:
            self._skip = position - size
            return
        if self._part:
            data = self._part + data
            size = len(data)
            self._part = b""
        last = size - 5
        while position <= last:
            kind, length = _header(data, position)
            if kind not in TARGET_KINDS or not 4 <= length <= MAX_MESSAGE:
                self._lost(data)
                return
            position += length + 1
        if position >= size:
            self._skip = position - size
        else:
            self._skip = 0
            self._part = data[position:]

    def _lost(self, data: bytes) -> None:
        # A ReadyForQuery may come in two parts.
        tail = (self._part + data[-6:])[-6:]
        ready = tail[:-1] == READY
        self._skip = 0 if ready else -1
        self._part = b"" if ready else tail[-5:]


@implementer(IWireCodec)
class StartupCodec:
    """
    What a client says first: packets without a type byte, until one of them is a StartupMessage, then messages. Every unit is cut
    out, and a packet that asks for encryption must be answered before anything may follow.
    """

    __slots__ = ("_buffer", "_fresh", "interest", "messages")

    def __init__(self) -> None:
        self.interest = ALL
        self._buffer = bytearray()
        self._fresh = True
        self.messages: MessageCodec | None = None

    atBoundary = wasAtBoundary = True

    @property
    def buffered(self) -> int:
        return self.messages.buffered if self.messages else len(self._buffer)

    def residue(self) -> bytes:
        return self.messages.residue() if self.messages else bytes(self._buffer)

    def feed(self, data: bytes) -> list:
        if self.messages is not None:
            return self.messages.feed(data)
        if self._fresh:
            self._fresh = False
            if data[:1] == HANDSHAKE:
                return [("tls", data)]
        buffer = self._buffer
        buffer += data
        if len(buffer) < 8:
            return []
        length, code = _u32(buffer)[0], _u32(buffer, 4)[0]
        if not 8 <= length <= MAX_STARTUP:
            raise ProtocolViolation(f"no PostgreSQL startup packet: length {length} is not between 8 and {MAX_STARTUP}")
        if len(buffer) < length:
            return []
        raw, rest = bytes(buffer[:length]), bytes(buffer[length:])
        buffer.clear()
        if code in (SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST):
            if rest:
                # CVE-2021-23214: bytes sent in the clear must not be taken for bytes under TLS.
                raise ProtocolViolation("unencrypted data follows a request for encryption")
            return [("startup", raw)]
        self.messages = MessageCodec(ALL, CLIENT_KINDS, MAX_PASSWORD)
        return [("startup", raw), *(self.messages.feed(rest) if rest else [])]


@implementer(IWireCodec)
class AnswerCodec:
    """The answer to an SSLRequest: one bare byte and nothing behind it (CVE-2021-23222)."""

    __slots__ = ("interest",)

    atBoundary = wasAtBoundary = True
    buffered = 0

    def __init__(self) -> None:
        self.interest = ALL

    def residue(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> list:
        if len(data) > 1 and data[:1] == b"S":
            raise ProtocolViolation("the target sent unencrypted data behind its answer to the request for TLS")
        if data[:1] not in (b"S", b"N", b"E"):
            raise ProtocolViolation("the target's answer to the request for TLS is not one of PostgreSQL's: is it PostgreSQL?")
        return [("answer", data)]


def _violation(text: str, units: list) -> ProtocolViolation:
    """C{units} of the violation: what was whole before it."""
    violation = ProtocolViolation(text)
    violation.units = units
    return violation


_tables: dict = {}


def _table(interest: frozenset, kinds: frozenset) -> dict:
    """Kind -> wanted or not, absent when not allowed. Shared by all codecs: there are few combinations."""
    key = (interest, kinds)
    if key not in _tables:
        _tables[key] = {kind: kind in interest for kind in kinds}
    return _tables[key]
