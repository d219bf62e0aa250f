# -*- test-case-name: tests.curator.test_locking -*-
"""
Keeps the store's locks as rules and holds want them: when a session has ended, all its segments are locked until its time is over, and
what a hold means is under a legal hold, whether it was stored before the hold was set or after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.outage import Outage
from hoopx.retention.rules import heldBy
from hoopx.storage.errors import NotStored, StorageError

PAGE: Final = 200
"""Sessions looked up at once."""
AGAIN: Final = 60.0
"""Seconds before a store that failed is asked again."""
MOST: Final = 10_000
"""Sessions that may wait to be looked at by name: when there are more, all are looked through."""
SLACK: Final = 1.0
"""Seconds: what a store cuts off a time, and nobody extends a lock for."""


class Locking:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param keep: callable(target, labels) -> seconds that a session is kept.
    @param threads: for the book.
    @param alarm: callable(alarm, text).
    """

    log = Logger()

    def __init__(
        self,
        book: Any,
        backend: Any,
        keep: Callable[[str, Mapping[str, str]], float],
        threads: Any,
        clock: Any,
        alarm: Callable[[str, str], None],
    ) -> None:
        self._book = book
        self._backend = backend
        self._keep = keep
        self._threads = threads
        self._clock = clock
        self._alarm = alarm
        self._holds: Sequence[Mapping[str, Any]] | None = None
        self._all = False
        self._fresh: dict[str, None] = {}
        self._busy = False
        self._more = False
        self._call: Any = None
        self._outage = Outage(clock)
        self._stopped = False

    def ruled(self, rules: str) -> Any:
        """@param rules: all of them, as a text. When they are others than before, what has ended is looked through again."""
        return self._threads.call(self._book.ruled, rules).addCallback(lambda _: self.lookThrough())

    def lookThrough(self) -> None:
        """Anything may have changed."""
        self._all = True
        self.wake()

    def holds(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """@param rows: the holds that hold now: C{session} or C{filter}. Before they are told, nothing is let go of."""
        self._holds = list(rows)
        self.lookThrough()

    @inlineCallbacks
    def hold(self, session: str, on: bool) -> Any:
        """
        A session is held, as is told here sooner than with all the others; or no longer, if no other hold that is known means it.

        @return: Deferred[None]
        """
        row = yield self._threads.call(self._book.session, session)
        if not on and row is not None and heldBy(self._holds or (), session, row["head"]) is not None:
            return  # the next time they are told this one is not among them
        receipts = yield self._threads.call(self._book.receipts, session)
        try:
            for number, receipt in receipts.items():
                yield self._backend.hold(receipt, on)
                yield self._threads.call(self._book.stored, session, number, evolve(receipt, held=on))
        except StorageError as error:
            self._alarm("hold", f"{session}: the store does not {'hold' if on else 'let go of'} its objects: {error}")

    @property
    def holding(self) -> bool:
        """Something is held, or nobody has said yet that nothing is."""
        return self._holds is None or bool(self._holds)

    def stored(self, session: str) -> None:
        """A segment of it is."""
        if len(self._fresh) < MOST:
            self._fresh[session] = None
        else:
            self._all = True
        self.wake()

    def wake(self) -> None:
        """There may be something to do."""
        if self._stopped or self._call is not None:
            return
        if self._busy:
            self._more = True
            return
        self._busy, self._more = True, False
        self._round().addErrback(self._failed).addCallback(self._over)

    def stop(self) -> None:
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    @inlineCallbacks
    def _round(self) -> Any:
        if self._all:
            self._all = False
            self._fresh.clear()
            try:
                yield self._through()
            except BaseException:
                self._all = True
                raise
        while self._fresh and not self._stopped:
            session = next(iter(self._fresh))
            del self._fresh[session]
            try:
                yield self._hold(session)
                yield self._extend(session)
            except BaseException:
                self._fresh[session] = None
                raise
        self._outage.over()

    @inlineCallbacks
    def _through(self) -> Any:
        yield self._extend(None)
        after = ""
        while not self._stopped and self._holds is not None:
            names = yield self._threads.call(self._book.stowed, after, PAGE)
            for session in names:
                yield self._hold(session)
            if len(names) < PAGE:
                return
            after = names[-1]

    @inlineCallbacks
    def _hold(self, session: str) -> Any:
        if self._holds is None:
            return  # when they are told, all is looked through
        row = yield self._threads.call(self._book.session, session)
        if row is None or row["erased"]:
            return
        wanted = heldBy(self._holds, session, row["head"]) is not None or (yield self._threads.call(self._book.isHeld, session))
        receipts = yield self._threads.call(self._book.receipts, session)
        for number, receipt in receipts.items():
            if receipt.held != wanted:
                try:
                    yield self._backend.hold(receipt, wanted)
                except NotStored:
                    continue  # verify names it
                yield self._threads.call(self._book.stored, session, number, evolve(receipt, held=wanted))

    @inlineCallbacks
    def _extend(self, session: str | None) -> Any:
        """Of sessions that are over and stored: one, or all."""
        while not self._stopped:
            rows = yield self._threads.call(self._book.unextended, session, PAGE)
            for row in rows:
                until = row["ended"] + self._keep(row["target"], row["labels"])
                receipts = yield self._threads.call(self._book.receipts, row["session"])
                for number, receipt in receipts.items():
                    if (receipt.retainUntil or 0.0) < until - SLACK:
                        try:
                            yield self._backend.retain(receipt, until)
                        except NotStored:
                            continue
                        yield self._threads.call(self._book.stored, row["session"], number, evolve(receipt, retainUntil=until))
                yield self._threads.call(self._book.extended, row["session"])
            if len(rows) < PAGE:
                return

    def _failed(self, failure: Failure) -> bool:
        why = failure.getErrorMessage() or failure.type.__name__
        if not failure.check(StorageError):
            self.log.failure("The store's locks can not be set.", failure)
        if self._outage.failed():
            self._alarm("store-locks", f"holds and locks can not be set in the store: {why}; it is asked again")
        return True

    def _over(self, failed: Any) -> None:
        self._busy = False
        if self._stopped:
            return
        if failed:
            self._call = self._clock.callLater(AGAIN, self._again)
        elif self._more:
            self._call = self._clock.callLater(0, self._again)

    def _again(self) -> None:
        self._call = None
        self.wake()
