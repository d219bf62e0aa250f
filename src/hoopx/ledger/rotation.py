# -*- test-case-name: tests.ledger.test_rotation -*-
"""
A new key for a ledger that goes on: the old one signs it, in the ledger itself. The gateway must not be running. Blocking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.ledger.disk import ORIGIN
from hoopx.ledger.errors import LedgerError
from hoopx.ledger.keys import dropOwn, finishRotation, keyring, parseKey, prepareRotation, publicBytes, publish
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Verifier
from hoopx.recording.files import Files


@frozen
class Rotated:
    """
    @ivar vkey: of the key that signs now.
    @ivar before: it did already; nothing was changed.
    """

    vkey: str
    before: bool = False


def rotate(
    data: str,
    name: str,
    old: bytes | None = None,
    new: bytes | None = None,
    files: Files | None = None,
    wall: Callable[[], float] = time.time,
) -> Rotated:
    """
    Cut short anywhere, either the old key signs or the new one, and it can be called again.

    @param data: the data directory.
    @param name: of the gateway.
    @param old: PEM of the key that signs, when it is kept elsewhere; else it is the one in C{data/keys}, which is destroyed afterwards.
    @param new: PEM of the new one, when that is kept elsewhere; else one is made in C{data/keys}.
    @raise ValueError: one of them is no Ed25519 key.
    @raise hoopx.ledger.errors.WrongKey: neither the old key nor the new one signs this ledger.
    @raise LedgerError: there is no ledger, or it can not be opened.
    """
    files = files or Files()
    directory, keys = os.path.join(data, "ledger"), os.path.join(data, "keys")
    if not os.path.exists(os.path.join(directory, ORIGIN)):
        raise LedgerError(f"there is no ledger in {data}")
    if new is None and old is not None:
        raise ValueError("a key that is kept elsewhere is followed by one that is kept elsewhere")
    given = parseKey(new, "the new key") if new is not None else None
    known = keyring(keys, files, old)

    def choose(public: bytes | None) -> Ed25519PrivateKey:
        return given if given is not None and publicBytes(given) == public else known(public)

    ledger = Ledger.open(directory, choose, name, files, wall)
    try:
        before = given is not None and publicBytes(given) == Verifier.parse(ledger.vkey).public
        if not before:
            if given is not None and publicBytes(given) in ledger.signers():
                raise ValueError("the new key has signed this ledger before: it is to be a new one")
            ledger.rotate(prepareRotation(keys, files) if given is None else given)
        if given is None:
            finishRotation(keys, files)
        elif old is None:
            dropOwn(keys, files, publicBytes(given))
        else:
            publish(keys, files, publicBytes(given))
        return Rotated(ledger.vkey, before)
    finally:
        ledger.close()
