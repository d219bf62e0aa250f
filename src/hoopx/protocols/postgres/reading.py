# -*- test-case-name: tests.protocols.postgres.test_reading -*-
"""
Reading messages of a session for the view: what L{messages} does not need for the relay (PostgreSQL documentation, "Message
Formats"). Readers take whole messages and raise L{ProtocolViolation}.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import Final, Mapping, NamedTuple

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres.encodings import decoded
from hoopx.protocols.postgres.messages import readStrings

_i32 = Struct(">i").unpack_from
_u32 = Struct(">I").unpack_from
_u16 = Struct(">H").unpack_from
_column = Struct(">IHIhiH").unpack_from

FIELDS: Final[Mapping[int, str]] = {
    ord("V"): "severity",
    ord("C"): "code",
    ord("M"): "message",
    ord("D"): "detail",
    ord("H"): "hint",
    ord("P"): "position",
    ord("p"): "internal_position",
    ord("q"): "internal_query",
    ord("W"): "where",
    ord("s"): "schema",
    ord("t"): "table",
    ord("c"): "column",
    ord("d"): "type",
    ord("n"): "constraint",
}
"""Fields of errors and notices worth showing; C{S} is the severity in the server's language, C{F L R} places in its source."""


class Column(NamedTuple):
    """One field of a RowDescription. C{format}: 0 text, 1 binary."""

    name: str
    oid: int
    format: int


class Bound(NamedTuple):
    """A Bind message."""

    portal: bytes
    statement: bytes
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    results: tuple[int, ...]


def size(raw: bytes) -> int:
    """Bytes of the message's body as its header says, also of a message that was clipped."""
    return int(_u32(raw, 1)[0]) - 4


def clipped(raw: bytes) -> bool:
    """C{True} when the codec gave only the beginning of the message."""
    return int(_u32(raw, 1)[0]) + 1 > len(raw)


def string(raw: bytes, position: int = 5) -> tuple[bytes, int]:
    """@return: a NUL-terminated string, and where the next field begins. One that is clipped goes to the end."""
    end = raw.find(b"\0", position)
    if end >= 0:
        return raw[position:end], end + 1
    if clipped(raw):
        return raw[position:], len(raw)
    raise ProtocolViolation("a string has no end")


def parse(raw: bytes) -> tuple[bytes, bytes, list[int]]:
    """@return: (statement name, text, types of parameters)"""
    name, position = string(raw)
    text, position = string(raw, position)
    if clipped(raw):
        return name, text, []
    return name, text, list(_numbers(raw, position, "I")[0])


def bind(raw: bytes) -> Bound:
    """A Bind message; of a clipped one the names alone."""
    (portal, statement), position = readStrings(raw, 2)
    if clipped(raw):
        return Bound(portal, statement, (), (), ())
    formats, position = _numbers(raw, position)
    values, position = _values(raw, position)
    return Bound(portal, statement, formats, values, _numbers(raw, position)[0])


def named(raw: bytes) -> tuple[bytes, bytes]:
    """A Describe or Close message. @return: (C{b"S"} or C{b"P"}, name)"""
    return raw[5:6], string(raw, 6)[0]


def function(raw: bytes) -> tuple[int, tuple[int, ...], tuple[bytes | None, ...]]:
    """A FunctionCall message. @return: (oid, formats, arguments)"""
    try:
        oid = _u32(raw, 5)[0]
    except StructError as error:
        raise ProtocolViolation("a FunctionCall without a function") from error
    if clipped(raw):
        return oid, (), ()
    formats, position = _numbers(raw, 9)
    return oid, formats, _values(raw, position)[0]


def rowDescription(raw: bytes, codec: str) -> list[Column]:
    """A RowDescription message."""
    columns = []
    try:
        count = _u16(raw, 5)[0]
        position = 7
        for _ in range(count):
            name, position = string(raw, position)
            _, _, oid, _, _, format = _column(raw, position)
            position += 18
            columns.append(Column(decoded(name, codec), oid, format))
    except StructError as error:
        raise ProtocolViolation("a RowDescription is cut off") from error
    return columns


def parameterDescription(raw: bytes) -> list[int]:
    """@return: types of a statement's parameters."""
    return list(_numbers(raw, 5, "I")[0])


def dataRow(raw: bytes) -> tuple[bytes | None, ...]:
    """Values of a DataRow message."""
    return _values(raw, 5)[0]


def value(raw: bytes) -> bytes | None:
    """The value of a FunctionCallResponse."""
    try:
        length = _i32(raw, 5)[0]
    except StructError as error:
        raise ProtocolViolation("a FunctionCallResponse is cut off") from error
    return None if length < 0 else raw[9 : 9 + length]


def notification(raw: bytes) -> tuple[int, bytes, bytes]:
    """@return: (process id, channel, payload)"""
    try:
        process = _u32(raw, 5)[0]
    except StructError as error:
        raise ProtocolViolation("a NotificationResponse is cut off") from error
    channel, position = string(raw, 9)
    return process, channel, string(raw, position)[0]


def fields(raw: bytes, codec: str) -> dict[str, str]:
    """An ErrorResponse's or NoticeResponse's fields by name: C{severity}, C{code}, C{message}, ..."""
    found = {}
    for part in raw[5:].split(b"\0"):
        if part and part[0] in FIELDS:
            found[FIELDS[part[0]]] = decoded(part[1:], codec)
    return found


def _numbers(raw: bytes, position: int, kind: str = "H") -> tuple[tuple[int, ...], int]:
    """A count u16 and that many numbers."""
    try:
        count = _u16(raw, position)[0]
        numbers = Struct(f">{count}{kind}")
        return numbers.unpack_from(raw, position + 2), position + 2 + numbers.size
    except StructError as error:
        raise ProtocolViolation("a message is cut off") from error


def _values(raw: bytes, position: int) -> tuple[tuple[bytes | None, ...], int]:
    """A count u16 and that many values with their lengths; what a clipped message lacks is left out."""
    values: list[bytes | None] = []
    try:
        count = _u16(raw, position)[0]
        position += 2
        for _ in range(count):
            length = _i32(raw, position)[0]
            position += 4
            if length < 0:
                values.append(None)
                continue
            end = position + length
            if end > len(raw) and not clipped(raw):
                raise ProtocolViolation("a value is longer than its message")
            values.append(raw[position:end])
            position = end
    except StructError as error:
        if not clipped(raw):
            raise ProtocolViolation("a message is cut off") from error
    return tuple(values), position
