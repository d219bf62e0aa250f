# -*- test-case-name: tests.curator.test_shipping -*-
"""
The ledger on its way to the storage backend, so that who has the store alone can verify what is in it: C{<node>/ledger/} and the names of
C2SP tlog-tiles; checkpoints under their size, partial tiles under their width, so that nothing is ever overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.outage import Outage
from hoopx.ledger.disk import ORIGIN
from hoopx.ledger.tiles import ENTRIES, HEIGHT, WIDTH, encodeBundle, tilePath, tilesOf
from hoopx.ledger.tree import HASH, leafHash, merge
from hoopx.storage.errors import StorageConflict, StorageError
from hoopx.storage.names import checkpointName, ledgerName

EVERY: Final = 30.0
"""Seconds between two checkpoints that are stored: each costs up to four small objects that the store has to keep for years."""
BEHIND: Final = 600.0
"""Seconds for which a checkpoint waits for the segments that it speaks of: who reads the store should not miss them."""
AWAY: Final = 600.0
"""Seconds without success before there is an alarm; that the store is away is told sooner, by the segments."""
SHIPPED: Final = "shipped"
"""The fact that says how many leaves' tiles are stored."""
TEMPORARY: Final = "ledger.ship"
"""In the data directory: what is being stored and is no file of its own. Of a few KiB."""


