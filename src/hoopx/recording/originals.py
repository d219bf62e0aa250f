# -*- test-case-name: tests.recording.test_originals -*-
"""
Unmasked bytes, kept for the auditors beside the masked ones: C{original = "sealed"}. From the first byte on they are on the disk only
as ciphertext, in the open segment too.

One AES-256-GCM key a session (NIST SP 800-38D), made in memory, wrapped by age in HEAD under C{original}:
C{{"cipher": "AES-256-GCM", "key": base64 of an age file that holds the key's 32 bytes}}. A DATA frame of origin ORIGINAL holds 8 bytes,
big-endian, the sealed frame's number in the session (from 0, over all channels and sides, without a gap), then ciphertext and tag
(16 bytes). What became of the bytes is said by the next DATA frame of this channel and side that is no original: MADE was sent in
their place, ATTEMPTED (without bytes) tells that nothing was. The nonce is 4 zero bytes and that number, so it comes once under a key;
the associated data is C{hoopx-original-v1}, a zero byte, the session id, number (u64), channel (u32) and side (u8): a sealed frame can
not be shown as another one's.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hoopx.errors import HoopxError
from hoopx.frames import LIMIT
from hoopx.reading import Unreadable
from hoopx.recording.stored import Encrypted, WrongIdentity
from hoopx.values import ORIGINAL, Frame

FIELD: Final = "original"
"""In HEAD."""
CIPHER: Final = "AES-256-GCM"
OVERHEAD: Final = 24
"""Bytes that sealing adds: number and tag."""
LONGEST: Final = LIMIT - OVERHEAD
"""Bytes sealed in one frame: a sealed payload is never cut."""
_number: Final = Struct(">Q")
_place: Final = Struct(">QIB")
_PREFIX: Final = b"hoopx-original-v1\0"


class NotSealed(HoopxError):
    """The session keeps no originals."""


class Originals:
    """
    The writer's half: made for one session, before its HEAD is. Takes some 0.3 ms: not on the reactor's thread.

    @param session: its id.
    @param recipients: from L{hoopx.recording.auditors.recipients}; without one nobody could ever read.
    @param random: callable(count) -> bytes.
    @ivar head: what HEAD says under L{FIELD}.
    @raise ValueError: there is no recipient, or age does not encrypt to one.
    """

    __slots__ = ("head", "_cipher", "_count", "_session")

    def __init__(self, session: str, recipients: Sequence[Any], random: Callable[[int], bytes] = os.urandom) -> None:
        import pyrage

        if not recipients:
            raise ValueError("originals are sealed to somebody")
        key = random(32)
        try:
            wrapped = pyrage.encrypt(key, list(recipients))
        except pyrage.EncryptError:
            raise ValueError("the key of the originals can not be encrypted to the auditors") from None
        self.head = {"cipher": CIPHER, "key": b64encode(wrapped).decode("ascii")}
        self._cipher = AESGCM(key)
        self._count = 0
        self._session = session.encode("ascii")

    def seal(self, channel: int, side: int, data: bytes) -> Iterator[bytes]:
        """
        @return: payloads of DATA frames, to be recorded in this order, all of them; one where there are no bytes, too. Sealed as they
            are asked for.
        """
        for begin in range(0, len(data) or 1, LONGEST):
            number = self._count
            self._count += 1
            bound = associated(self._session, number, channel, side)
            yield _number.pack(number) + self._cipher.encrypt(nonce(number), data[begin : begin + LONGEST], bound)


class OriginalsReader:
    """
    The auditor's half, fed the sealed frames of one session in order.

    @param head: HEAD's object.
    @param identities: from L{hoopx.recording.auditors.identities}.
    @raise NotSealed:
    @raise Encrypted: no identity was given, or (L{WrongIdentity}) none that opens it.
    @raise Unreadable: HEAD's words are damaged, or of a newer version.
    """

    def __init__(self, head: dict[str, Any], identities: Sequence[Any]) -> None:
        said = head.get(FIELD)
        if said is None:
            raise NotSealed(f"session {head.get('session')} keeps no originals: [recording] original was not \"sealed\" when it began")
        if not isinstance(said, dict) or said.get("cipher") != CIPHER:
            raise Unreadable("the originals are sealed in a way that is not known to this version")
        self._cipher = AESGCM(_unwrapped(said.get("key"), identities))
        self._session = str(head["session"]).encode("ascii")
        self._next = 0

    def open(self, frame: Frame) -> bytes:
        """
        @param frame: DATA of origin ORIGINAL.
        @return: the bytes as they were.
        @raise Unreadable: it is not what was sealed at this place of this session: damaged, moved, or one before it is missing.
        """
        if frame.origin != ORIGINAL or len(frame.payload) < OVERHEAD:
            raise Unreadable(f"frame with sequence {frame.sequence} is no sealed original")
        (number,) = _number.unpack_from(frame.payload)
        if number != self._next:
            raise Unreadable(f"sealed original {number} stands where {self._next} should be (sequence {frame.sequence})")
        try:
            data = self._cipher.decrypt(
                nonce(number), frame.payload[8:], associated(self._session, number, frame.channel, frame.side)
            )
        except InvalidTag:
            raise Unreadable(f"sealed original {number} does not decrypt (sequence {frame.sequence})") from None
        self._next += 1
        return data


def nonce(number: int) -> bytes:
    """12 bytes."""
    return bytes(4) + _number.pack(number)


def associated(session: bytes, number: int, channel: int, side: int) -> bytes:
    """What a sealed frame is bound to."""
    return _PREFIX + session + _place.pack(number, channel, side)


def _unwrapped(key: Any, identities: Sequence[Any]) -> bytes:
    import pyrage

    if not identities:
        raise Encrypted("unmasked", "bytes are sealed to the auditors: give --identity KEYFILE")
    try:
        found = pyrage.decrypt(b64decode(key, validate=True), list(identities))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise WrongIdentity("unmasked", "bytes are sealed to others: none of the identities given opens them") from None
        raise Unreadable("the key of the originals is damaged") from None
    except (OSError, ValueError, TypeError):
        raise Unreadable("the key of the originals is damaged") from None
    if len(found) != 32:
        raise Unreadable("the key of the originals is damaged")
    return bytes(found)
