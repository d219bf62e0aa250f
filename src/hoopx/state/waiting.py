# -*- test-case-name: tests.state.test_waiting -*-
"""
Rows of the audit that wait until the state store takes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hoopx.state.aside import Aside, isRefused, reason
from hoopx.state.store import Store
from hoopx.state.thread import Threads

AGAIN: Final = 5.0
"""Seconds before a state store that failed is tried again."""
WAITING: Final = 1000
"""Rows that wait: hours of alarms of several kinds, more acts than somebody asks for meanwhile. Further ones are counted."""
REFUSED: Final = 3
"""Times that the store refuses a row by itself before that is put aside: were it for ever, nothing behind it would be written."""


class Waiting:
    """
    They are written in their order, one page at a time, and again until it works. Where the store does not take a value, they are written
    one by one until the row that has it is found; that is put aside, and those behind it go on. What may have been committed although its
    write has failed is not written twice: the ledger would have it once.

    @param threads: where the store's calls run.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param page: rows of one write, with those of C{last}.
    @param last: callable(count, lost) -> rows that are written behind all that wait, so many; C{lost}: how many could not even wait.
        At most one row, and one when any is lost.
    @param written: callable(), when a page is.
    @param failed: callable(failure), when one can not be. It is tried again, unless this has stopped.
    @param aside: where rows are kept that are refused; C{None}: they are tried for ever.
    """

    def __init__(
        self,
        store: Store,
        threads: Threads,
        clock: Any,
        page: int,
        last: Callable[[int, int], list[dict[str, Any]]],
        written: Callable[[], Any],
        failed: Callable[[Failure], Any],
        aside: Aside | None = None,
    ) -> None:
        self._store = store
        self._threads = threads
        self._clock = clock
        self._page = page
        self._last = last
        self._written = written
        self._failed = failed
        self._aside = aside
        self._single = 0  # rows to be written one by one
        self._refused = 0  # times that the first of them was
        self._doubtful = False  # some of the first page's may be there
        self._rows: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._busy: Deferred[None] | None = None
        self._call: Any = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: dict[str, Any]) -> None:
        """For the next write."""
        if len(self._rows) < WAITING:
            self._rows.append(row)
        else:
            self._lost += 1

    def write(self) -> None:
        """Now; while a write is under way, or has failed and is to be tried again, behind that."""
        if self._busy is None and self._call is None:
            self._again()

    def later(self) -> None:
        """In a while, if nothing is under way."""
        if self._busy is None and self._call is None and not self._stopped:
            self._call = self._clock.callLater(AGAIN, self._again)

    def stop(self) -> Deferred[None] | None:
        """What was to be tried again is, once. @return: when all is written, or can not be; C{None}: nothing is under way."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._again()
        return self._busy

    def _again(self) -> None:
        self._call = None
        busy = self._busy = Deferred() if self._busy is None else self._busy
        page = 1 if self._single else self._page
        rows = list(islice(self._rows, page))
        count, lost = len(rows), 0
        if count < page:
            lost = self._lost
            rows += self._last(count, lost)

        def written(_: Any) -> None:
            for _ in range(count):
                self._rows.popleft()
            self._lost -= lost
            self._doubtful = self._doubtful and self._single > 1
            if self._single:
                self._single -= 1
                self._refused = 0
                self._again()  # also when it was the last one: L{last} has still to be written
                return
            self._written()
            if self._rows or self._lost:
                self._again()
            else:
                self._busy = None
                busy.callback(None)

        def failed(failure: Failure) -> None:
            if self._aside is not None and count and isRefused(failure):
                self._refused += self._single > 0
                self._single = self._single or count
                if self._refused >= REFUSED:
                    aside = self._aside
                    kept = self._threads.call(aside.keep, rows[0], reason(failure.value))
                    kept.addCallback(lambda _: aside.told(rows[0])).addCallbacks(written, away)
                    return
            away(failure)

        def away(failure: Failure) -> None:
            self._doubtful = True
            self._failed(failure)  # may add a row, which is none to try at once
            self._busy = None
            self.later()
            busy.callback(None)

        again = (True,) if self._doubtful else ()
        self._threads.call(self._store.addAudit, rows, *again).addCallbacks(written, failed)
