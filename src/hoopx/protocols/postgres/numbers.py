# -*- test-case-name: tests.protocols.postgres.test_types -*-
"""
PostgreSQL's binary numbers (numeric.c, float.c, cash.c) as the server writes them in text.
"""

from __future__ import annotations

import math
import struct
from typing import Final

_NUMERIC_SIGNS: Final = {0x0000: "", 0x4000: "-"}
_NUMERIC_SPECIAL: Final = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}

NUMERIC_LIMIT: Final = 131_072 + 16_383
"""Digits that PostgreSQL's numeric can have: a hostile weight must not become a text without end."""


def numeric(data: bytes) -> str:
    """Shape: digits i2, weight i2, sign u2, display scale i2, then base-10,000 digits i2 each."""
    count, weight, sign, scale = struct.unpack_from("!HhHH", data)
    if sign in _NUMERIC_SPECIAL:
        return _NUMERIC_SPECIAL[sign]
    digits = struct.unpack(f"!{count}H", data[8:])
    if abs(weight) * 4 > NUMERIC_LIMIT or scale > NUMERIC_LIMIT or any(digit > 9999 for digit in digits):
        raise ValueError("not a numeric")

    def group(number: int) -> str:
        return f"{digits[number]:04d}" if 0 <= number < count else "0000"

    whole = "".join(group(number) for number in range(weight + 1)).lstrip("0") or "0"
    groups = -(-scale // 4)
    fraction = "".join(group(weight + 1 + number) for number in range(groups))[:scale]
    return _NUMERIC_SIGNS[sign] + whole + ("." + fraction if fraction else "")


def _laid(digits: str, exponent: int, sign: str, fixedBelow: int) -> str:
    """
    Shortest digits laid out as PostgreSQL does.

    @param digits: without point, the first not zero.
    @param exponent: of the first digit.
    @param fixedBelow: exponents from here on are written with C{e}.
    """
    if not -4 <= exponent < fixedBelow:
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return sign + "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return sign + digits.ljust(exponent + 1, "0")
    return sign + digits[: exponent + 1] + "." + digits[exponent + 1 :]


def _written(number: float, shortest: str, fixedBelow: int) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    sign = "-" if math.copysign(1, number) < 0 else ""
    mantissa, _, exponent = shortest.lstrip("-").partition("e")
    digits = mantissa.replace(".", "").rstrip("0")
    if not digits:
        return sign + "0"
    return _laid(digits, int(exponent), sign, fixedBelow)


def float8(data: bytes) -> str:
    """Eight bytes, IEEE 754."""
    (number,) = struct.unpack("!d", data)
    for precision in (14, 15, 16):
        shortest = f"{number:.{precision}e}"
        if float(shortest) == number:
            break
    return _written(number, shortest, 15)


def float4(data: bytes) -> str:
    """Four bytes, IEEE 754: the shortest digits that are the same single-precision number."""
    (number,) = struct.unpack("!f", data)
    for precision in (5, 6, 7, 8):
        shortest = f"{number:.{precision}e}"
        try:
            if struct.pack("!f", float(shortest)) == data:
                break
        except OverflowError:
            continue
    return _written(number, shortest, 6)


def money(data: bytes) -> str:
    """Hundredths i8; the server's currency sign is not in the value."""
    (cents,) = struct.unpack("!q", data)
    whole, part = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{part:02d}"
