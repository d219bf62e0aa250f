# -*- test-case-name: tests.recording.test_evidence -*-
"""
A whole folder: its ledger, every session in it against the ledger, and those that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from attrs import frozen

from hoopx.errors import HoopxError
from hoopx.frames import segmentName
from hoopx.ledger.keys import publicKey
from hoopx.reading import Opener
from hoopx.recording.book import Book
from hoopx.recording.elsewhere import MARKER, Place, away, inStore, placed, together
from hoopx.recording.files import irregular, openRegular
from hoopx.recording.folder import isData, sessionsBelow
from hoopx.recording.register import Register
from hoopx.recording.segment import NEXT
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
    @ivar store: C{fetch(object name, path)}: has segments of which there is no local copy any more. C{None}: then they are not checked.
    @ivar objects: names of all objects of the store, where that is all there is; then C{path} does not count.
    """

    path: str
    inquire: Callable[[], Register] | None = None
    opener: Opener = openSegment
    store: Any = None
    objects: Sequence[str] | None = None

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
        for place in self._places():
            seen.add(place.session)
            verdict = self._judge(place, register)
            if verdict.state in GOOD or register is None or register.book is None:
                yield verdict
            else:
                doubtful.append(place)
        missing = self._missing(register, seen)
        if doubtful or any(verdict.state == "missing" for verdict in missing):
            assert self.inquire is not None
            register = self.inquire()
            began(register)
            for place in doubtful:
                yield self._judge(place, register)
            seen.update(place.session for place in self._places())  # begun since
            missing = self._missing(register, seen)
        yield from missing

    def _places(self) -> Iterator[Place]:
        if self.objects is not None:
            yield from inStore(self.objects)
            return
        for path in sessionsBelow(self.path):
            try:
                yield placed(path)
            except (ValueError, OSError):
                yield Place(os.path.basename(path), path)  # what a marker should have told is missed

    def _judge(self, place: Place, register: Register | None) -> Verdict:
        book = register.book if register is not None else None
        try:
            if place.path is not None and place.path != self.path and os.path.islink(place.path):
                why = "its directory is a symbolic link, which is not followed"
                return Verdict(place.session, "unchecked", [Problem("", None, why)])
            if (what := _marker(place)) is not None:
                return Verdict(place.session, "unchecked", [Problem(MARKER, None, what)])
            if book is not None and book.erased(place.session):
                return self._left(place, book)
            if book is not None and (why := _more(place, book)):
                return Verdict(place.session, "TAMPERED", [Problem(MARKER, None, why)], logged=True)
            if self.store is None and (gone := away(place)):
                why = f"it is in the store {place.store}, and no longer here: say where that is with --store"
                return Verdict(place.session, "unchecked", [Problem(gone[0], None, why)])
            with together(place, self.store) as path:
                return self._read(path, register, book, path != place.path)
        except (OSError, HoopxError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return Verdict(place.session, "unchecked", [Problem("", None, f"can not be read: {why}")])

    def _left(self, place: Place, book: Book) -> Verdict:
        """What there is of a session that is erased: nothing, or what is on its way out, and nothing else under its name."""
        said = book.attested(place.session)
        try:
            # Of a session of the ledger before this one only that one knows.
            names = sorted(os.listdir(place.path)) if place.path is not None and said.key is not None else []
        except FileNotFoundError:
            names = []
        for name in names:
            if name.endswith(".hxr") and name != NEXT and not self._sealed(os.path.join(str(place.path), name), name, said.sealed):
                why = "the ledger says that this session is erased, and this is none of its segments"
                return Verdict(place.session, "TAMPERED", [Problem(name, None, why)], logged=True)
        return Verdict(place.session, "erased", logged=True)

    def _sealed(self, path: str, name: str, sealed: Mapping[int, tuple[str, str]]) -> bool:
        sha = sha256()
        try:
            with open(openRegular(path, follow=False), "rb") as file:
                while data := file.read(1 << 20):
                    sha.update(data)
        except FileNotFoundError:
            return True  # gone meanwhile
        return any(segmentName(number) == name and said[1] == sha.hexdigest() for number, said in sealed.items())

    def _read(self, path: str, register: Register | None, book: Book | None, linked: bool) -> Verdict:
        keys = register.keys if register is not None and register.keys else None
        if book is not None:
            session = os.path.basename(path)
            return book.judged(verifySession(path, keys, attested=book.attested(session), opener=self.opener, linked=linked))
        if register is None and self.objects is None and isData(self.path):
            return verifySession(path, publicKey(self.path), opener=self.opener, linked=linked)
        return verifySession(path, keys, opener=self.opener, linked=linked)

    def _missing(self, register: Register | None, seen: set[str]) -> list[Verdict]:
        if register is None or register.book is None or (self.objects is None and isLone(self.path)):
            return []
        return list(register.book.missing(seen))


def _marker(place: Place) -> str | None:
    """@return: what stands where a session's marker should be, if that is no file."""
    if place.path is None:
        return None
    try:
        return irregular(os.lstat(os.path.join(place.path, MARKER)).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _more(place: Place, book: Book) -> str:
    """@return: what a marker tells of segments that there were never."""
    said = book.attested(place.session)
    more = [name for name in place.objects if said.ended is not None and int(name[:-4]) >= said.segments]
    return f"it names {more[0]}, and the ledger has {said.segments} segments" if more and place.path is not None else ""


def isLone(path: str) -> bool:
    """Is it one session's directory?"""
    with os.scandir(path) as entries:
        return any(entry.name.endswith(".hxr") or entry.name == MARKER for entry in entries)
