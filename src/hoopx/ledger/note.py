# -*- test-case-name: tests.ledger.test_note -*-
"""
Signed notes (https://c2sp.org/signed-note), checkpoints (https://c2sp.org/tlog-checkpoint) and cosignatures
(https://c2sp.org/tlog-cosignature, cosignature/v1). Pure.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final, Iterable, NamedTuple, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hoopx.ledger.tree import HASH

ED25519: Final = 1
COSIGNATURE: Final = 4
"""Types of keys in vkeys."""

MAX_NOTE: Final = 1024 * 1024
"""Bytes. The specification wants 16 signatures taken, and post-quantum ones have 5 kB; this is more than any honest one."""
MAX_SIGNATURES: Final = 100

_DASH: Final = "\N{EM DASH} ".encode()


class NoteError(ValueError):
    """No note, or none that a trusted key has signed."""


class Signature(NamedTuple):
    """
    @ivar timestamp: seconds since the epoch that a witness states; C{None} where it is none.
    @ivar line: with its newline.
    """

    name: str
    keyId: bytes
    timestamp: int | None
    line: bytes


class Checkpoint(NamedTuple):
    """@ivar root: 32 bytes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        lines = (self.origin, str(self.size), b64encode(self.root).decode("ascii"), *self.extensions)
        return "".join([line + "\n" for line in lines]).encode()


class Signer:
    """
    @ivar name: of the key; for a ledger its origin.
    @ivar vkey: the public half, as text.
    @ivar verifier: the public half, as L{Verifier}.
    """

    kind = ED25519

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.verifier = Verifier(name, self.kind, key.public_key().public_bytes_raw())
        self.name = name
        self.vkey = self.verifier.vkey
        self._key = key

    def sign(self, text: bytes) -> bytes:
        """@return: a signature line, with its newline."""
        return signatureLine(self.name, self.verifier.keyId, self._key.sign(text))


class Cosigner(Signer):
    """A witness: its signature holds the time."""

    kind = COSIGNATURE

    def cosign(self, text: bytes, at: int) -> bytes:
        """@return: a signature line, with its newline. C{at}: seconds since the epoch."""
        return signatureLine(self.name, self.verifier.keyId, struct.pack(">Q", at) + self._key.sign(_cosigned(text, at)))


class Verifier:
    """
    A public key with a name.

    @ivar keyId: 4 bytes.
    @ivar kind: L{ED25519} or L{COSIGNATURE}.
    @ivar public: 32 bytes.
    """

    def __init__(self, name: str, kind: int, public: bytes) -> None:
        if not isName(name):
            raise ValueError(f"{name!r} can not be the name of a key")
        self.name = name
        self.kind = kind
        self.public = public
        self.keyId = sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]
        self._key = Ed25519PublicKey.from_public_bytes(public)

    @property
    def vkey(self) -> str:
        """Such as C{gw1.0123abcd+1234abcd+AQ...}."""
        return f"{self.name}+{self.keyId.hex()}+{b64encode(bytes([self.kind]) + self.public).decode('ascii')}"

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """@raise ValueError: no vkey, or of a type that is not supported."""
        name, _, rest = vkey.strip().partition("+")
        keyId, _, encoded = rest.partition("+")
        try:
            data = unbase64(encoded)
        except ValueError:
            data = b""
        if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE) or not isName(name):
            raise ValueError(f"{vkey[:200]!r} is no verifier key for Ed25519: name+hash+key")
        found = cls(name, data[0], data[1:])
        if found.keyId.hex() != keyId:
            raise ValueError(f"{vkey[:200]!r}: the hash does not belong to the name and the key")
        return found

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """
        @param signature: what follows the key's id in a signature line.
        @return: the time that a cosignature states, else C{None}.
        @raise NoteError: it does not hold.
        """
        timestamp = None
        message = text
        if self.kind == COSIGNATURE:
            timestamp = int.from_bytes(signature[:8], "big")
            signature = signature[8:]
            message = _cosigned(text, timestamp)
        try:
            if timestamp is not None and timestamp >= 1 << 63:
                raise InvalidSignature
            self._key.verify(signature, message)
        except InvalidSignature:
            raise NoteError(f"the signature of {self.name} does not hold") from None
        return timestamp


