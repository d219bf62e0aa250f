# -*- test-case-name: tests.curator.test_acts -*-
"""
Takes rows of the audit into the ledger in their order. One that fails is told again by the gateway, and until then none behind it gets
its leaf: where the gateway goes on after a crash is never behind a row that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.python.failure import Failure

from hoopx.curator.commands import CuratorFailed

TOGETHER: Final = 500
"""Rows of one write: see L{hoopx.curator.scribe.TOGETHER}. At the most as many wait as the gateway tells at once
(L{hoopx.curator.trail.PAGE})."""

Waiting = tuple[int, str, bytes, "Deferred[list[int]]"]


class Acts:
    """
    @param append: callable(leaves) -> Deferred[their indexes]: all of them are durable, or none is.
    @param keep: callable(row, hash) -> Deferred: so far the audit is in the ledger.
    @ivar audited: the last such row, and its hash.
    """

    def __init__(
        self, append: Callable[[Sequence[bytes]], Any], keep: Callable[[int, str], Any], audited: tuple[int, str] = (0, "")
    ) -> None:
        self._append = append
        self._keep = keep
        self._waiting: list[Waiting] = []
        self._busy = False
        self._lapsed: int | None = None
        self.audited = audited

    def add(self, row: int, audit: str, line: bytes) -> Deferred[list[int]]:
        """
        @param row: its number, C{0} for none; C{audit}: its hash; C{line}: its leaf.
        @return: Deferred[[index]], when it is durable; fails with L{CuratorFailed}.
        """
        self._inTurn(row)
        done: Deferred[list[int]] = Deferred()
        self._waiting.append((row, audit, line, done))
        if not self._busy:
            self._write()
        return done

    @inlineCallbacks
    def alone(self, row: int, audit: str, work: Callable[[], Any]) -> Any:
        """
        Do something of which a row is, and that has a leaf of its own. The gateway asks for nothing else meanwhile.

        @return: Deferred of what it returns.
        """
        self._inTurn(row)
        try:
            found = yield work()
            yield self._upTo([(row, audit)])
        except BaseException:
            self._lapse(row)
            raise
        return found

    def _inTurn(self, row: int) -> None:
        if self._lapsed is not None and row > self._lapsed:
            raise CuratorFailed(f"row {self._lapsed} of the audit is not in the ledger yet, and this one comes after it")
        if row == self._lapsed:  # those that come after it wait behind it, and fail when it does
            self._lapsed = None

    def _lapse(self, row: int) -> None:
        if row:
            self._lapsed = row if self._lapsed is None else min(row, self._lapsed)

    def _write(self) -> None:
        batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
        self._busy = True
        appended = maybeDeferred(self._append, [line for _, _, line, _ in batch])
        appended.addCallback(self._written, batch).addCallbacks(self._done, self._failed, callbackArgs=(batch,), errbackArgs=(batch,))

    @inlineCallbacks
    def _written(self, indexes: Sequence[int], batch: list[Waiting]) -> Any:
        yield self._upTo([(row, audit) for row, audit, _, _ in batch])
        return indexes

    @inlineCallbacks
    def _upTo(self, rows: list[tuple[int, str]]) -> Any:
        last = max(rows)
        if last[0] > self.audited[0]:
            yield self._keep(*last)
            self.audited = last

    def _done(self, indexes: Sequence[int], batch: list[Waiting]) -> None:
        self._busy = False
        if self._waiting:
            self._write()
        for index, (_, _, _, done) in zip(indexes, batch):
            done.callback([index])

    def _failed(self, failure: Failure, batch: list[Waiting]) -> None:
        """Those that wait behind it have failed as well."""
        self._busy = False
        failed = batch + self._waiting
        self._waiting = []
        for row, _, _, _ in failed:
            self._lapse(row)
        for _, _, _, done in failed:
            done.errback(failure)
