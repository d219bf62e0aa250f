# -*- test-case-name: tests.recording.test_verify -*-
"""
What is known of a session between two of its segments, and what their first and signed frames must say.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Any

from attrs import Factory, define, frozen

from hoopx.frames import HEAD, LINK, unpack
from hoopx.recording.signing import verify
from hoopx.values import Frame


@frozen
class Attested:
    """
    What a ledger says of one session.

    @ivar key: the session's public key, hexadecimal, or C{None} when the ledger does not know the session.
    @ivar head: hexadecimal SHA-256 of HEAD's payload.
    @ivar sealed: segment number -> hexadecimal SHA-256 of SEAL's payload, and of the stored object.
    @ivar ended: C{"done"}, C{"recovered"} or C{None}; C{segments}: how many there were then; C{end}: hexadecimal SHA-256 of the
        payload of DONE or RECOVERED.
    @ivar erased: it was removed, and the ledger says so.
    """

    key: str | None = None
    head: str = ""
    sealed: dict[int, tuple[str, str]] = Factory(dict)
    ended: str | None = None
    segments: int = 0
    end: str = ""
    erased: bool = False


@define
class Chain:
    """
    @ivar ledger: the ledger's public keys (32 bytes), old ones too, or C{None}: a RECOVERED frame then proves only itself.
    @ivar attested: what the ledger says of the session, or C{None} without one.
    @ivar public: the session's public key, once it is known.
    @ivar pinned: it is known from elsewhere than HEAD.
    @ivar number: of the segment in hand, from 0.
    @ivar sequence: of the last frame; C{at}, its time.
    @ivar before: SHA-256 of the segment before (hexadecimal), C{None} when that could not be read.
    @ivar ended: C{DONE}, C{RECOVERED} or 0.
    @ivar until: nanoseconds since session start of the last frame that a signature covers.
    """

    session: str
    ledger: Collection[bytes] | None = None
    attested: Attested | None = None
    public: bytes | None = None
    pinned: bool = False
    number: int = 0
    sequence: int = -1
    at: int = 0
    before: str | None = ""
    ended: int = 0
    connected: bool = False
    until: int = 0

    def first(self, frame: Frame) -> bytes | None:
        """
        Check HEAD or LINK.

        @return: the session's public key.
        @raise ValueError: and C{KeyError}, C{TypeError}: what is wrong with it.
        """
        value = unpack(frame.payload)
        if frame.kind != (LINK if self.number else HEAD):
            raise ValueError("the segment begins without " + ("LINK" if self.number else "HEAD"))
        if value.get("session") != self.session:
            raise ValueError(f"the segment is of another session: {value.get('session')}")
        if self.number:
            if value.get("segment") != self.number:
                raise ValueError(f"the segment is number {value.get('segment')}")
            if self.before is not None and value.get("sha256") != self.before:
                raise ValueError("LINK does not match the segment before")
            return self.public
        key = bytes.fromhex(value["key"])
        if self.pinned and key != self.public:
            raise ValueError("HEAD names another key than the session's")
        if self.attested is not None and self.attested.key is not None:
            if value["key"] != self.attested.key:
                raise ValueError("HEAD names another key than the ledger has for this session")
            if digest(frame) != self.attested.head:
                raise ValueError("HEAD is not the one in the ledger")
        return key

    def signed(self, signer: bytes | None, kind: str, frame: Frame, sha: Any) -> dict[str, Any]:
        """
        Check CHECK or SEAL.

        @param sha: C{hashlib} object over the segment before the frame.
        @return: its object.
        @raise ValueError: what is wrong with it.
        """
        if signer is None:
            raise ValueError("the session's key is not known: HEAD can not be read")
        value = verify(signer, kind, frame.payload)
        if value.get("session") != self.session or value.get("segment") != self.number:
            raise ValueError("the signature is of another session or segment")
        if frame.channel or frame.side or frame.origin or frame.flags:
            raise ValueError("the frame has a channel, side, origin or flags")
        if value.get("sha256") != sha.hexdigest():
            raise ValueError("the hash does not match what stands before")
        if kind == "seal" and self.attested is not None and self.number in self.attested.sealed:
            if digest(frame) != self.attested.sealed[self.number][0]:
                raise ValueError("the seal is not the one in the ledger")
        return value

    def recovered(self, frame: Frame, last: int | None) -> bytes:
        """
        Check RECOVERED.

        @param last: sequence of the frame before, or C{None} when a seal covers it anyway.
        @return: the key that has signed it and signs the seal.
        @raise ValueError: and C{KeyError}, C{TypeError}: what is wrong with it.
        """
        key = bytes.fromhex(unpack(frame.payload)["key"])
        if self.ledger is not None and key not in self.ledger:
            raise ValueError("RECOVERED names another key than the ledger's")
        value = verify(key, "recovered", frame.payload)
        if value.get("session") != self.session or value.get("segment") != self.number or last not in (None, value.get("last")):
            raise ValueError("RECOVERED is of another session, segment or frame")
        self.end("recovered", frame)
        return key

    def end(self, kind: str, frame: Frame) -> None:
        """
        Check an end against the ledger.

        @raise ValueError: the ledger has another one. A session that was killed behind DONE has both: the last one counts.
        """
        if self.attested is None or self.attested.ended != kind:
            return
        if digest(frame) != self.attested.end or self.number + 1 != self.attested.segments:
            raise ValueError(f"the end is not the one in the ledger, which is in segment {self.attested.segments - 1}")


def digest(frame: Frame) -> str:
    """As leaves of the ledger hold it."""
    return sha256(frame.payload).hexdigest()


WRONG = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a frame's object can raise: all mean that it is not what we wrote."""

