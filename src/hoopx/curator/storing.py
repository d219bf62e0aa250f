# -*- test-case-name: tests.curator.test_storing -*-
"""
Segments that are in the ledger on their way to the storage backend: in order within a session, once, unchanged; from the local copy, for
as long as the backend is away. Afterwards, when that is wanted, the local copy goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.book import Book, Unstored
from hoopx.errors import HoopxError
from hoopx.frames import segmentName
from hoopx.recording.catalogue import Summary, summarise
from hoopx.recording.elsewhere import MARKER
from hoopx.recording.files import Files
from hoopx.storage.errors import StorageConflict, StorageError, StorageRefused, StorageUnavailable
from hoopx.storage.names import objectName
from hoopx.ulid import ulidTime

BATCH: Final = 200
"""Segments looked up at once."""
WIDE: Final = 4
"""Sessions whose segments travel at once: an object store answers in 20-200 ms, whatever it is sent."""
FIRST: Final = 1.0
"""Seconds before a backend that failed is asked again..."""
LONGEST: Final = 60.0
"""...twice as long each time, up to this."""
AWAY: Final = 60.0
"""Seconds without a success before there is an alarm. Refused credentials are told at once."""
STUCK: Final = 900.0
"""Seconds in which nothing arrives and nothing is refused, until there is an alarm: who answers a byte now and then is never too slow for a
socket's patience. The largest segment there is takes as long at 0.6 MB/s."""
SWEEP: Final = 60.0
"""Seconds between two looks for local copies that may go."""
TOLD: Final = ("identity", "actor", "target", "account", "protocol", "client", "labels")
"""Of HEAD: what a list of sessions shows and asks for."""


