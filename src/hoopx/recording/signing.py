# -*- test-case-name: tests.recording.test_recovery -*-
"""
Signed payloads: canonical JSON with a signature over everything else in it.
"""

from __future__ import annotations

import os
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hoopx.frames import pack, unpack
from hoopx.recording.files import Files

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
    signature = value.pop("signature", None)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), PREFIX.format(kind).encode() + pack(value))
    except (InvalidSignature, TypeError, ValueError):
        raise ValueError("the signature does not match") from None
    return value


def publicHex(key: Ed25519PrivateKey) -> str:
    """The public half, as recordings hold it."""
    return key.public_key().public_bytes_raw().hex()


def ledgerKey(directory: str, files: Files) -> Ed25519PrivateKey:
    """
    The node's own key, that signs what outlives a session's key. Made at its first use.

    @param directory: C{data/keys}.
    @raise ValueError: the file holds no Ed25519 key.
    """
    path = os.path.join(directory, "ledger.key")
    try:
        with open(path, "rb") as file:
            key = load_pem_private_key(file.read(), None)
    except FileNotFoundError:
        return _makeKey(directory, path, files)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path}: not an Ed25519 key")
    return key


def _makeKey(directory: str, path: str, files: Files) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    files.makeDirectories(directory)
    for name, content in (
        ("ledger.pub", publicHex(key).encode() + b"\n"),
        ("ledger.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
    ):
        temporary = os.path.join(directory, name + ".new")
        descriptor = files.create(temporary, os.O_TRUNC)
        try:
            files.writeAll(descriptor, content)
            files.fsync(descriptor)
        finally:
            files.close(descriptor)
        files.rename(temporary, os.path.join(directory, name))
    files.syncDirectory(directory)
    return key


def ledgerPublic(data: str) -> bytes | None:
    """The public half of a data directory's ledger key, or C{None}. Needs no gateway and no private key."""
    try:
        with open(os.path.join(data, "keys", "ledger.pub"), "rb") as file:
            return bytes.fromhex(file.read().decode("ascii").strip())
    except (FileNotFoundError, ValueError):
        return None
