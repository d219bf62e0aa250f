# -*- test-case-name: tests.curator.test_rebuilding -*-
"""
Brings the curator's list up to the ledger: what was appended and not noted before a kill, or all of it, when the list was lost. Receipts
are found again when a segment is to be stored once more (L{hoopx.curator.storing}).
"""

from __future__ import annotations

import os
from typing import Any, Final

from hoopx.curator.book import Book
from hoopx.ledger.leaf import parse
from hoopx.recording.opening import sessionDirectory
from hoopx.retention.clock import BASE, CONFIRMED, DOWN, LATEST
from hoopx.ulid import ulidTime

PAGE: Final = 1000
"""Leaves of one transaction."""
COVERED: Final = "ledger"
"""The fact that says how many leaves the list knows."""

ORIGIN: Final = "origin"
"""The fact that says which ledger that is."""


class _Times:
    """
    The times of the leaves, in the ledger's order.

    @param fresh: nothing is known of what the clocks were.
    @ivar newest: the latest so far, those of clocks that were wrong aside: when a person has said that a clock is right, no leaf that
        there was is later than that.
    """

    def __init__(self, book: Book, fresh: bool) -> None:
        self.newest: float = book.fact(LATEST) or 0.0
        self._confirmed = (None if fresh else book.fact(CONFIRMED)) or {"size": 0, "wall": 0.0}
        self._last: float | None = None
        self._fresh = fresh

    def take(self, index: int, at: float) -> float:
        """@return: seconds by which the clock may have been set forward before this leaf, where nothing else tells of that any more."""
        last, self._last = self._last, at
        self.newest = max(self.newest, min(at, self._confirmed["wall"]) if index < self._confirmed["size"] else at)
        if self._fresh and last is not None and at - last > DOWN:
            return at - last
        return 0.0


def catchUp(book: Book, ledger: Any, data: str) -> int:
    """
    Read what the list does not know of the ledger. Blocks.

    @return: how many leaves were read.
    """
    begin = at = book.fact(COVERED) or 0
    origin = getattr(ledger, "origin", "")
    if at > ledger.size or book.fact(ORIGIN) not in (None, origin):  # the list is of another ledger
        begin = at = 0
        book.otherLedger()
        book.setFact(CONFIRMED, None)
        base = book.fact(BASE)
        if base is not None:
            book.setFact(BASE, {**base, "size": 0})
    book.setFact(ORIGIN, origin)
    times = _Times(book, book.fact(BASE) is None)
    while at < ledger.size:
        rows: list[tuple[int, dict[str, Any], str, float]] = []
        for index, line in enumerate(ledger.entries(at, min(at + PAGE, ledger.size)), at):
            leaf = parse(line)
            gap = times.take(index, leaf["at"])
            if gap:
                book.relearn(rows, index)
                book.rebase(gap, leaf["at"], index)
                rows = []
            session = leaf.get("session")
            if session is not None:
                rows.append((index, leaf, _path(data, session), times.newest))
            at = index + 1
        book.relearn(rows, at)
    book.setFact(LATEST, times.newest)
    return at - begin


def _path(data: str, session: str) -> str:
    try:
        return sessionDirectory(data, session, ulidTime(session))
    except ValueError:
        return os.path.join(data, "recordings", session)
