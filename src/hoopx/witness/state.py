# -*- test-case-name: tests.witness.test_state -*-
"""
What a witness remembers: of each ledger the newest checkpoint that it has cosigned. And its key.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Final

from hoopx.ledger.disk import Disk
from hoopx.ledger.keys import loadKey
from hoopx.ledger.note import Checkpoint, Cosigner, NoteError, Verifier, parseCheckpoint, split
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked, tryLock
from hoopx.witness.errors import WitnessDamaged

VKEY: Final = "witness.vkey"
KEY: Final = "witness.key"


class State:
    """
    A directory: C{witness.vkey}, C{keys/witness.key}, C{lock}, and C{HASH.checkpoint} for each ledger (SHA-256 of its origin).

    @ivar cosigner: the witness's own key.
    @raise Locked: another witness uses it: two of them could tell two stories.
    @raise WitnessDamaged: it belongs to a witness of another name.
    """

    def __init__(self, directory: str, name: str | None, files: Files | None = None) -> None:
        """@param name: of the witness; C{None} for the one that it has got at its first start."""
        files = files or Files()
        above = files.makeDirectories(directory)
        for folder in above or [os.path.dirname(os.path.abspath(directory))]:
            files.syncDirectory(folder)
        self._disk = Disk(directory, files)
        self._lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not tryLock(self._lock):
                raise Locked(f"{directory} is another witness's")
            self.cosigner = self._cosigner(directory, name, files)
        except BaseException:
            self.close()
            raise

    def latest(self, origin: str) -> Checkpoint | None:
        """
        @return: C{None} when none was cosigned.
        @raise WitnessDamaged: it can not be read.
        """
        name = _name(origin)
        note = self._disk.read(name)
        if note is None:
            return None
        try:
            found = parseCheckpoint(split(note)[0])
        except NoteError as error:
            raise WitnessDamaged(f"{self._disk.path(name)}: {error}") from None
        if found.origin != origin:
            raise WitnessDamaged(f"{self._disk.path(name)}: it is of another ledger, {found.origin}")
        return found

    def keep(self, origin: str, note: bytes) -> None:
        """Durable when it returns."""
        self._disk.replace(_name(origin), note)

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _cosigner(self, directory: str, name: str | None, files: Files) -> Cosigner:
        kept = self._disk.read(VKEY)
        known = None if kept is None else Verifier.parse(kept.decode("utf-8"))
        if known is None and name is None:
            raise WitnessDamaged(f"{directory} is new: the witness needs a name")
        key = loadKey(os.path.join(directory, "keys"), files, create=known is None, name=KEY)
        found = Cosigner(name or (known.name if known else ""), key)
        if known is None:
            self._disk.replace(VKEY, found.vkey.encode() + b"\n")
        elif known.vkey != found.vkey:
            raise WitnessDamaged(f"{directory} is of the witness {known.vkey}, not {found.vkey}")
        return found


def _name(origin: str) -> str:
    return sha256(origin.encode()).hexdigest() + ".checkpoint"
