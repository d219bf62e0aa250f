# -*- test-case-name: tests.cli.test_away -*-
"""
Opens segments that are in a store and no longer in their session's directory: each is fetched when it is read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, Final

from hoopx.errors import HoopxError
from hoopx.reading import Opener
from hoopx.recording.elsewhere import Place, placed
from hoopx.storage.errors import NotStored

KEPT: Final = 64 << 20
"""Bytes of fetched objects that are kept: head and end of a session are read before the rest of it. Two stay in any case."""


class Away(HoopxError):
    """Segments can not be had. The text says where they are."""


@contextmanager
def _silent(title: str, total: int) -> Iterator[Callable[[int], object]]:
    yield lambda count: None


class Fetching:
    """
    An L{Opener}.

    @param opener: opens what is a file.
    @param store: callable(a store's reference) -> what has C{fetch(object name, path, told)}, see L{hoopx.storage.reading}.
    @param progress: callable(title, bytes) -> context manager of callable(bytes that have come).
    @param placed: callable(a session's directory) -> L{Place}.
    @param keep: bytes of fetched objects that are kept.
    """

    def __init__(
        self,
        opener: Opener,
        store: Callable[[str], Any],
        progress: Callable[[str, int], AbstractContextManager[Callable[[int], object]]] = _silent,
        placed: Callable[[str], Place] = placed,
        keep: int = KEPT,
    ) -> None:
        self._opener = opener
        self._store = store
        self._progress = progress
        self._keep = keep
        self._where = placed
        self._stores: dict[str, Any] = {}
        self._place: Place | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copies: dict[str, int] = {}

    def __call__(self, path: str) -> IO[bytes]:
        try:
            return self._opener(path)
        except FileNotFoundError:
            place = self._placed(os.path.dirname(path))
            name = os.path.basename(path)
            if name not in place.objects:
                raise
        return self._opener(self._fetched(place, name))

    def size(self, path: str) -> int | None:
        """@return: bytes of a segment that is not here, without fetching it; C{None} when that is not known."""
        place = self._placed(os.path.dirname(path))
        return place.sizes.get(os.path.basename(path))

    def away(self, path: str) -> list[str]:
        """@param path: a session's directory. @return: names of the segments that are not in it."""
        return [name for name in sorted(self._placed(path).objects) if not os.path.exists(os.path.join(path, name))]

    def close(self) -> None:
        """Remove what was fetched."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
            self._copies.clear()

    def _placed(self, path: str) -> Place:
        if self._place is None or self._place.path != path:
            self._place = self._where(path)
        return self._place

    def _fetched(self, place: Place, name: str) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hoopx-")
        key = os.path.join(place.session, name)
        copy = os.path.join(self._folder.name, key)
        if key in self._copies:
            self._copies[key] = self._copies.pop(key)  # the latest
            return copy
        os.makedirs(os.path.dirname(copy), 0o700, exist_ok=True)
        self._makeRoom()
        try:
            if place.store not in self._stores:
                self._stores[place.store] = self._store(place.store)
            with self._progress(f"Fetching {name}", place.sizes.get(name, 0)) as told:
                self._stores[place.store].fetch(place.objects[name], copy, told)
        except (NotStored, FileNotFoundError):
            _forget(copy)
            raise Away(f"{name} of session {place.session} is not in {place.store} any more, as {place.objects[name]}") from None
        except (HoopxError, OSError, ValueError) as error:
            _forget(copy)
            said = getattr(error, "strerror", None) or str(error)
            raise Away(
                f"the segments of session {place.session} are in {place.store}, as {place.objects[name]}, "
                f"and can not be fetched: {said}"
            ) from None
        self._copies[key] = os.path.getsize(copy)
        return copy

    def _makeRoom(self) -> None:
        """The last one stays whatever its size: a reader tells a file from the one before by its inode."""
        assert self._folder is not None
        while len(self._copies) > 1 and sum(self._copies.values()) > self._keep:
            oldest = next(iter(self._copies))
            del self._copies[oldest]
            os.unlink(os.path.join(self._folder.name, oldest))


def _forget(copy: str) -> None:
    """What came before it broke off."""
    try:
        os.unlink(copy)
    except FileNotFoundError:
        pass
