# -*- test-case-name: tests.curator.test_workshop -*-
"""
The curator's parts, put together in its process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hoopx.curator.acts import Acts
from hoopx.curator.alarms import Alarms
from hoopx.curator.bench import Bench
from hoopx.curator.book import Book
from hoopx.curator.cleaning import Cleaning
from hoopx.curator.commands import CuratorFailed
from hoopx.curator.parts import Parts
from hoopx.curator.pipeline import Pipeline
from hoopx.curator.publishing import Publisher
from hoopx.curator.rebuilding import catchUp
from hoopx.curator.retiring import Retiring
from hoopx.curator.scribe import Scribe
from hoopx.curator.settings import CuratorSettings
from hoopx.curator.storing import Storing
from hoopx.curator.survey import Survey
from hoopx.errors import HoopxError
from hoopx.ledger.keys import keyring, loadKey
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked
from hoopx.recording.recovery import Recovery
from hoopx.retention.clock import ClockGuard

LOCKED: Final = 20.0
"""Seconds to wait for the ledger: the curator before this one may be ending."""
NAMED: Final = 20
"""Quarantined sessions that the status names; the rest are counted."""


class Workshop:
    """
    @param clock: the reactor: time.
    @param parts: L{Parts}: what is made outside: threads, the index, the backend, the witnesses' client.
    @param alarm: callable(alarm, text).
    @param progress: callable(done, count), from a thread.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        parts: Parts,
        alarm: Callable[[str, str], None],
        progress: Callable[[int, int], None] | None = None,
        wall: Callable[[], float] = time.time,
        files: Files | None = None,
    ) -> None:
        self._clock = clock
        self._parts = parts
        self._alarm = Alarms(clock, alarm)
        self._progress = progress
        self._wall = wall
        self._files = Files() if files is None else files
        self._ledger: Any = None
        self._book: Any = None
        self._storing: Storing | None = None
        self._backlog: tuple[int, int, float | None] = (0, 0, None)
        self._counting = False
        self._key: Any = None
        self._survey: Any = None
        self._acts: Any = None
        self._guard: Any = None
        self._retiring: Any = None
        self._index: Any = None
        self.settings: Any = None
        self.scribe: Any = None
        self.pipeline: Any = None
        self.publisher: Any = None

    @inlineCallbacks
    def begin(self, settings: CuratorSettings) -> Any:
        """
        Open the ledger and what else there is.

        @return: Deferred[None]; fails with L{CuratorFailed}.
        """
        if self._ledger is not None:
            raise CuratorFailed("it is configured already")
        self.settings = settings
        try:
            yield self._openLedger(settings)
            yield self._parts.book.call(self._openBook, settings)
            backend = yield self._parts.backend(settings) if settings.remote else None
        except (OSError, ValueError, HoopxError) as error:
            raise CuratorFailed(f"the curator can not work: {error}") from None
        self._assemble(settings, backend)

    @inlineCallbacks
    def _openLedger(self, settings: CuratorSettings) -> Any:
        until = self._clock.seconds() + LOCKED
        told = False
        while True:
            try:
                self._ledger = yield self._parts.ledger.call(self._open, settings)
                return
            except Locked as error:
                if self._clock.seconds() >= until:
                    raise
                if not told:
                    told = True
                    self.log.warn("{why}. It is waited for, {most:.0f} s at the most.", why=str(error), most=LOCKED)
            yield deferLater(self._clock, 0.1)

    def _open(self, settings: CuratorSettings) -> Any:
        """In the ledger's thread."""
        self._files.makeDirectories(os.path.join(settings.data, "recordings"))
        keys = os.path.join(settings.data, "keys")
        key = keyring(keys, self._files, settings.signingKey)
        ledger = Ledger.open(os.path.join(settings.data, "ledger"), key, settings.node, files=self._files, wall=self._wall)
        self._key = loadKey(keys, self._files, settings.signingKey, create=False)
        return ledger

    def _reopen(self) -> Any:
        """In the ledger's thread: the disk failed it, and it trusts nothing that it has in memory."""
        self._ledger.close()
        self._ledger = self._open(self.settings)
        return self._ledger

    def _openBook(self, settings: CuratorSettings) -> None:
        self._book = Book(os.path.join(settings.data, "curator.sqlite"), careful=bool(settings.encryptTo))
        self._book.problems(clear=True)
        self._acts = Acts(lambda lines: self.scribe.append(lines), self._upTo, tuple(self._book.fact("audit") or (0, "")))
        catchUp(self._book, self._ledger, settings.data)
        self._guard = ClockGuard(self._book, self._wall, self._leaves, self._parts.uptime)
        self._guard.look()  # before there is any leaf of this run

    def _leaves(self) -> int:
        """@return: how many the ledger has."""
        size: int = self._ledger.size if self.scribe is None else self.scribe.size
        return size

    def _assemble(self, settings: CuratorSettings, backend: Any) -> None:
        self.scribe = Scribe(self._ledger, self._parts.ledger, self._reopen, self._grown)
        self.publisher = Publisher(
            self.scribe, self._clock, self._wall, self._alarm, settings.witnesses, settings.quorum, self._parts.submit,
            lambda size, note: custody.published(size, note),
        )  # fmt: skip
        index = self._index = self._parts.index(settings)
        self._bench = bench = Bench(
            self._book, self._files, self._wall, settings.compress, settings.encryptTo, index, lambda text: self._aloud("index", text),
            latest=self._guard.latest,
        )  # fmt: skip
        self.pipeline = Pipeline(bench, self.scribe, self._parts.bench, self._clock, self._alarm, self._logged)
        self._survey = Survey(self._book, settings.data, self._parts, self._clock, self._alarm, self.pipeline.look)
        self._cleaning = Cleaning(self._book, index, self._parts, self._clock, self._alarm)
        self._cleaning.start()
        self._retiring = Retiring(
            self._book, self._guard, self.scribe, self._parts, settings, backend, index, self._cleaning, self._clock, self._wall,
            self._files, self._alarm,
        )  # fmt: skip
        custody = self._retiring.custody
        if backend is not None:
            self._storing = Storing(
                self._book, backend, settings.store, settings.node, custody.keep, settings.localKeep, self._parts.book, self._clock,
                self._wall, self._alarm, self._files, custody.stored, custody.claim,
            )  # fmt: skip
            self._storing.start()
        self._retiring.start(settings)
        self.publisher.told()

    def _aloud(self, alarm: str, text: str) -> None:
        """An alarm, from a thread."""
        self._parts.fromThread(self._alarm, alarm, text)

    def _grown(self) -> None:
        self.publisher.told()

    def _logged(self) -> None:
        self._retiring.ended()
        if self._storing is not None:
            self._storing.wake()

    # -- what the gateway says

    @inlineCallbacks
    def recover(self, fresh: bool) -> Any:
        """@return: Deferred[list of L{hoopx.recording.recovery.Recovered}]; fails with L{CuratorFailed}."""
        self._need()
        found: list[Any] = []
        if fresh:
            ledger = self._ledger
            recovery = Recovery(
                self._files, self.settings.data, self._key, self._wall, lambda session: ledger.find("opened", session) is not None
            )
            try:
                found = yield self._parts.bench.call(recovery.run, self._progress)
            except (OSError, HoopxError) as error:
                raise CuratorFailed(f"what a crash left can not be recovered: {error}") from None
        self.survey()
        return found

    def survey(self) -> None:
        """Look for what is sealed and has no leaf."""
        if self._survey is not None:
            self._survey.begin()

    def opened(self, session: str, path: str, key: str, head: str) -> Deferred[list[int]]:
        """@return: Deferred[[index]], when the OPEN leaf is durable; fails with L{CuratorFailed}."""
        line = self._leaf("opened", session=session, key=key, head=head)
        appended: Deferred[list[int]] = self.scribe.append([line])
        return appended

    def audit(self, audit: str, row: int = 0) -> Deferred[list[int]]:
        """@return: Deferred[[index]], when the leaf is durable; fails with L{CuratorFailed}."""
        line = self._leaf("audit", audit=audit)
        added: Deferred[list[int]] = self._acts.add(row, audit, line)
        return added

    def hold(self, session: str, on: bool, audit: str, row: int, hold: int = 0, filter: dict[str, Any] | None = None) -> Any:
        """A hold is set, or lifted: in the ledger. L{holds} tells the store."""
        self._need()
        return self._acts.alone(row, audit, lambda: self._retiring.hold(session, on, audit, hold, filter))

    def holds(self, rows: list[dict[str, Any]]) -> Any:
        """@param rows: all that hold now: C{id}, C{session} or C{filter}."""
        self._need()
        return self._retiring.holds(rows)

    def _upTo(self, row: int, audit: str) -> Any:
        """So far the audit is in the ledger; the gateway goes on from there."""
        return self._parts.book.call(self._book.setFact, "audit", (row, audit))

    def expired(self, after: str) -> Any:
        """See L{Retiring.expired}."""
        self._need()
        return self._retiring.expired(after)

    def erase(self, session: str, audit: str) -> Any:
        """See L{Retiring.erase}."""
        self._need()
        return self._retiring.erase(session, audit)

    def confirmClock(self) -> Any:
        """See L{Retiring.confirmClock}."""
        self._need()
        return self._retiring.confirmClock()

    def reload(self, settings: CuratorSettings) -> None:
        """New rules, labels and secrets come into force; what else has changed takes a restart."""
        self._need()
        self.settings.secrets.clear()  # the backend looks there again when the store refuses what it has
        self.settings.secrets.update(settings.secrets)
        self._retiring.ruled(settings)

    def _leaf(self, kind: str, **fields: Any) -> bytes:
        self._need()
        try:
            return leaf(kind, self._wall(), **fields)
        except ValueError as error:
            raise CuratorFailed(str(error)) from None

    def sealed(self, session: str, path: str, segment: int, digest: str) -> None:
        if self.pipeline is not None:
            self._bench.told(session, segment, digest)
            self.pipeline.look(session, path)

    def _need(self) -> None:
        if self.pipeline is None:
            raise CuratorFailed("it has no settings yet")

    @inlineCallbacks
    def stop(self, seconds: float) -> Any:
        """Finish what is waiting, for so long at the most. @return: Deferred[None]"""
        if self.pipeline is None:
            return
        self._retiring.pause()
        self._cleaning.stop()
        idle = self.pipeline.whenIdle()
        yield idle.addTimeout(seconds, self._clock).addErrback(lambda _: None)
        yield self.pipeline.stop().addTimeout(seconds, self._clock).addErrback(lambda _: None)
        if self._storing is not None:
            yield self._storing.stop().addTimeout(seconds, self._clock).addErrback(lambda _: None)
        yield self.publisher.finish().addTimeout(seconds, self._clock).addErrback(lambda _: None)
        yield self._retiring.custody.stop().addTimeout(seconds, self._clock).addErrback(lambda _: None)
        yield self._parts.ledger.call(self._ledger.close).addTimeout(seconds, self._clock).addErrback(lambda _: None)
        close = getattr(self._index, "close", None)
        if close is not None:
            yield self._parts.bench.call(close).addTimeout(seconds, self._clock).addErrback(lambda _: None)

    def close(self) -> None:
        """The process is about to end: what stands in the logs of databases is in their files then. Waits for nobody."""
        if self._book is not None:
            self._book.close(0.0)

    def status(self) -> dict[str, Any]:
        """
        How it is: C{waiting} (sessions with segments to process), C{processed}, C{backlog} (C{segments}, C{bytes}, C{oldest} without a
        receipt), C{ledger} (origin, size, trouble, signed, published, at, quorum, witnesses), C{store} (state, stored, removed) or C{None},
        C{quarantined} (count, sessions), C{audit} (row up to which it is in the ledger) and
        C{audited} (that row's hash), C{unknown} (sessions of which
        no rule is known, and which are not erased), C{clock} (why it is not
        believed, or C{None}), C{recipients}, C{index}.
        """
        if self.pipeline is None:
            return {}
        self._count()
        count, size, oldest = self._backlog
        names = sorted(self.pipeline.quarantined)[:NAMED]
        return {
            "waiting": self.pipeline.waiting,
            "processed": self.pipeline.done,
            "backlog": {"segments": count, "bytes": size, "oldest": oldest} if self._storing is not None else None,
            "ledger": {"origin": self._ledger.origin, "size": self.scribe.size, **self.publisher.status()},
            "store": None
            if self._storing is None
            else {
                "store": self.settings.store,
                "state": self._storing.state,
                "stored": self._storing.stored,
                "removed": self._storing.removed,
            },
            "quarantined": {"count": len(self.pipeline.quarantined), "sessions": names},
            "audit": self._acts.audited[0],
            "audited": self._acts.audited[1],
            "unknown": self._retiring.custody.unknown,
            "clock": self._retiring.doubt,
            "recipients": len(self.settings.encryptTo),
            "index": self.settings.index,
        }

    def _count(self) -> None:
        """Have the backlog counted for the next question."""
        if self._counting or self._storing is None:
            return
        self._counting = True

        def done(found: Any) -> None:
            self._counting = False
            if isinstance(found, tuple):
                self._backlog = found

        self._parts.book.call(self._book.backlog).addBoth(done)
