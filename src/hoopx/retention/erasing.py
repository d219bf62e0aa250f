# -*- test-case-name: tests.retention.test_erasing -*-
"""
Erases a session that nobody need keep any longer: the stored objects, the local files, the index, and last the leaf that says so. Each
step may be done again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks

from hoopx.errors import HoopxError
from hoopx.ledger.leaf import leaf
from hoopx.recording.files import Files
from hoopx.retention.rules import Keeping
from hoopx.storage.errors import NotStored

PAGE: Final = 100
"""Sessions told at once: each has a HEAD's names, some 400 bytes."""


class NotErased(HoopxError):
    """A session is not erased. The text says why."""


class Eraser:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param guard: L{hoopx.retention.clock.ClockGuard}.
    @param scribe: L{hoopx.curator.scribe.Scribe}.
    @param threads: for the book and the files.
    @param backend: L{hoopx.interfaces.IStorageBackend} or C{None}.
    @param index: has C{erase(session)} -> Deferred (L{hoopx.curator.cleaning}), or C{None}.
    """

    def __init__(
        self,
        book: Any,
        keeping: Keeping,
        guard: Any,
        scribe: Any,
        threads: Any,
        wall: Callable[[], float],
        files: Files,
        backend: Any = None,
        index: Any = None,
    ) -> None:
        self._book = book
        self._guard = guard
        self._scribe = scribe
        self._threads = threads
        self._wall = wall
        self._files = files
        self._backend = backend
        self._index = index
        self.keeping = keeping

    def expired(self, after: str) -> list[dict[str, Any]]:
        """
        In a thread: sessions whose time is over, by name, from the one after C{after} on; at most L{PAGE}, so many fewer only at the
        end. C{held} says why one is not erased, for a hold that is known here.

        @raise NotErased: the clock is not to be believed.
        """
        self._believe()
        found: list[dict[str, Any]] = []
        now = self._wall()
        for row in self._book.ended(now - self.keeping.least, after):
            if row["head"] is None:
                continue  # which rules speak of it nobody knows (L{hoopx.curator.heads})
            keep = self.keeping.seconds(row["target"], row["labels"])
            if row["ended"] + keep <= now:
                held = self._book.keeps(row["session"], row["head"])
                found.append({"session": row["session"], "ended": row["ended"], "keep": keep, "head": row["head"], "held": held})
                if len(found) == PAGE:
                    break
        return found

    def _believe(self) -> None:
        doubt = self._guard.look()
        if doubt is not None:
            raise NotErased(f"nothing is erased: {doubt}. If the clock is right now: hoopx retention run --confirm-clock")

    @inlineCallbacks
    def erase(self, session: str, audit: str) -> Any:
        """
        @param audit: the hash of the audit's row about it.
        @return: Deferred[index of the leaf]; fails with L{NotErased} or a storage error, and can be tried again.
        """
        path = yield self._threads.call(self._due, session)
        receipts = yield self._threads.call(self._book.receipts, session)
        if receipts and self._backend is None:
            raise NotErased("it is stored in a store that is not in the configuration any more")
        for receipt in receipts.values():
            yield self._threads.call(self._due, session)  # a store may take its time, and a hold that comes meanwhile stops it
            try:
                yield self._backend.delete(receipt)
            except NotStored:
                pass
        yield self._threads.call(self._remove, session, path)
        if self._index is not None:  # after the files: whoever looks through the disk meanwhile would put it down again
            yield self._index.erase(session)
        (index,) = yield self._scribe.append([leaf("erased", self._wall(), session=session, audit=audit)])
        yield self._threads.call(self._book.erased, session)
        return index

    def _due(self, session: str) -> str:
        """@return: its directory. @raise NotErased: its time is not over."""
        self._believe()
        row = self._book.session(session)
        if row is None or row["ended"] is None or row["erased"]:
            raise NotErased("there is no such session that is over")
        if row["head"] is None:
            raise NotErased("what it is is not known, and so not which rule is its: it is kept")
        held = self._book.keeps(session, row["head"])
        if held is not None:
            # The state store is asked before; one that was restored from an old copy does not know of it.
            raise NotErased(held)
        if row["ended"] + self.keeping.seconds(row["target"], row["labels"]) > self._wall():
            raise NotErased("its time is not over")
        path: str = row["path"]
        return path

    def _remove(self, session: str, path: str) -> None:
        self._due(session)
        try:
            names = os.listdir(path)
        except FileNotFoundError:
            return
        for name in sorted(names):
            self._files.unlink(os.path.join(path, name))
        self._files.rmdir(path)
        self._files.syncDirectory(os.path.dirname(path))
