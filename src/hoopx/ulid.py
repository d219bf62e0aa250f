# -*- test-case-name: tests.test_ulid -*-
"""
Ids of sessions: they sort by time, and say when they were made.
"""

from __future__ import annotations

import os
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LATEST: Final = (1 << 48) - 1
"""Milliseconds that an id can say. A clock that says more, or less than 1970, must not make one that nobody finds a session by."""


def ulid(now: float, random: bytes | None = None) -> str:
    """
    A session id: 48 bits of milliseconds and 80 random bits, 26 characters of Crockford's base 32 (the ULID specification).

    @param now: seconds since the epoch.
    @param random: 10 bytes, or C{None} for the system's.
    """
    moment = min(max(int(now * 1000), 0), LATEST)
    number = moment << 80 | int.from_bytes(os.urandom(10) if random is None else random, "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def ulidTime(name: str) -> float:
    """
    Seconds since the epoch at which a ULID was made.

    @raise ValueError: it is none.
    """
    if len(name) != 26 or name[0] > "7" or any(letter not in _CROCKFORD for letter in name):
        raise ValueError(f"not a session id: {name!r}")
    number = 0
    for letter in name[:10]:
        number = number << 5 | _CROCKFORD.index(letter)
    return number / 1000
