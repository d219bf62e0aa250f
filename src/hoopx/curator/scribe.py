# -*- test-case-name: tests.curator.test_scribe -*-
"""
Writes the ledger: whoever comes while a write is under way shares the next one, and its fsync.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.commands import CuratorFailed
from hoopx.errors import HoopxError
from hoopx.ledger.errors import LedgerFailed

TOGETHER: Final = 500
"""Leaves of one write: a few milliseconds, so that an OPEN leaf behind it does not wait long."""
WAITING: Final = 10_000
"""Leaves that may wait: more come only when the disk stands still."""


class Scribe:
    """
    @param ledger: L{hoopx.ledger.log.Ledger}.
    @param threads: runs one call at a time, in order: nobody else uses the ledger.
    @param reopen: callable() -> the ledger opened again, in its thread: after the disk has failed it.
    @param told: callable(): there are new leaves.
    @ivar trouble: why the last write has failed; C{None} when it has not.
    """

    log = Logger()

    def __init__(self, ledger: Any, threads: Any, reopen: Callable[[], Any], told: Callable[[], None] | None = None) -> None:
        self.ledger = ledger
        self.threads = threads
        self._reopen = reopen
        self._broken = False
        self.trouble: str | None = None
        self.told = told
        self.size: int = ledger.size
        self._waiting: list[tuple[list[bytes], Deferred[list[int]]]] = []
        self._count = 0
        self._busy = False

    def append(self, leaves: Sequence[bytes]) -> Deferred[list[int]]:
        """
        @return: Deferred[list of their indexes], when they are durable; fails with L{CuratorFailed}.
        """
        if self._count + len(leaves) > WAITING:
            return fail(CuratorFailed("too much waits for the ledger"))
        done: Deferred[list[int]] = Deferred()
        self._waiting.append((list(leaves), done))
        self._count += len(leaves)
        if not self._busy:
            self._write()
        return done

    def _write(self) -> None:
        batch: list[tuple[list[bytes], Deferred[list[int]]]] = []
        leaves: list[bytes] = []
        while self._waiting and len(leaves) < TOGETHER:
            batch.append(self._waiting.pop(0))
            leaves += batch[-1][0]
        self._count -= len(leaves)
        self._busy = True
        self.threads.call(self._append, leaves).addCallbacks(
            self._written, self._failed, callbackArgs=(batch,), errbackArgs=(batch,)
        )

    def _append(self, leaves: list[bytes]) -> list[int]:
        """In the thread."""
        if self._broken:
            self.ledger = self._reopen()
            self._broken = False
        try:
            indexes: list[int] = self.ledger.append(leaves)
        except LedgerFailed:
            self._broken = True
            raise
        return indexes

    def _written(self, indexes: list[int], batch: list[tuple[list[bytes], Deferred[list[int]]]]) -> None:
        self.size = self.ledger.size
        self.trouble = None
        self._next()
        at = 0
        for leaves, done in batch:
            done.callback(list(indexes[at : at + len(leaves)]))
            at += len(leaves)
        if self.told is not None:
            self.told()

    def _failed(self, failure: Failure, batch: list[tuple[list[bytes], Deferred[list[int]]]]) -> None:
        self.trouble = failure.getErrorMessage()
        why = f"the ledger can not be written: {self.trouble}"
        if not failure.check(OSError, HoopxError):
            self.log.failure("The ledger can not be written.", failure)
        self._next()
        for _, done in batch:
            done.errback(CuratorFailed(why))

    def _next(self) -> None:
        self._busy = False
        if self._waiting:
            self._write()

    @property
    def idle(self) -> bool:
        """C{True} when nothing waits."""
        return not self._busy and not self._waiting
