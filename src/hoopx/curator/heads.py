# -*- test-case-name: tests.curator.test_heads -*-
"""
Learns again what HEAD says, for sessions of which the list knows nothing else: it was lost, and the ledger holds no names. Until it is
known, no rule can be said to speak of a session or not, and nobody erases it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.tail import headOf
from hoopx.errors import HoopxError
from hoopx.frames import segmentName
from hoopx.heading import shaped
from hoopx.recording.catalogue import readHead
from hoopx.recording.elsewhere import placed
from hoopx.recording.stored import unpacked

PAGE: Final = 200
"""Sessions looked up at once."""
EVERY: Final = 600.0
"""Seconds until those that are still unknown are looked for again: an auditor may have put a recording back, a store have returned."""


class Heads:
    """
    @param backend: L{hoopx.interfaces.IStorageBackend} or C{None}.
    @param index: has C{head(session)}, or C{None}: what is encrypted can not be read here, and its names stand in the index.
    @param threads: for the book.
    @param bench: threads for files.
    @param alarm: callable(alarm, text).
    @param learned: callable(): something is known that was not.
    @ivar unknown: sessions of which nothing is known.
    """

    log = Logger()

    def __init__(
        self,
        book: Any,
        backend: Any,
        index: Any,
        threads: Any,
        bench: Any,
        clock: Any,
        alarm: Callable[[str, str], None],
        learned: Callable[[], None] = lambda: None,
    ) -> None:
        self._book = book
        self._backend = backend
        self._index = index
        self._threads = threads
        self._bench = bench
        self._clock = clock
        self._alarm = alarm
        self._learned = learned
        self._call: Any = None
        self._stopped = False
        self._told = False
        self.unknown = 0

    def start(self) -> None:
        """Look, and go on looking while there are any."""
        self._call = None

        def over(result: Any) -> None:
            if isinstance(result, Failure):
                self.log.failure("The heads of recordings can not be looked for.", result)
            if not self._stopped:
                self._call = self._clock.callLater(EVERY, self.start)

        self._round().addBoth(over)

    def stop(self) -> None:
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    @inlineCallbacks
    def _round(self) -> Any:
        self.unknown = yield self._threads.call(self._book.headless)
        left, after = 0, ""
        while not self._stopped:
            page = yield self._threads.call(self._book.headlessAfter, after, PAGE)
            for session, path in page:
                head = yield self._bench.call(self._here, session, path)
                if head is None and self._backend is not None:
                    head = yield self._there(session)
                if head is None:
                    left += 1
                elif not self._stopped:
                    yield self._threads.call(self._book.learned, session, head)
                    self.unknown -= 1
                    self._learned()
            if len(page) < PAGE:
                break
            after = page[-1][0]
        if left and not self._told:
            self._told = True
            self._alarm(
                "retention-unknown",
                f"what {left} sessions are cannot be learned again since the curator's list was lost: they are not erased, "
                "whatever the rules say",
            )
        self._told = bool(left)

    def _here(self, session: str, path: str) -> dict[str, Any] | None:
        """In a thread: from what is on this machine."""
        try:
            head = readHead(os.path.join(path, segmentName(0)))
            if head is not None:
                return head
        except (OSError, HoopxError, ValueError):
            pass
        try:
            said = placed(path).summary.get("head")
            if isinstance(said, dict) and said.get("target"):
                return shaped(said)
        except (OSError, ValueError):
            pass
        if self._index is None:
            return None
        try:
            found: dict[str, Any] | None = self._index.head(session)
        except Exception as error:  # whatever a database may say: it only helps
            self.log.warn("{session}: the index can not be asked ({kind})", session=session, kind=type(error).__name__)
            return None
        return found

    @inlineCallbacks
    def _there(self, session: str) -> Any:
        """@return: Deferred[HEAD's object from the store, or C{None}]."""
        receipt = (yield self._threads.call(self._book.receipts, session)).get(0)
        if receipt is None:
            return None
        try:
            file = yield self._backend.open(receipt)
            head = yield self._bench.call(_read, file)
        except (OSError, HoopxError, ValueError):
            return None
        return head


def _read(file: Any) -> dict[str, Any]:
    with file, unpacked(file, segmentName(0)) as plain:
        return headOf(plain, segmentName(0))
