# -*- test-case-name: tests.ledger.test_renewal -*-
"""
A new ledger in place of one that can not go on: restored from a backup, damaged, or without its key.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable

from hoopx.ledger.disk import CHECKPOINT, WITNESSED, Disk
from hoopx.ledger.errors import LedgerError
from hoopx.ledger.keys import finishRotation, originOf, parseKey, prepareRotation, publicBytes, publish
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import FRESH, Ledger
from hoopx.ledger.note import NoteError, makeNote, parseCheckpoint, split
from hoopx.ledger.reader import LedgerReader
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked, owner, tryLock


def renew(
    data: str, name: str, files: Files | None = None, wall: Callable[[], float] = time.time, key: bytes | None = None
) -> str:
    """
    Put the ledger aside, and begin one whose first leaf names the old one's last checkpoint. It has a new key, hence a new name: the old
    one's witnesses would refuse it, as they should. Cut short anywhere, it can be called again.

    @param data: the data directory.
    @param name: of the gateway.
    @param key: PEM of the new ledger's key, when it is kept elsewhere; else one is made in C{data/keys}.
    @return: the new vkey.
    @raise ValueError: it is no Ed25519 key, or the old ledger was begun with it.
    @raise Locked: somebody writes the ledger.
    @raise LedgerError: there is none, or none of its checkpoints can be read.
    """
    files = files or Files()
    old, new = os.path.join(data, "ledger"), os.path.join(data, "ledger" + FRESH)
    given = parseKey(key, "the new key") if key is not None else None
    if not os.path.isdir(old) and os.path.isdir(new):  # cut short between the last two calls
        files.rename(new, old)
        files.syncDirectory(data)
        first = LedgerReader(old).first()
        publish(os.path.join(data, "keys"), files, first.public)
        return first.vkey
    if not os.path.isdir(old):
        raise LedgerError(f"there is no ledger in {data}")
    lock = os.open(os.path.join(old, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not tryLock(lock):
            raise Locked(f"{old} is written by {owner(os.path.join(old, 'lock'))}: stop the gateway")
        origin, checkpoint = _last(old, files)
        aside = os.path.join(data, f"ledger.old-{origin}")
        if os.path.exists(aside):
            raise LedgerError(f"{aside} is there already: move it away")
        if given is not None and originOf(name, given) == origin:
            raise ValueError("the old ledger was begun with this key: a new one needs a key of its own")
        shutil.rmtree(new, ignore_errors=True)
        keys = os.path.join(data, "keys")
        ledger = Ledger.open(new, prepareRotation(keys, files) if given is None else given, name, files, wall)
        try:
            ledger.append([leaf("continued", wall(), origin=origin, checkpoint=checkpoint)])
            ledger.checkpoint()
            vkey = ledger.vkey
        finally:
            ledger.close()
        if given is None:
            finishRotation(keys, files)
        files.rename(old, aside)
        files.rename(new, old)
        files.syncDirectory(data)
        if given is not None:
            publish(keys, files, publicBytes(given))
        return vkey
    finally:
        os.close(lock)


def _last(directory: str, files: Files) -> tuple[str, str]:
    """Name and newest checkpoint, with the ledger's own signatures alone: a leaf is short."""
    disk = Disk(directory, files)
    found = []
    for name in (CHECKPOINT, WITNESSED):
        note = disk.read(name)
        try:
            text, lines = split(note or b"")
            parsed = parseCheckpoint(text)
        except NoteError:
            continue
        found.append((parsed.size, parsed.origin, makeNote(text, [line for who, _, _, line in lines if who == parsed.origin])))
    if not found:
        raise LedgerError(f"{directory} has no checkpoint that can be read: nothing was ever published, so it can be moved away")
    _, origin, note = max(found)
    return origin, note.decode("utf-8")
