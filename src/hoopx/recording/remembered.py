# -*- test-case-name: tests.recording.test_remembered -*-
"""
The newest checkpoint that an auditor has seen of a ledger, kept from one look to the next: a ledger that was rolled back, or forked, has
not grown out of it. For who has no witness; what happened before the first look is not found.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final
from urllib.parse import quote, unquote

from hoopx.ledger.note import MAX_NOTE, NoteError, parseCheckpoint, split
from hoopx.recording.files import Files, openRegular
from hoopx.recording.register import Register

SUFFIX: Final = ".checkpoint"


class Remembered:
    """
    @param path: a file, for one ledger; or a folder that is there, with a file for each.
    @ivar many: it is a folder.
    """

    def __init__(self, path: str, files: Files | None = None) -> None:
        self._path = path
        self.many = os.path.isdir(path)
        self._files = files or Files()

    def __call__(self, origin: str) -> bytes | None:
        """
        @param origin: of a ledger. Of a file its one checkpoint is the answer, whatever ledger that is of.
        @raise ValueError: what is there is no checkpoint.
        @raise OSError: it can not be read.
        """
        return self._read(self._file(origin))

    def origins(self) -> list[str]:
        """@return: the ledgers that are remembered."""
        if self.many:
            return sorted(unquote(name[: -len(SUFFIX)]) for name in os.listdir(self._path) if name.endswith(SUFFIX))
        note = self._read(self._path)
        return [] if note is None else [parseCheckpoint(split(note)[0]).origin]

    def gone(self, seen: Collection[str]) -> list[str]:
        """@return: ledgers that are remembered in a folder, and were not there. Of a file the one that was there is asked."""
        return [origin for origin in self.origins() if origin not in seen] if self.many else []

    def keep(self, register: Register) -> bool:
        """
        Remember what a ledger shows now, if that is sound.

        @return: C{True} if nothing was remembered of it before.
        @raise OSError: it can not be written.
        """
        if register.state != "consistent" or not register.note:
            return False
        path = self._file(register.origin)
        before = self._read(path)
        if before == register.note:
            return False
        folder = os.path.dirname(os.path.abspath(path))
        fresh = f"{path}.{os.getpid()}.new"
        descriptor = self._files.create(fresh, os.O_TRUNC, 0o644)
        try:
            self._files.writeAll(descriptor, register.note)
            self._files.fsync(descriptor)
        finally:
            self._files.close(descriptor)
        self._files.rename(fresh, path)
        self._files.syncDirectory(folder)
        return before is None

    def _file(self, origin: str) -> str:
        return os.path.join(self._path, quote(origin, safe="") + SUFFIX) if self.many else self._path

    def _read(self, path: str) -> bytes | None:
        try:
            with open(openRegular(path), "rb") as file:
                note = file.read(MAX_NOTE + 1)
        except FileNotFoundError:
            return None
        try:
            parseCheckpoint(split(note)[0])
        except NoteError as error:
            raise ValueError(f"{path} is no checkpoint: {error}") from None
        return note
