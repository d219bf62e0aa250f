# -*- test-case-name: tests.config.test_amounts -*-
"""
Durations and sizes as people write them.
"""

from __future__ import annotations

import re
from typing import Final

DURATIONS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 365 * 86400.0}
SIZES: Final = {
    "B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip
_AMOUNT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)")


def duration(text: str) -> float:
    """@return: seconds. @raise ValueError: it is not like C{"30m"}."""
    return _amount(text, DURATIONS)


def size(text: str) -> int:
    """@return: bytes. @raise ValueError: it is not like C{"1MiB"}."""
    return int(_amount(text, SIZES))


def _amount(text: str, units: dict) -> float:
    found = _AMOUNT.fullmatch(text)
    if not found or found.group(2) not in units:
        raise ValueError("a number and one of " + " ".join(units))
    number = found.group(1)
    return (float(number) if "." in number else int(number)) * units[found.group(2)]
