"""RESP 2, the protocol of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/): bytes to units."""

from zope.interface import implementer

from hoopx.errors import ProtocolViolation
from hoopx.interfaces import IWireCodec

UNIT_LIMIT = 16 * 1024 * 1024
"""Bytes of one command or reply: what one session may make the gateway keep."""


@implementer(IWireCodec)
class RespCodec:
    """
    Cuts every unit. It has to see the same units as Redis does, or one could be hidden in another: what a client says is an array
    of strings, or else a line of words.
    """

    atBoundary = wasAtBoundary = True
    buffered = property(lambda self: len(self._buffer))
    interest = frozenset({"login", "command", "error", "reply"})

    def __init__(self, client: bool) -> None:
        self._client, self._buffer = client, bytearray()
        self._next, self._missing, self._inside = 0, 1, False  # where the next value begins; how many are missing

    def residue(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list:
        self._buffer += data
        units, start = [], 0
        while self._value():
            if not self._missing:
                raw = bytes(self._buffer[start : self._next])
                units.append((self._kind(raw), raw))
                start, self._missing, self._inside = self._next, 1, False
        del self._buffer[:start]
        self._next -= start
        if len(self._buffer) > UNIT_LIMIT:
            raise ProtocolViolation(f"more than {UNIT_LIMIT} bytes in one command or reply")
        return units

    def _value(self) -> bool:
        """Step over one value. @return: C{False} when it is not whole yet."""
        newline = self._buffer.find(b"\n", self._next)
        if newline < 0:
            return False
        mark, after = self._buffer[self._next : self._next + 1], newline + 1
        if mark == b"*" or (mark == b"$" and (self._inside or not self._client)):
            digits = bytes(self._buffer[self._next + 1 : newline])
            if digits != b"-1\r" and not (digits[:-1].isdigit() and digits.endswith(b"\r") and len(digits) < 12):
                raise ProtocolViolation("a length that is no number")
            count = int(digits)
            after += count + 2 if mark == b"$" and count >= 0 else 0
            self._missing += max(0, count) if mark == b"*" else 0
        elif self._inside if self._client else mark not in (b"+", b"-", b":"):
            raise ProtocolViolation(f"no value begins with {bytes(mark)!r}")
        if after > len(self._buffer):
            return False
        self._next, self._missing, self._inside = after, self._missing - 1, True
        return True

    def _kind(self, raw: bytes) -> str:
        if not self._client:
            return "error" if raw[:1] == b"-" else "reply"
        return "login" if [word.upper() for word in words(raw)[:1]] in ([b"AUTH"], [b"HELLO"]) else "command"


def words(raw: bytes) -> list[bytes]:
    """The words of one command."""
    if raw[:1] != b"*":
        return raw.split()
    rest, found = raw.partition(b"\n")[2], []
    while rest:
        head, _, rest = rest.partition(b"\n")
        found.append(rest[: max(0, int(head[1:]))])
        rest = rest[len(found[-1]) + 2 :]
    return found


def command(*said: bytes) -> bytes:
    return b"*%d\r\n" % len(said) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in said)


def error(code: str, message: str) -> bytes:
    return f"-{code} {' '.join(message.split())}\r\n".encode()
