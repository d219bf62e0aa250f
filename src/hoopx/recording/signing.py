# -*- test-case-name: tests.recording.test_recovery -*-
"""
Signed payloads: canonical JSON with a signature over everything else in it.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hoopx.frames import pack, unpack

PREFIX: Final = "hoopx-{}-v1\0"
"""What is signed begins with it, so that no signature can be taken for one of another kind of frame."""


def sign(key: Ed25519PrivateKey, kind: str, value: dict[str, Any]) -> bytes:
    """
    @param kind: C{"check"}, C{"seal"} or C{"recovered"}.
    @return: the payload: C{value} and its C{signature} (hexadecimal).
    """
    signature = key.sign(PREFIX.format(kind).encode() + pack(value))
    return pack({**value, "signature": signature.hex()})


def verify(public: bytes, kind: str, payload: bytes) -> dict[str, Any]:
    """
    @param public: 32 bytes.
    @return: the object without its signature.
    @raise ValueError: no signed payload, or signed by another key.
    """
    value = unpack(payload)
    if pack(value) != payload:
        raise ValueError("the object is written otherwise than it is signed")
    signature = value.pop("signature", None)
    try:
        if bytes.fromhex(signature).hex() != signature:
            raise ValueError
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), PREFIX.format(kind).encode() + pack(value))
    except (InvalidSignature, TypeError, ValueError):
        raise ValueError("the signature does not match") from None
    return value


def publicHex(key: Ed25519PrivateKey) -> str:
    """The public half, as recordings hold it."""
    return key.public_key().public_bytes_raw().hex()
