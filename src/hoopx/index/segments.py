# -*- test-case-name: tests.index.test_rebuild -*-
"""
The sealed segments of all sessions of a gateway, in its data directory and in its store, as the index reads them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from heapq import merge
from typing import Iterator

from hoopx.frames import HEAD, LINK, FrameError, segmentName, unpack
from hoopx.reading import Opener, readSegment
from hoopx.recording import catalogue
from hoopx.recording.elsewhere import Place, placed
from hoopx.recording.opening import sessionDirectory
from hoopx.recording.stored import openSegment
from hoopx.ulid import ulidTime
from hoopx.values import Frame


class Places:
    """
    Where the sessions are.

    @param data: the gateway's data directory.
    @param stored: session -> L{Place} of what is in the store; what is in directories need not be told.
    @param store: which store that is, as the configuration names it.
    """

    def __init__(self, data: str, stored: Mapping[str, Place] | None = None, store: str = "") -> None:
        self._data = data
        self._store = store
        self.stored: Mapping[str, Place] = {} if stored is None else stored

    def paths(self) -> Iterator[str]:
        """The directories of all sessions, newest first; of those that are in the store alone, where they would be."""
        elsewhere = [path for path in map(self.path, self.stored) if path is not None and not os.path.isdir(path)]
        elsewhere.sort(key=os.path.basename, reverse=True)
        return merge(catalogue.paths(self._data), elsewhere, key=os.path.basename, reverse=True)

    def path(self, session: str) -> str | None:
        """@return: where a session's directory is, or would be; C{None}: it is no session."""
        try:
            return sessionDirectory(self._data, session, ulidTime(session))
        except ValueError:
            return None

    def placed(self, path: str) -> Place:
        """
        @param path: of L{paths}.
        @raise ValueError: its marker is none.
        @raise OSError: it can not be read.
        """
        known = self.stored.get(os.path.basename(path))
        if not os.path.isdir(path):
            if known is None:
                raise FileNotFoundError(2, "the session's recording is neither here nor in the store", path)
            return Place(known.session, path, known.objects, self._store)
        found = placed(path)
        if known is None or found.objects:  # a marker says which store it is
            return found
        return Place(found.session, path, known.objects, self._store)

    def sealed(self, path: str) -> list[int]:
        """
        @return: numbers of a session's sealed segments, in order, without a gap.
        @raise ValueError: as L{placed}, and C{OSError}.
        """
        names = set(self.placed(path).objects)
        try:
            names.update(os.listdir(path))
        except FileNotFoundError:
            pass
        numbers: list[int] = []
        while segmentName(len(numbers)) in names:
            numbers.append(len(numbers))
        return numbers

    def there(self, session: str) -> bool:
        """Is there anything of a session by now?"""
        path = self.path(session)
        return session in self.stored or (path is not None and os.path.isdir(path))


class Segments:
    """
    Callable(session, number), as L{hoopx.index.writer.IndexWriter} wants it.

    @param places: L{Places}, or the gateway's data directory.
    @param opener: opens segments; with an auditor's identities also those that are encrypted (L{hoopx.recording.stored.opener}), and
        those in the store (L{hoopx.recording.fetching.Fetching}).
    """

    def __init__(self, places: Places | str, opener: Opener = openSegment) -> None:
        self._places = Places(places) if isinstance(places, str) else places
        self._opener = opener

    def __call__(self, session: str, number: int) -> Iterator[Frame]:
        """
        @raise OSError: it is not there.
        @raise hoopx.frames.FrameError: it is damaged, or another session's: whoever may put something into the store can give it any name.
        @raise hoopx.recording.stored.Encrypted: the opener has no identity for it.
        @raise hoopx.recording.fetching.Away: the store can not be had.
        """
        folder = self._places.path(session)
        if folder is None or not self._places.there(session):
            raise FileNotFoundError(2, "the session's recording is not here", session)
        name = segmentName(number)
        with self._opener(os.path.join(folder, name)) as file:
            for count, frame in enumerate(readSegment(file, name)):
                if not count and frame.kind in (HEAD, LINK) and (other := unpack(frame.payload).get("session")) != session:
                    raise FrameError(name, 0, 0, f"the segment is of another session: {other}")
                yield frame
