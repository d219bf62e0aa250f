# -*- test-case-name: tests.protocols.postgres.test_types -*-
"""
PostgreSQL's binary dates and times (date.c, timestamp.c) as text in its ISO style, moments in UTC.
"""

from __future__ import annotations

import struct
from typing import Final

DAY: Final = 86_400_000_000
"""Microseconds."""

_EPOCH: Final = 2_451_545
"""Julian day of 2000-01-01, from which everything is counted."""


def _calendar(days: int) -> tuple[int, int, int]:
    """Days since 2000-01-01 as (astronomical year, month, day): Fliegel and Van Flandern, CACM 11 (1968)."""
    a = days + _EPOCH + 32_044
    b = (4 * a + 3) // 146_097
    c = a - 146_097 * b // 4
    d = (4 * c + 3) // 1_461
    e = c - 1_461 * d // 4
    m = (5 * e + 2) // 153
    return 100 * b + d - 4_800 + m // 10, m + 3 - 12 * (m // 10), e - (153 * m + 2) // 5 + 1


def _day(days: int) -> tuple[str, str]:
    """The date, and its era (C{""} or C{" BC"}), which stands after the time."""
    year, month, day = _calendar(days)
    era = ""
    if year <= 0:
        year, era = 1 - year, " BC"
    return f"{year:04d}-{month:02d}-{day:02d}", era


def _clock(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour:02d}:{minute:02d}:{second:02d}"
    return text + f".{fraction:06d}".rstrip("0") if fraction else text


def date(data: bytes) -> str:
    """Days since 2000-01-01 i4."""
    (days,) = struct.unpack("!i", data)
    if days == 0x7FFF_FFFF:
        return "infinity"
    if days == -0x8000_0000:
        return "-infinity"
    return "".join(_day(days))


def time(data: bytes) -> str:
    """Microseconds since midnight i8."""
    (microseconds,) = struct.unpack("!q", data)
    if not 0 <= microseconds <= DAY:
        raise ValueError("time of day")
    return _clock(microseconds)


def _zone(west: int) -> str:
    seconds = abs(west)
    text = f"{'-' if west > 0 else '+'}{seconds // 3600:02d}"
    if seconds % 3600:
        text += f":{seconds // 60 % 60:02d}"
    if seconds % 60:
        text += f":{seconds % 60:02d}"
    return text


def timeTZ(data: bytes) -> str:
    """Microseconds i8, zone in seconds west of Greenwich i4."""
    if len(data) != 12:
        raise ValueError("length of a timetz")
    return time(data[:8]) + _zone(*struct.unpack("!i", data[8:]))


def _moment(data: bytes, zone: str) -> str:
    (microseconds,) = struct.unpack("!q", data)
    if microseconds == 0x7FFF_FFFF_FFFF_FFFF:
        return "infinity"
    if microseconds == -0x8000_0000_0000_0000:
        return "-infinity"
    days, rest = divmod(microseconds, DAY)
    day, era = _day(days)
    return f"{day} {_clock(rest)}{zone}{era}"


def timestamp(data: bytes) -> str:
    """Microseconds since 2000-01-01 i8."""
    return _moment(data, "")


def timestampTZ(data: bytes) -> str:
    """Microseconds since 2000-01-01 UTC i8."""
    return _moment(data, "+00")


def interval(data: bytes) -> str:
    """Microseconds i8, days i4, months i4, in the style C{postgres}."""
    microseconds, days, months = struct.unpack("!qii", data)
    year, month = divmod(abs(months), 12)
    if months < 0:
        year, month = -year, -month
    parts = []
    negative = False
    for number, unit in ((year, "year"), (month, "mon"), (days, "day")):
        if number:
            # a positive part after a negative one bears its sign
            sign = "+" if negative and number > 0 else ""
            parts.append(f"{sign}{number} {unit}{'' if number == 1 else 's'}")
            negative = number < 0
    if microseconds or not parts:
        sign = "-" if microseconds < 0 else "+" if negative else ""
        parts.append(sign + _clock(abs(microseconds)))
    return " ".join(parts)
