# -*- test-case-name: tests.protocols.postgres.test_types -*-
"""
Values of PostgreSQL's types as text, from the text and from the binary format.

Formats: the C{*_send} functions of PostgreSQL's C{src/backend/utils/adt}. Binary values are written as the server writes them in
text format with C{DateStyle = ISO} and C{TimeZone = UTC}; what is not known here becomes C{"\\x..."}.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Callable, Final, Mapping
from uuid import UUID

from hoopx.protocols.postgres.encodings import decoded
from hoopx.protocols.postgres.moments import date, interval, time, timestamp, timestampTZ, timeTZ
from hoopx.protocols.postgres.numbers import float4, float8, money, numeric

Decoder = Callable[[bytes, str], str]

ARRAY_DIMENSIONS: Final = 6
"""PostgreSQL's own MAXDIM."""


def hexadecimal(data: bytes) -> str:
    """Bytes as PostgreSQL writes a bytea."""
    return "\\x" + data.hex()


def _integer(format: str) -> Decoder:
    unpack = struct.Struct(format).unpack
    return lambda data, codec: str(unpack(data)[0])


def _strictly(data: bytes, codec: str) -> str:
    return data.decode(codec)


def _bool(data: bytes, codec: str) -> str:
    return {b"\0": "f", b"\1": "t"}[data]


def _jsonb(data: bytes, codec: str) -> str:
    if data[:1] != b"\1":
        raise ValueError("unknown version of jsonb")
    return data[1:].decode(codec)


def _uuid(data: bytes, codec: str) -> str:
    return str(UUID(bytes=data))


def _inet(data: bytes, codec: str) -> str:
    family, bits, isNetwork, length = data[:4]
    packed = data[4:]
    if length != len(packed):
        raise ValueError("length of an address")
    address = IPv4Address(packed) if family == 2 else IPv6Address(packed)
    return f"{address}/{bits}" if isNetwork or bits != address.max_prefixlen else str(address)


def _hardware(data: bytes, codec: str) -> str:
    if len(data) not in (6, 8):
        raise ValueError("length of a hardware address")
    return data.hex(":")


def _bits(data: bytes, codec: str) -> str:
    (length,) = struct.unpack_from("!i", data)
    if not 0 <= length <= 8 * (len(data) - 4):
        raise ValueError("length of a bit string")
    return "".join(f"{byte:08b}" for byte in data[4:])[:length]


def _position(data: bytes, codec: str) -> str:
    high, low = struct.unpack("!II", data)
    return f"{high:X}/{low:X}"


def _tuple(data: bytes, codec: str) -> str:
    block, offset = struct.unpack("!IH", data)
    return f"({block},{offset})"


def _point(data: bytes, codec: str) -> str:
    return f"({float8(data[:8])},{float8(data[8:])})"


def _ignoring(decoder: Callable[[bytes], str]) -> Decoder:
    return lambda data, codec: decoder(data)


_unsigned = _integer("!I")

# oid: (decoder of the binary format, oid of its array type); numbers of pg_type.dat, fixed for ever
_BINARY: Final[Mapping[int, tuple[Decoder, int]]] = {
    16: (_bool, 1000),
    17: (lambda data, codec: hexadecimal(data), 1001),
    18: (_strictly, 1002),  # "char"
    19: (_strictly, 1003),  # name
    20: (_integer("!q"), 1016),
    21: (_integer("!h"), 1005),
    23: (_integer("!i"), 1007),
    24: (_unsigned, 1008),  # regproc
    25: (_strictly, 1009),
    26: (_unsigned, 1028),
    27: (_tuple, 1010),
    28: (_unsigned, 1011),  # xid
    29: (_unsigned, 1012),  # cid
    114: (_strictly, 199),  # json
    142: (_strictly, 143),  # xml
    600: (_point, 1017),
    650: (_inet, 651),  # cidr
    700: (_ignoring(float4), 1021),
    701: (_ignoring(float8), 1022),
    705: (_strictly, 0),  # unknown
    774: (_hardware, 775),
    790: (_ignoring(money), 791),
    829: (_hardware, 1040),
    869: (_inet, 1041),
    1042: (_strictly, 1014),  # bpchar
    1043: (_strictly, 1015),  # varchar
    1082: (_ignoring(date), 1182),
    1083: (_ignoring(time), 1183),
    1114: (_ignoring(timestamp), 1115),
    1184: (_ignoring(timestampTZ), 1185),
    1186: (_ignoring(interval), 1187),
    1266: (_ignoring(timeTZ), 1270),
    1560: (_bits, 1561),
    1562: (_bits, 1563),  # varbit
    1700: (_ignoring(numeric), 1231),
    2202: (_unsigned, 2207),  # regprocedure
    2205: (_unsigned, 2210),  # regclass
    2206: (_unsigned, 2211),  # regtype
    2275: (_strictly, 1263),  # cstring
    2278: (_strictly, 0),  # void
    2950: (_uuid, 2951),
    3220: (_position, 3221),  # pg_lsn
    3802: (_jsonb, 3807),
    4089: (_unsigned, 4090),  # regnamespace
    4096: (_unsigned, 4097),  # regrole
    5069: (_integer("!Q"), 271),  # xid8
}
_ARRAYS: Final = frozenset(array for _, array in _BINARY.values() if array)
_SPECIAL: Final = frozenset('{}",\\ \t\n\r\v\f')


def _quoted(text: str) -> str:
    """An element of an array's text (chapter 8.15.6)."""
    if text and text.upper() != "NULL" and not _SPECIAL.intersection(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(data: bytes, codec: str) -> str:
    """Shape: dimensions i4, has-null i4, element type u4, (length i4, lower bound i4) each, then (length i4, bytes) per value."""
    dimensions, _, element = struct.unpack_from("!iiI", data)
    if not 0 <= dimensions <= ARRAY_DIMENSIONS:
        raise ValueError("dimensions of an array")
    shape = [struct.unpack_from("!ii", data, 12 + 8 * number) for number in range(dimensions)]
    position = 12 + 8 * dimensions
    if not dimensions or any(length < 1 for length, _ in shape):
        return "{}"

    def elements(depth: int) -> str:
        nonlocal position
        parts = []
        for _ in range(shape[depth][0]):
            if depth + 1 < dimensions:
                parts.append(elements(depth + 1))
                continue
            (length,) = struct.unpack_from("!i", data, position)
            position += 4
            if length < 0:
                parts.append("NULL")
                continue
            if position + length > len(data):
                raise ValueError("length of an element")
            parts.append(_quoted(binary(element, data[position : position + length], codec)))
            position += length
        return "{" + ",".join(parts) + "}"

    body = elements(0)
    if all(lower == 1 for _, lower in shape):
        return body
    return "".join(f"[{lower}:{lower + length - 1}]" for length, lower in shape) + "=" + body


def binary(oid: int, data: bytes, codec: str) -> str:
    """One value of the binary format."""
    try:
        if oid in _ARRAYS:
            return _array(data, codec)
        return _BINARY[oid][0](data, codec)
    except (LookupError, ValueError, struct.error, OverflowError):
        return hexadecimal(data)


def value(oid: int, format: int, data: bytes | None, codec: str) -> str | None:
    """
    One parameter or field as text.

    @param oid: the type's, C{0} for an unknown one.
    @param format: 0 text, 1 binary.
    @param codec: Python's name of the session's C{client_encoding}.
    @return: C{None} for NULL; never fails.
    """
    if data is None:
        return None
    if format == 0:
        return decoded(data, codec)
    return binary(oid, data, codec)
