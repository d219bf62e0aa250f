# -*- test-case-name: tests.identity.test_format -*-
"""
How an access token looks: C{hx_}, 43 characters of base 62 (256 random bits), 6 of base 62 (CRC-32 of what stands before).

The prefix and the checksum let secret scanners find tokens without false alarms, and let typing errors and floods of rubbish
be refused without asking the state store. Without C{-} and C{_} a double click selects the whole.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Callable, Final
from zlib import crc32

PREFIX: Final = "hx_"
ENTROPY: Final = 32
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY: Final = 43
_CHECK: Final = 6
_PATTERN: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY + _CHECK}}}")


def newToken(random: Callable[[int], bytes]) -> str:
    """@param random: C{os.urandom}."""
    body = PREFIX + _base62(int.from_bytes(random(ENTROPY), "big"), _BODY)
    return body + _checksum(body)


def wellFormed(text: str) -> bool:
    """@return: C{True} when the text can be a token."""
    return _PATTERN.fullmatch(text) is not None and text[-_CHECK:] == _checksum(text[:-_CHECK])


def digest(text: str) -> str:
    """@return: what the state store keeps of a token: SHA-256 in hex. (256 random bits need no slow hash.)"""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("ascii")), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))
