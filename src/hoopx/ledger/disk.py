# -*- test-case-name: tests.ledger.test_log -*-
"""
The ledger's files but its tail: whole or not at all.
"""

from __future__ import annotations

import os
from typing import Final

from hoopx.ledger.errors import LedgerDamaged
from hoopx.ledger.tiles import ENTRIES, WIDTH, decodeBundle, tilePath
from hoopx.ledger.tree import HASH
from hoopx.recording.files import Files

ORIGIN: Final = "origin"
"""The file with the vkey of the ledger's first key."""
CHECKPOINT: Final = "checkpoint"
"""The newest checkpoint."""
WITNESSED: Final = "witnessed"
"""The newest checkpoint that came back with cosignatures; C{checkpoint} may be newer."""
TEMPORARY: Final = ".new"


class Disk:
    """@param directory: C{data/ledger}."""

    def __init__(self, directory: str, files: Files) -> None:
        self.directory = directory
        self._files = files
        self._unsynced: set[str] = set()
        self._reached: set[str] = {directory}

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def read(self, name: str) -> bytes | None:
        """@return: C{None} when there is no such file."""
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def replace(self, name: str, data: bytes) -> None:
        """Durable when it returns."""
        self._put(name, data, True)
        self.sync()

    def sync(self) -> None:
        """Make the names safe that L{full} has made."""
        for folder in sorted(self._unsynced):
            self._files.syncDirectory(folder)
            # Its own name, and those above: who made them may have been killed before they were safe.
            while folder not in self._reached:
                self._reached.add(folder)
                folder = os.path.dirname(folder)
                self._files.syncDirectory(folder)
        self._unsynced.clear()

    def full(self, level: int | str, number: int, data: bytes) -> None:
        """Put a full tile or bundle; its name is safe after the next L{sync}."""
        name = tilePath(level, number)
        if self.read(name) != data:
            self._put(name, data, True)
        else:
            # Found after a crash: the bytes may be the kernel's only.
            self._again(name)

    def partial(self, level: int | str, number: int, width: int, data: bytes) -> None:
        """Put a partial one. It can be made again out of entries, so nothing waits for the disk."""
        name = tilePath(level, number, width)
        if self.read(name) != data:
            self._put(name, data, False)

    def forgetPartial(self, level: int | str, number: int) -> None:
        """Remove the partial ones of a full tile."""
        folder = self.path(tilePath(level, number) + ".p")
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return
        for name in names:
            self._files.unlink(os.path.join(folder, name))
        self._files.rmdir(folder)

    def tile(self, level: int, number: int) -> bytes:
        """@raise LedgerDamaged: a full tile is missing or has another length."""
        data = self.read(tilePath(level, number))
        if data is None or len(data) != WIDTH * HASH:
            raise LedgerDamaged(f"{self.path(tilePath(level, number))}: {'missing' if data is None else 'of the wrong length'}")
        return data

    def bundle(self, number: int) -> list[bytes]:
        """@raise LedgerDamaged: a full bundle is missing or has not 256 entries."""
        name = tilePath(ENTRIES, number)
        data = self.read(name)
        try:
            entries = decodeBundle(data) if data is not None else []
        except ValueError:
            entries = []
        if len(entries) != WIDTH:
            raise LedgerDamaged(f"{self.path(name)}: {'missing' if data is None else f'has not {WIDTH} entries'}")
        return entries

    def _put(self, name: str, data: bytes, durable: bool) -> None:
        path = self.path(name)
        folder = os.path.dirname(path)
        self._files.makeDirectories(folder)
        descriptor = self._files.create(path + TEMPORARY, os.O_TRUNC)
        try:
            self._files.writeAll(descriptor, data)
            if durable:
                self._files.fsync(descriptor)
        finally:
            self._files.close(descriptor)
        self._files.rename(path + TEMPORARY, path)
        if durable:
            self._unsynced.add(folder)

    def _again(self, name: str) -> None:
        path = self.path(name)
        descriptor = self._files.create(path, 0)
        try:
            self._files.fsync(descriptor)
        finally:
            self._files.close(descriptor)
        self._unsynced.add(os.path.dirname(path))