class Shipping:
    """
    @param scribe: L{hoopx.curator.scribe.Scribe}.
    @param keep: callable() -> seconds that what is stored now must be kept.
    @param parts: L{hoopx.curator.parts.Parts}.
    @param told: callable(leaves, whether the store has locked them): so much is stored.
    """

    log = Logger()

    def __init__(
        self,
        scribe: Any,
        book: Any,
        backend: Any,
        node: str,
        keep: Callable[[], float],
        parts: Any,
        clock: Any,
        wall: Callable[[], float],
        alarm: Callable[[str, str], None],
        told: Callable[[int, bool], None] = lambda size, locked: None,
    ) -> None:
        self._scribe = scribe
        self._book = book
        self._backend = backend
        self._node = node
        self._keep = keep
        self._parts = parts
        self._clock = clock
        self._wall = wall
        self._alarm = alarm
        self._tell = told
        self._newest: tuple[int, bytes] | None = None
        self._stored = -1
        self._waits: float | None = None
        self._outage = Outage(clock, AWAY)
        self._call: Any = None
        self._busy: Deferred[None] | None = None
        self._edge: tuple[int, int] | None = None
        self._twin = False

    def start(self) -> None:
        self._call = self._clock.callLater(EVERY, self._due)

    def published(self, size: int, note: bytes) -> None:
        """Of L{hoopx.curator.publishing.Publisher}: a checkpoint is published, with its witnesses."""
        self._newest = size, note

    @inlineCallbacks
    def claim(self) -> Any:
        """
        Put up, or find, what says whose the name is: the ledger's first key. Of several gateways that try, one succeeds.

        @return: Deferred[None]; fails with L{StorageConflict} when the name is another ledger's.
        """
        yield self._backend.put(ledgerName(self._node, ORIGIN), self._path(ORIGIN), self._wall() + self._keep())

    @inlineCallbacks
    def stop(self) -> Any:
        """Store what was published last. @return: Deferred[None]"""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        if self._busy is not None:
            yield self._busy
        if self._newest is not None and self._newest[0] > self._stored:
            yield self._ship(*self._newest).addErrback(self._failed)

    def _due(self) -> None:
        self._call = None
        busy = self._busy = Deferred()

        def over(_: Any) -> None:
            self._busy = None
            if not busy.called:
                self._call = self._clock.callLater(EVERY, self._due)
                busy.callback(None)

        self._look().addErrback(self._failed).addCallback(over)

    @inlineCallbacks
    def _look(self) -> Any:
        if self._newest is None or self._newest[0] <= self._stored:
            return
        size, note = self._newest
        if (yield self._parts.book.call(self._book.behind, size)):
            now = self._clock.seconds()
            if self._waits is None:
                self._waits = now
            if now - self._waits < BEHIND:
                return
        self._waits = None
        yield self._ship(size, note)

    @inlineCallbacks
    def _ship(self, size: int, note: bytes) -> Any:
        shipped = (yield self._parts.book.call(self._book.fact, SHIPPED)) or 0
        if shipped > size:  # of a ledger before this one
            shipped = 0
        until = self._wall() + self._keep()
        locked = False
        for name in self._whole(shipped, size):
            receipt = yield self._backend.put(ledgerName(self._node, name), self._path(name), until)
            locked = receipt.retainUntil is not None
        yield self._lookForTwin(size)
        for name, data in (yield self._parts.ledger.call(self._partial, size)):
            yield self._write(ledgerName(self._node, name), data, until)
        try:
            yield self._write(checkpointName(self._node, size), note, until)
        except StorageConflict:  # with other witnesses, from before a restart
            yield self._same(size, note)
        self._edge = divmod(size, WIDTH)
        yield self._parts.book.call(self._book.setFact, SHIPPED, size)
        self._stored = size
        self._tell(size, locked)
        self._outage.over()

    @inlineCallbacks
    def _lookForTwin(self, size: int) -> Any:
        """
        Whoever runs a copy of the data directory has our key and our name, and puts leaves of his own beside ours: two trees of one ledger.
        That is told once, and nobody is kept from anything by what somebody has put there.
        """
        number = size // WIDTH
        prefix = ledgerName(self._node, tilePath(0, number, 1))[:-1]
        try:
            found = {_width(each.name[len(prefix) :]): each for each in (yield self._backend.list(prefix)) if not each.deleted}
            found.pop(0, None)  # of each name the oldest version is left: the one that was put first
            widest = max(found, default=0)
            if self._twin or not widest or (number, widest) == self._edge:
                return
            there = yield self._parts.book.call(_text, (yield self._backend.open(found[widest])))
        except StorageError:  # where one may put and not look, too
            return
        start = number * WIDTH
        ours = yield self._parts.ledger.call(self._scribe.ledger.entries, start, start + widest)
        if there != b"".join(map(leafHash, ours)):
            self._twin = True
            why = "has other leaves of this ledger than are here: is a copy of the data directory at work, or is this an older one?"
            self._alarm("ledger-store", f"the store {why} See {found[widest].name}")

    def _path(self, name: str) -> str:
        return os.path.join(self._scribe.ledger.directory, name)

    def _whole(self, begin: int, size: int) -> Iterator[str]:
        """Files of the ledger that are what they will be: the origin, and tiles that have become full since."""
        yield ORIGIN
        level = 0
        while size >> HEIGHT * level:
            first, last = (each >> HEIGHT * (level + 1) for each in (begin, size))
            for number in range(first, last):
                yield tilePath(level, number)
                if not level:
                    yield tilePath(ENTRIES, number)
            level += 1

    def _partial(self, size: int) -> list[tuple[str, bytes]]:
        """In the ledger's thread: the tree's right edge, as it was."""
        found = []
        for level, number, width in tilesOf(size):
            if level:
                data = b"".join(self._hash(level - 1, number * WIDTH + at) for at in range(width))
            else:
                entries = self._scribe.ledger.entries(number * WIDTH, number * WIDTH + width)
                found.append((tilePath(ENTRIES, number, width), encodeBundle(entries)))
                data = b"".join(map(leafHash, entries))
            found.append((tilePath(level, number, width), data))
        return found

    def _hash(self, level: int, number: int) -> bytes:
        """Of a full tile."""
        with open(self._path(tilePath(level, number)), "rb") as file:
            data = file.read(WIDTH * HASH)
        return merge([data[at : at + HASH] for at in range(0, len(data), HASH)])

    @inlineCallbacks
    def _write(self, name: str, data: bytes, until: float) -> Any:
        path = os.path.join(os.path.dirname(self._scribe.ledger.directory), TEMPORARY)
        yield self._parts.book.call(_put, path, data)
        try:
            yield self._backend.put(name, path, until)
        finally:
            yield self._parts.book.call(os.unlink, path)

    @inlineCallbacks
    def _same(self, size: int, note: bytes) -> Any:
        """@raise StorageConflict: the store has another tree of that size."""
        name = checkpointName(self._node, size)
        for each in (yield self._backend.list(name)):
            if each.name == name and not each.deleted:
                file = yield self._backend.open(each)
                there = yield self._parts.book.call(_text, file)
                if there.partition(b"\n\n")[0] == note.partition(b"\n\n")[0]:
                    return
        raise StorageConflict(f"{name} is a checkpoint of another ledger")

    def _failed(self, failure: Failure) -> None:
        why = failure.getErrorMessage() or failure.type.__name__
        if not failure.check(StorageError, OSError):
            self.log.failure("The ledger can not be stored.", failure)
        if self._outage.failed(hopeless=bool(failure.check(StorageConflict))):
            self._alarm("ledger-store", f"the ledger can not be stored beside the recordings: {why}")


def _width(text: str) -> int:
    """@return: of a partial tile, by the end of its name; 0 where it is none."""
    return int(text) if len(text) <= 3 and text.isascii() and text.isdigit() and int(text) < WIDTH else 0


def _put(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)


def _text(file: Any) -> bytes:
    with file:
        data: bytes = file.read(1 << 16)
        return data
