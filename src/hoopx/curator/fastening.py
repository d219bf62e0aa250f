# -*- test-case-name: tests.curator.test_fastening -*-
"""
Keeps what is stored of the ledger locked for as long as any session that is stored may need it.

A tile is put once, when it is full, and every later session's proof needs it: the lock that it got then would end years before theirs. So
all of it is locked for L{LEAD} more than is needed, and when that has been used up everything is gone through again, in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.outage import Outage
from hoopx.ledger.disk import ORIGIN
from hoopx.ledger.tiles import ENTRIES, HEIGHT, tilePath, tilesOf
from hoopx.storage.errors import NotStored, StorageError, StorageRefused
from hoopx.storage.names import checkpointName, ledgerName

EVERY: Final = 60.0
"""Seconds between two looks; also the pause between two batches, which a store of many gateways feels."""
BATCH: Final = 100
"""Objects of one look. Each costs three calls; a ledger of 10 million leaves has about 80,000, and takes 13 hours of the month."""
LEAD: Final = 30 * 86400.0
"""Seconds that the ledger is locked for longer than is needed at the moment: so often it is gone through."""
AWAY: Final = 600.0
"""Seconds without success before there is an alarm; what is refused is told at once."""
FASTENED: Final = "fastened"
"""The fact that says until when all of it is locked, and how far the next round has come."""


class Fastening:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param most: callable() -> seconds of the longest rule.
    @param holding: callable() -> whether there are holds.
    @param threads: for the book.
    @param alarm: callable(alarm, text).
    """

    log = Logger()

    def __init__(
        self,
        book: Any,
        backend: Any,
        node: str,
        most: Callable[[], float],
        holding: Callable[[], bool],
        threads: Any,
        clock: Any,
        wall: Callable[[], float],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._book = book
        self._backend = backend
        self._node = node
        self._most = most
        self._holding = holding
        self._threads = threads
        self._clock = clock
        self._wall = wall
        self._alarm = alarm
        self._size = 0
        self._call: Any = None
        self._outage = Outage(clock, AWAY)
        self._stopped = False

    def start(self) -> None:
        self._call = self._clock.callLater(EVERY, self._due)

    def stop(self) -> None:
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def shipped(self, size: int, locked: bool) -> None:
        """Of L{hoopx.curator.shipping.Shipping}: so many leaves are stored. Where the store locks nothing there is nothing to do."""
        self._size = size if locked else 0

    def _due(self) -> None:
        self._look().addErrback(self._failed).addCallback(self._over)

    def _over(self, _: Any) -> None:
        if not self._stopped:
            self._call = self._clock.callLater(EVERY, self._due)

    @inlineCallbacks
    def _look(self) -> Any:
        if not self._size:
            return
        need = yield self._threads.call(self._needed)
        fact = yield self._threads.call(self._book.fact, FASTENED)
        fact = {"until": 0.0, "goal": None, "size": 0, "at": 0, **(fact or {})}
        if fact["goal"] is None:
            if need <= fact["until"]:
                return
            fact.update(goal=self._wall() + self._most() + LEAD, size=self._size, at=0)
        count = 0
        for name in islice(self._names(fact["size"]), fact["at"], fact["at"] + BATCH):
            yield self._lock(name, fact["goal"])
            count += 1
            if self._stopped:
                return
        fact["at"] += count
        if count < BATCH:
            fact.update(until=fact["goal"], goal=None)
        yield self._threads.call(self._book.setFact, FASTENED, fact)
        self._outage.over()

    def _needed(self) -> float:
        """In the book's thread. @return: until when the last session that there is will be kept, at the most."""
        going, latest = self._book.longest()
        if going or self._holding():
            latest = self._wall()
        return 0.0 if latest is None else latest + self._most()

    @inlineCallbacks
    def _lock(self, name: str, until: float) -> Any:
        """The oldest of its versions, which is the one that was put first, and the one that is read."""
        found = [each for each in (yield self._backend.list(name)) if each.name == name and not each.deleted]
        if not found:
            self.log.warn("{name} is not in the store any more: verify names it", name=name)
            return
        try:
            yield self._backend.retain(found[-1], until)
        except NotStored:
            self.log.warn("{name} went while it was to be locked: verify names it", name=name)

    def _names(self, size: int) -> Iterator[str]:
        """What a checkpoint of so many leaves rests on, always in the same order."""
        yield ledgerName(self._node, ORIGIN)
        level = 0
        while size >> HEIGHT * (level + 1):
            for number in range(size >> HEIGHT * (level + 1)):
                yield ledgerName(self._node, tilePath(level, number))
                if not level:
                    yield ledgerName(self._node, tilePath(ENTRIES, number))
            level += 1
        for level, number, width in tilesOf(size):
            yield ledgerName(self._node, tilePath(level, number, width))
            if not level:
                yield ledgerName(self._node, tilePath(ENTRIES, number, width))
        yield checkpointName(self._node, size)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(StorageError):
            self.log.failure("The ledger's locks in the store can not be extended.", failure)
        if self._outage.failed(hopeless=bool(failure.check(StorageRefused))):
            why = failure.getErrorMessage() or failure.type.__name__
            self._alarm("store-locks", f"the ledger's locks in the store can not be extended: {why}; it is asked again")
