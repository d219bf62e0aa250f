# -*- test-case-name: tests.recording.test_evidence -*-
"""
A whole folder: its ledger, every session in it against the ledger, and those that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from attrs import frozen

from hoopx.frames import Opener
from hoopx.ledger.keys import publicKey
from hoopx.recording.folder import isData, sessionsBelow
from hoopx.recording.register import Register
from hoopx.recording.stored import openSegment
from hoopx.recording.verify import Problem, Verdict, verifySession

GOOD = frozenset({"complete", "recovered", "live", "interrupted", "never connected", "erased"})
"""States of a session that are no reason for exit status 1."""


@frozen
class Evidence:
    """
    @ivar path: a data directory, a folder somewhere, or one session's.
    @ivar inquire: reads the ledger; called again when what it said does not fit a session, which may have gone on since. C{None}
        when there is none.
    @ivar opener: opens segments.
    """

    path: str
    inquire: Callable[[], Register] | None = None
    opener: Opener = openSegment

    def run(self, began: Callable[[Register | None], object] = lambda register: None) -> Iterator[Verdict]:
        """
        Verdicts on all sessions, in the order of the folder; what is doubtful at first sight comes at the end.

        @param began: told of the ledger before the first session, and again if it was read anew.
        @raise OSError: the folder can not be read.
        """
        register = self.inquire() if self.inquire is not None else None
        began(register)
        seen = set()
        doubtful = []
        for path in sessionsBelow(self.path):
            seen.add(os.path.basename(os.path.abspath(path)))
            verdict = self._judge(path, register)
            if verdict.state in GOOD or register is None or register.book is None:
                yield verdict
            else:
                doubtful.append(path)
        missing = self._missing(register, seen)
        if doubtful or any(verdict.state == "missing" for verdict in missing):
            assert self.inquire is not None
            register = self.inquire()
            began(register)
            for path in doubtful:
                yield self._judge(path, register)
            seen.update(os.path.basename(os.path.abspath(path)) for path in sessionsBelow(self.path))  # begun since
            missing = self._missing(register, seen)
        yield from missing

    def _judge(self, path: str, register: Register | None) -> Verdict:
        session = os.path.basename(os.path.abspath(path))
        book = register.book if register is not None else None
        keys = register.keys if register is not None and register.keys else None
        if book is None:
            known = None if isLone(self.path) or not isData(self.path) else publicKey(self.path)
            return self._read(path, lambda: verifySession(path, keys or known, opener=self.opener))
        if book.erased(session):
            return Verdict(session, "erased", logged=True)
        return book.judged(self._read(path, lambda: verifySession(path, keys, attested=book.attested(session), opener=self.opener)))

    def _read(self, path: str, read: Callable[[], Verdict]) -> Verdict:
        try:
            return read()
        except OSError as error:
            name = os.path.basename(os.path.abspath(path))
            return Verdict(name, "TAMPERED", [Problem("", None, f"can not be read: {error.strerror or error}")])

    def _missing(self, register: Register | None, seen: set[str]) -> list[Verdict]:
        if register is None or register.book is None or isLone(self.path):
            return []
        return list(register.book.missing(seen))


def isLone(path: str) -> bool:
    """Is it one session's directory?"""
    with os.scandir(path) as entries:
        return any(entry.name.endswith(".hxr") for entry in entries)
