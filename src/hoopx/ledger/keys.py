# -*- test-case-name: tests.ledger.test_keys -*-
"""
The ledger's key: the node's own, that signs what outlives a session's key. Made at its first use, or given by reference.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Callable, Final, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hoopx.ledger.errors import WrongKey
from hoopx.recording.files import Files, openRegular

PRIVATE: Final = "ledger.key"
PUBLIC: Final = "ledger.pub"
NEXT: Final = "ledger.key.next"
"""A new key, until the old one's word for it stands in the ledger."""

TEMPORARY: Final = ".new"

REFERENCE: Final = "the signing key"
"""What a key that is kept elsewhere is called in messages."""

ROTATED: Final = b"hoopx-key-rotated-v1\0"
"""What the old key signs begins with it, so that no signature can be taken for one of another kind."""


def loadKey(
    directory: str, files: Files, reference: bytes | None = None, create: bool = True, name: str = PRIVATE
) -> Ed25519PrivateKey:
    """
    @param directory: C{data/keys}. The public half is left there in any case.
    @param reference: the key itself, PEM (PKCS #8), when it is kept elsewhere; then none is made here.
    @param create: make one when there is none.
    @param name: of the file; a witness's is another.
    @raise ValueError: it is no Ed25519 key.
    @raise FileNotFoundError: there is none and none may be made.
    """
    public = name.replace(".key", ".pub")
    if reference is not None:
        key = parseKey(reference, REFERENCE)
        publish(directory, files, publicBytes(key), public)
        return key
    path = os.path.join(directory, name)
    try:
        with open(path, "rb") as file:
            return parseKey(file.read(), path)
    except FileNotFoundError:
        if not create:
            raise
        key = Ed25519PrivateKey.generate()
        publish(directory, files, publicBytes(key), public)
        _write(directory, name, encodeKey(key), files)
        return key


def publicKey(data: str) -> bytes | None:
    """The public half of a data directory's ledger key, or C{None}. Needs no gateway and no private key."""
    try:
        with open(openRegular(os.path.join(data, "keys", PUBLIC)), "rb") as file:
            return bytes.fromhex(file.read().decode("ascii").strip())
    except (FileNotFoundError, ValueError):
        return None


def keyring(directory: str, files: Files, reference: bytes | None = None) -> Callable[[bytes | None], Ed25519PrivateKey]:
    """
    What L{hoopx.ledger.log.Ledger.open} asks for the key. A rotation that was cut short is ended here: what the ledger says holds.

    @return: callable(public half that signs the ledger now, C{None} for a new ledger) -> the key; raises L{WrongKey}.
    """

    def choose(public: bytes | None) -> Ed25519PrivateKey:
        if reference is not None and public is not None and publicBytes(parseKey(reference, REFERENCE)) != public:
            raise WrongKey(public, publicBytes(parseKey(reference, REFERENCE)))  # and ledger.pub stays as it is
        upcoming = os.path.join(directory, NEXT)
        _forget(directory, [name + TEMPORARY for name in (NEXT, PRIVATE, PUBLIC)], files)
        if reference is None and public is not None and os.path.exists(upcoming):
            with open(upcoming, "rb") as file:
                key = parseKey(file.read(), upcoming)
            if publicBytes(key) == public:
                finishRotation(directory, files)
                return key
        try:
            key = loadKey(directory, files, reference, create=public is None)
        except FileNotFoundError:
            if public is None:
                raise
            raise WrongKey(public, None) from None
        if public is not None and publicBytes(key) != public:
            raise WrongKey(public, publicBytes(key))
        _forget(directory, [NEXT], files)
        return key

    return choose


def prepareRotation(directory: str, files: Files) -> Ed25519PrivateKey:
    """@return: a new key, on the disk, that signs nothing yet."""
    key = Ed25519PrivateKey.generate()
    _write(directory, NEXT, encodeKey(key), files)
    return key


def finishRotation(directory: str, files: Files) -> None:
    """The new key takes the old one's place; the old one is gone."""
    with open(os.path.join(directory, NEXT), "rb") as file:
        publish(directory, files, publicBytes(parseKey(file.read(), NEXT)))
    files.rename(os.path.join(directory, NEXT), os.path.join(directory, PRIVATE))
    files.syncDirectory(directory)


def dropOwn(directory: str, files: Files, public: bytes) -> None:
    """
    The key in this directory is not wanted any more: one that is kept elsewhere signs the ledger now.

    @param public: half of the one that does; another one is destroyed, and this one is what C{ledger.pub} says from now on.
    """
    path = os.path.join(directory, PRIVATE)
    try:
        with open(path, "rb") as file:
            own = publicBytes(parseKey(file.read(), path))
    except (FileNotFoundError, ValueError):
        own = public
    if own != public:
        _forget(directory, [PRIVATE, NEXT], files)
        files.syncDirectory(directory)
    publish(directory, files, public)


def signRotation(old: Ed25519PrivateKey, vkey: str) -> str:
    """@return: the old key's word for the new one, hexadecimal."""
    return old.sign(ROTATED + vkey.encode()).hex()


def verifyRotation(old: bytes, vkey: str, signature: str) -> None:
    """
    @param old: 32 bytes.
    @raise ValueError: the old key has not said so.
    """
    try:
        Ed25519PublicKey.from_public_bytes(old).verify(bytes.fromhex(signature), ROTATED + vkey.encode())
    except InvalidSignature:
        raise ValueError("the new key is not signed by the old one") from None


def originOf(name: str, key: Ed25519PrivateKey) -> str:
    """@return: the name of a new ledger: the gateway's, and 32 bits of the key's hash."""
    return f"{name}.{sha256(publicBytes(key)).hexdigest()[:8]}"


def publicBytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def parseKey(pem: bytes, where: str) -> Ed25519PrivateKey:
    """@raise ValueError: it is no Ed25519 key. The message holds nothing of it."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise ValueError(f"{where}: no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{where}: not an Ed25519 key")
    return key


def encodeKey(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _forget(directory: str, names: Sequence[str], files: Files) -> None:
    """Keys that were never used do not lie about."""
    for name in names:
        if os.path.exists(os.path.join(directory, name)):
            files.unlink(os.path.join(directory, name))


def publish(directory: str, files: Files, public: bytes, name: str = PUBLIC) -> None:
    """Leave a public half where readers look for it."""
    content = public.hex().encode() + b"\n"
    try:
        with open(os.path.join(directory, name), "rb") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    _write(directory, name, content, files)


def _write(directory: str, name: str, content: bytes, files: Files) -> None:
    above = files.makeDirectories(directory)
    for folder in above or [os.path.dirname(os.path.abspath(directory))]:
        files.syncDirectory(folder)
    temporary = os.path.join(directory, name + TEMPORARY)
    descriptor = files.create(temporary, os.O_TRUNC)
    try:
        files.writeAll(descriptor, content)
        files.fsync(descriptor)
    finally:
        files.close(descriptor)
    files.rename(temporary, os.path.join(directory, name))
    files.syncDirectory(directory)