class Storing:
    """
    @param backend: L{hoopx.interfaces.IStorageBackend}.
    @param store: its reference, as the configuration says it; for the marker.
    @param keep: callable(target, labels) -> seconds that a session is kept.
    @param localKeep: seconds that a local copy stays, or C{None}: for ever.
    @param threads: for the book and the local files.
    @param alarm: callable(alarm, text).
    @param told: callable(session): a segment of it is stored.
    @param claim: callable() -> Deferred, fired when the name C{node} is this gateway's in that store; fails with L{StorageConflict} when it
        is another's. Before, nothing is stored: among the other's recordings these would look like forged ones.
    @ivar state: C{"ok"}, or why the backend can not be had.
    """

    log = Logger()

    def __init__(
        self,
        book: Book,
        backend: Any,
        store: str,
        node: str,
        keep: Callable[[str, dict[str, str]], float],
        localKeep: float | None,
        threads: Any,
        clock: Any,
        wall: Callable[[], float],
        alarm: Callable[[str, str], None],
        files: Files,
        told: Callable[[str], None] = lambda session: None,
        claim: Callable[[], Deferred[None]] = lambda: succeed(None),
    ) -> None:
        self._book = book
        self._backend = backend
        self._store = store
        self._node = node
        self._keep = keep
        self._localKeep = localKeep
        self._threads = threads
        self._clock = clock
        self._wall = wall
        self._alarm = alarm
        self._files = files
        self._tell = told
        self._claim = claim
        self._claimed = False
        self._busy = False
        self._more = False
        self._call: Any = None
        self._sweeping: Any = None
        self._waiting: Any = None
        self._pause = FIRST
        self._since: float | None = None
        self._told = ""
        self._stopped = False
        self._idle: list[Deferred[None]] = []
        self.state = "ok"
        self.stored = 0
        self.removed = 0

    def start(self) -> None:
        """Begin with what is there."""
        self.wake()
        if self._localKeep is not None:
            self._sweeping = self._clock.callLater(SWEEP, self._sweep)

    def wake(self) -> None:
        """There may be something to store."""
        if self._stopped or self._call is not None:
            return
        if self._busy:
            self._more = True
            return
        self._busy = True
        self._more = False
        self._watch()
        self._round().addErrback(self._broke).addCallback(self._over)

    def stop(self) -> Deferred[None]:
        """Begin nothing new. @return: Deferred[None], when nothing is under way."""
        self._stopped = True
        for call in (self._call, self._sweeping, self._waiting):
            if call is not None and call.active():
                call.cancel()
        if not self._busy:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    @inlineCallbacks
    def _round(self) -> Any:
        """@return: Deferred[C{True}] when there is more."""
        self._failing = False
        found = yield self._threads.call(self._book.unstored, BATCH)
        if found and not self._claimed:
            yield self._claim()
            self._claimed = True
        sessions: dict[str, list[Unstored]] = {}
        for each in found:
            sessions.setdefault(each.session, []).append(each)
        rows = list(sessions.values())
        yield DeferredList([self._several(rows) for _ in range(WIDE)])
        return bool(found) and not self._failing

    @inlineCallbacks
    def _several(self, rows: list[list[Unstored]]) -> Any:
        while rows:
            for each in rows.pop(0):
                if self._failing or self._stopped:
                    return
                try:
                    if not (yield self._one(each)):
                        break  # its successors wait with it
                except Exception:
                    self._failing = True
                    self._trouble(Failure())
                    return

    @inlineCallbacks
    def _one(self, segment: Unstored) -> Any:
        """@return: Deferred[C{True}] when it is stored."""
        path = os.path.join(segment.path, segmentName(segment.number))
        name = objectName(self._node, path)
        retain = max(segment.sealed, segment.ended or 0.0) + self._keep(segment.target, segment.labels)
        try:
            if (yield self._threads.call(os.path.exists, path)):
                receipt = yield self._backend.put(name, path, retain, segment.digest)
            else:
                receipt = yield self._there(name, segment.digest)
        except (StorageConflict, FileNotFoundError) as error:
            yield self._threads.call(self._book.problem, segment.session, segment.number, str(error))
            self._alarm("store-conflict", f"{segment.session}: segment {segment.number} can not be stored: {error}")
            return False
        yield self._threads.call(self._book.stored, segment.session, segment.number, receipt)
        # Looked for afterwards: who sets a hold meanwhile finds the receipt, or is found here.
        if (yield self._threads.call(self._book.isHeld, segment.session)):
            try:
                yield self._backend.hold(receipt, True)
            except StorageError as error:
                self._alarm("hold", f"{segment.session}: the store does not hold segment {segment.number}: {error}")
        self._tell(segment.session)
        self.stored += 1
        self._well()
        return True

    @inlineCallbacks
    def _there(self, name: str, digest: str) -> Any:
        """
        There is no local copy: the list was lost, and knows no receipt.

        @return: Deferred[the receipt of the version with these bytes].
        @raise FileNotFoundError: there is none there either.
        """
        for each in (yield self._backend.list(name)):
            if each.name == name and not each.deleted:
                receipt = yield self._backend.stat(each)
                if receipt.checksum == digest:
                    return receipt
        raise FileNotFoundError(2, "neither here nor in the store", name)

    def _watch(self, on: bool = True) -> None:
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = self._clock.callLater(STUCK, self._stuck) if on and not self._stopped else None

    def _stuck(self) -> None:
        self.state = f"for {STUCK:.0f} s nothing has arrived, and nothing was refused"
        if not self._told:
            self._told = "away"
            self._alarm("store-away", f"the store {self._store} can not be had: {self.state}")

    def _well(self) -> None:
        self._watch()
        self._pause = FIRST
        self._since = None
        if self.state != "ok":
            self.state = "ok"
            self.log.info("The store {store} takes recordings.", store=self._store)
        self._told = ""

    def _trouble(self, failure: Failure) -> None:
        now = self._clock.seconds()
        if self._since is None:
            self._since = now
        why = failure.getErrorMessage() or failure.type.__name__
        if not failure.check(StorageUnavailable, StorageRefused, StorageConflict, OSError):
            self.log.failure("The store has failed.", failure)
        self.state = why[:500]
        if failure.check(StorageConflict):  # of the claim; a segment's is told with the segment
            self.state = f"another gateway keeps its recordings under the name {self._node}: nothing is stored"
            if self._told != "taken":
                self._told = "taken"
                what = f"another gateway keeps its recordings under the name {self._node} in {self._store}: nothing of this one is stored"
                self._alarm("store-name", f"{what} until it has a name or a prefix of its own ({why})")
        elif failure.check(StorageRefused):
            if self._told != "refused":
                self._told = "refused"
                self._alarm("store-refused", f"the store {self._store} refuses: {why}; it is asked again")
        elif now - self._since >= AWAY and not self._told:
            self._told = "away"
            self._alarm("store-away", f"the store {self._store} can not be had for {now - self._since:.0f} s: {why}")

    def _broke(self, failure: Failure) -> bool:
        self._failing = True
        self._trouble(failure)
        return False

    def _over(self, more: bool) -> None:
        self._busy = False
        self._watch(False)
        idle, self._idle = self._idle, []
        for each in idle:
            each.callback(None)
        if self._stopped:
            return
        if self._failing:
            self._call = self._clock.callLater(self._pause, self._again)
            self._pause = min(self._pause * 2, LONGEST)
        elif more or self._more:
            self._call = self._clock.callLater(0, self._again)

    def _again(self) -> None:
        self._call = None
        self.wake()

    # -- local copies

    def _sweep(self) -> None:
        def done(count: Any) -> None:
            if isinstance(count, Failure):
                self.log.failure("Local copies can not be removed.", count)
                count = 0
            self.removed += count
            if not self._stopped:
                self._sweeping = self._clock.callLater(0.1 if count == BATCH else SWEEP, self._sweep)

        self._threads.call(self._remove).addBoth(done)

    def _remove(self) -> int:
        """In a thread. @return: how many local copies went."""
        found = self._book.removable(self._wall() - (self._localKeep or 0.0), BATCH)
        for session, number, path in found:
            self._mark(session, path)
            for name in (segmentName(number), f"{number:06d}.seal"):
                try:
                    self._files.unlink(os.path.join(path, name))
                except FileNotFoundError:
                    pass
            self._book.removed(session, number)
        return len(found)

    def _mark(self, session: str, path: str) -> None:
        """Say in the session's directory where its segments are, before the first of them goes."""
        marker = os.path.join(path, MARKER)
        if os.path.exists(marker):
            return
        receipts = self._book.receipts(session)
        said = {
            "session": session,
            "store": self._store,
            "objects": {segmentName(number): receipt.name for number, receipt in receipts.items()},
            "sizes": self._book.sizes(session),
            "summary": self._summary(session, path),
        }
        text = json.dumps(said, sort_keys=True).encode()
        descriptor = self._files.create(marker + ".new", os.O_TRUNC, 0o440)
        try:
            self._files.writeAll(descriptor, text)
            self._files.fsync(descriptor)
        finally:
            self._files.close(descriptor)
        self._files.rename(marker + ".new", marker)
        self._files.syncDirectory(path)

    def _summary(self, session: str, path: str) -> dict[str, Any]:
        """What a list shall tell of the session when nothing of it is here any more; of an encrypted one, what was noted before it was."""
        try:
            found = summarise(path)
        except (OSError, HoopxError):
            found = None
        row = self._book.session(session) or {}
        if found is None or found.state in ("encrypted", "damaged"):
            ends = self._book.lastEnds(session, max(self._book.receipts(session), default=0))
            state = {"done": "complete", "recovered": "recovered"}.get(ends.ended if ends is not None else "", "encrypted")
            found = Summary(session, path, row.get("head") or {}, state, ulidTime(session), row.get("ended"), None, {})
        head = {name: found.head[name] for name in TOLD if name in found.head}
        return {
            "head": head, "state": found.state, "started": found.started, "ended": found.ended, "reason": found.reason,
            "totals": found.totals,
        }  # fmt: skip
