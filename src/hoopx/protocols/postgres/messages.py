# -*- test-case-name: tests.protocols.postgres.test_codec -*-
"""
PostgreSQL messages, built and read (PostgreSQL documentation, "Message Formats").

Builders return whole messages with type and length; readers take whole messages and raise L{ProtocolViolation}.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import Final, Mapping

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres.codec import CANCEL_REQUEST, SSL_REQUEST

_u32 = Struct(">I")
_i32 = Struct(">i").unpack_from
_u16 = Struct(">H").unpack_from

VERSION_3_0: Final = 0x30000
VERSION_3_2: Final = 0x30002

SSL_REQUEST_PACKET: Final = _u32.pack(8) + _u32.pack(SSL_REQUEST)
AUTHENTICATION_CLEARTEXT: Final = b"R\x00\x00\x00\x08\x00\x00\x00\x03"

# Authentication request codes.
OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12


def message(kind: bytes, body: bytes) -> bytes:
    return kind + _u32.pack(len(body) + 4) + body


def startup(version: int, parameters: Mapping[str, str]) -> bytes:
    """A StartupMessage. Values are sent as UTF-8."""
    pairs = b"".join(key.encode() + b"\0" + value.encode("utf-8", "surrogateescape") + b"\0" for key, value in parameters.items())
    body = _u32.pack(version) + pairs + b"\0"
    return _u32.pack(len(body) + 4) + body


def cancelRequest(process: int, secret: bytes) -> bytes:
    return _u32.pack(12 + len(secret)) + _u32.pack(CANCEL_REQUEST) + _u32.pack(process) + secret


def backendKeyData(process: int, secret: bytes) -> bytes:
    return message(b"K", _u32.pack(process) + secret)


def negotiateProtocolVersion(version: int, unknown: list[str]) -> bytes:
    """The whole version, as servers send it, though the documentation says minor."""
    names = b"".join(name.encode() + b"\0" for name in unknown)
    return message(b"v", _u32.pack(version) + _u32.pack(len(unknown)) + names)


def fields(kind: bytes, severity: str, code: str, text: str, detail: str = "", hint: str = "") -> bytes:
    """An ErrorResponse (C{b"E"}) or NoticeResponse (C{b"N"})."""
    parts = [("S", severity), ("V", severity), ("C", code), ("M", text), ("D", detail), ("H", hint)]
    body = b"".join(name.encode() + _clean(value) + b"\0" for name, value in parts if value)
    return message(kind, body + b"\0")


def query(text: bytes) -> bytes:
    return message(b"Q", text + b"\0")


def parse(name: bytes, text: bytes) -> bytes:
    return message(b"P", name + b"\0" + text + b"\0\0\0")


def bind(portal: bytes, statement: bytes) -> bytes:
    return message(b"B", portal + b"\0" + statement + b"\0" + bytes(6))


def execute(portal: bytes, rows: int = 0) -> bytes:
    return message(b"E", portal + b"\0" + _u32.pack(rows))


def password(secret: bytes) -> bytes:
    return message(b"p", secret + b"\0")


def saslInitial(mechanism: str, data: bytes) -> bytes:
    return message(b"p", mechanism.encode() + b"\0" + _u32.pack(len(data)) + data)


def saslResponse(data: bytes) -> bytes:
    return message(b"p", data)


def readStartup(raw: bytes) -> tuple[int, dict[str, str]]:
    """@return: (version or request code, parameters)"""
    code = _u32.unpack_from(raw, 4)[0]
    if code >> 16 != 3:
        return code, {}
    parts = raw[8:].split(b"\0")
    if parts[-1] or len(parts) < 2 or parts[-2]:
        raise ProtocolViolation("the startup packet's parameters do not end as they should")
    parts = parts[:-2]
    if len(parts) % 2:
        raise ProtocolViolation("the startup packet has a parameter without a value")
    parameters = {}
    for key, value in zip(parts[::2], parts[1::2]):
        if not key.isascii() or not key:
            raise ProtocolViolation("the startup packet has a parameter whose name can not be one")
        name = key.decode("ascii")
        if name in parameters:
            raise ProtocolViolation("the startup packet names a parameter twice")
        parameters[name] = value.decode("utf-8", "surrogateescape")
    return code, parameters


def readCancel(raw: bytes) -> tuple[int, bytes]:
    """@return: (process, secret)"""
    if not 16 <= len(raw) <= 12 + 256:
        raise ProtocolViolation("the cancel request has no key")
    return _u32.unpack_from(raw, 8)[0], raw[12:]


def readPassword(raw: bytes) -> bytes:
    body = raw[5:]
    if not body.endswith(b"\0") or b"\0" in body[:-1]:
        raise ProtocolViolation("the password message is not one string")
    return body[:-1]


def readAuthentication(raw: bytes) -> tuple[int, bytes]:
    """@return: (code, rest)"""
    if len(raw) < 9:
        raise ProtocolViolation("an authentication request without a code")
    return _i32(raw, 5)[0], raw[9:]


def readKeyData(raw: bytes) -> tuple[int, bytes]:
    if not 13 <= len(raw) <= 9 + 256:
        raise ProtocolViolation("the target's cancel key has no allowed length")
    return _u32.unpack_from(raw, 5)[0], raw[9:]


def readStrings(raw: bytes, count: int) -> tuple[list[bytes], int]:
    """@return: the first C{count} strings of the body, and where they end in C{raw}."""
    position, found = 5, []
    for _ in range(count):
        end = raw.find(b"\0", position)
        if end < 0:
            raise ProtocolViolation("a string has no end")
        found.append(raw[position:end])
        position = end + 1
    return found, position


def readFields(raw: bytes) -> dict[str, str]:
    """An ErrorResponse's or NoticeResponse's fields by their one-letter names."""
    found = {}
    for part in raw[5:].split(b"\0"):
        if part:
            found[part[:1].decode("latin-1")] = part[1:].decode("utf-8", "replace")
    return found


def readBind(raw: bytes) -> tuple[bytes, bytes, list[int], list[bytes | None]]:
    """@return: (portal, statement, parameter formats, parameters)"""
    (portal, statement), position = readStrings(raw, 2)
    try:
        count = _u16(raw, position)[0]
        formats = [_u16(raw, position + 2 + 2 * index)[0] for index in range(count)]
        position += 2 + 2 * count
        count = _u16(raw, position)[0]
        position += 2
        parameters: list[bytes | None] = []
        for _ in range(count):
            length = _i32(raw, position)[0]
            position += 4
            if length < 0:
                parameters.append(None)
                continue
            if position + length > len(raw):
                raise ProtocolViolation("a parameter is longer than its message")
            parameters.append(raw[position : position + length])
            position += length
    except StructError as error:
        raise ProtocolViolation("a Bind message is cut off") from error
    return portal, statement, formats, parameters


def _clean(value: str) -> bytes:
    """Text for a field: no NUL, which would end it early."""
    return value.replace("\0", " ").encode("utf-8", "replace")