def isName(name: str) -> bool:
    """Can it name a key? Not empty, no spaces, no C{+}, nothing that breaks a line."""
    return 0 < len(name.encode("utf-8", "replace")) <= 255 and re.search(r"[\s+\x00-\x1f\x7f\ud800-\udfff]", name) is None


def signatureLine(name: str, keyId: bytes, signature: bytes) -> bytes:
    return _DASH + name.encode() + b" " + b64encode(keyId + signature) + b"\n"


def split(note: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes, bytes]]]:
    """
    Take a note apart, verifying nothing.

    @return: the text with its last newline, and name, key id, signature and line of each signature.
    @raise NoteError: no note.
    """
    if len(note) > MAX_NOTE:
        raise NoteError(f"a note has at most {MAX_NOTE} bytes")
    try:
        note.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("a note is text in UTF-8") from None
    if re.search(rb"[\x00-\x09\x0b-\x1f]", note):
        raise NoteError("a note has no control characters")
    at = note.rfind(b"\n\n")
    if at < 0:
        raise NoteError("a note has an empty line before its signatures")
    return note[: at + 1], signatures(note[at + 2 :])


def signatures(lines: bytes) -> list[tuple[str, bytes, bytes, bytes]]:
    """
    @param lines: signature lines alone.
    @return: name, key id, signature and line of each.
    @raise NoteError: something else is among them.
    """
    if not lines.endswith(b"\n"):
        raise NoteError("a note ends with a signature line")
    found = []
    for line in lines[:-1].split(b"\n"):
        name, _, encoded = line[len(_DASH) :].partition(b" ")
        try:
            data = unbase64(encoded)
            text = name.decode("utf-8")
        except ValueError:
            data, text = b"", ""
        if not line.startswith(_DASH) or len(data) < 5 or not isName(text):
            raise NoteError("a note has a signature line that is none")
        found.append((text, data[:4], data[4:], line + b"\n"))
    if len(found) > MAX_SIGNATURES:
        raise NoteError(f"a note has at most {MAX_SIGNATURES} signatures")
    return found


def openNote(note: bytes, verifiers: Iterable[Verifier]) -> tuple[bytes, list[Signature]]:
    """
    @return: the text, and the signatures of the verifiers' keys, each key's once. Those of unknown keys are passed over.
    @raise NoteError: no note; no known key has signed it; or the signature of a known key does not hold.
    """
    text, found = split(note)
    known = {(one.name, one.keyId): one for one in verifiers}
    verified = []
    for name, keyId, signature, line in found:
        verifier = known.pop((name, keyId), None)
        if verifier is not None:
            verified.append(Signature(name, keyId, verifier.verify(text, signature), line))
    if not verified:
        raise NoteError("no trusted key has signed it")
    return text, verified


def makeNote(text: bytes, lines: Sequence[bytes]) -> bytes:
    """@param lines: signature lines, each with its newline."""
    return text + b"\n" + b"".join(lines)


def union(before: bytes, note: bytes) -> bytes:
    """@return: the note with the signatures that it had before as well; each key's newest."""
    text, lines = split(before)
    newest = {(name, keyId): line for name, keyId, _, line in [*lines, *split(note)[1]]}
    return makeNote(text, list(newest.values()))


def parseCheckpoint(text: bytes) -> Checkpoint:
    """
    @param text: of a note.
    @raise NoteError: no checkpoint.
    """
    lines = text.decode("utf-8").split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise NoteError("a checkpoint has three lines: origin, size, root")
    origin, size, encoded, *more = lines
    try:
        root = unbase64(encoded)
    except ValueError:
        root = b""
    if re.fullmatch(r"0|[1-9][0-9]{0,18}", size, re.ASCII) is None or len(root) != HASH:
        raise NoteError("a checkpoint has three lines: origin, size, root")
    return Checkpoint(origin, int(size), root, tuple(more))


def unbase64(text: str | bytes) -> bytes:
    """
    Base64 (RFC 4648) of which there is one spelling only: bits that mean nothing could be changed unnoticed.

    @raise ValueError: it is none.
    """
    data = b64decode(text, validate=True)
    if b64encode(data) != (text.encode("ascii") if isinstance(text, str) else text):
        raise ValueError("the last character has bits that mean nothing")
    return data


def _cosigned(text: bytes, at: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % at + text
