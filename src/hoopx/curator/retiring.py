# -*- test-case-name: tests.curator.test_retiring -*-
"""
Retention in the curator's process: is the clock believed, who is held, whose time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import inlineCallbacks

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.custody import Custody
from hoopx.curator.holder import Holder
from hoopx.curator.settings import CuratorSettings
from hoopx.curator.watching import ClockWatch
from hoopx.errors import HoopxError
from hoopx.ledger.leaf import leaf
from hoopx.recording.files import Files
from hoopx.retention.clock import ClockGuard
from hoopx.retention.erasing import Eraser, NotErased
from hoopx.retention.rules import Keeping


class Retiring:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param guard: L{ClockGuard}.
    @param scribe: L{hoopx.curator.scribe.Scribe}.
    @param parts: L{hoopx.curator.parts.Parts}.
    @param backend: L{hoopx.interfaces.IStorageBackend} or C{None}.
    @param index: L{hoopx.curator.bench.ISegmentIndex} or C{None}.
    @param cleaning: L{hoopx.curator.cleaning.Cleaning}: erases from the index.
    @ivar custody: L{Custody}.
    """

    def __init__(
        self,
        book: Any,
        guard: ClockGuard,
        scribe: Any,
        parts: Any,
        settings: CuratorSettings,
        backend: Any,
        index: Any,
        cleaning: Any,
        clock: Any,
        wall: Callable[[], float],
        files: Files,
        alarm: Callable[[str, str], None],
    ) -> None:
        self._book = book
        self._scribe = scribe
        self._threads = threads = parts.book
        self._wall = wall
        keeping = Keeping(settings.rules, settings.labels)
        self._eraser = Eraser(book, keeping, guard, scribe, threads, wall, files, backend, cleaning)
        self._watch = ClockWatch(lambda: threads.call(guard.look), lambda: threads.call(guard.confirm), clock, alarm)
        self._holder = Holder(book, threads, scribe, clock, wall, alarm, self._released)
        self._told: Sequence[Mapping[str, Any]] | None = None
        self.custody = Custody(book, backend, index, settings, self._eraser, scribe, parts, clock, wall, alarm)

    def start(self, settings: CuratorSettings) -> None:
        self._watch.start()
        self.custody.start(settings)
        self._holder.wake()

    def pause(self) -> None:
        """Begin nothing new."""
        self._watch.stop()
        self._holder.stop()

    @property
    def doubt(self) -> str | None:
        """Why the clock is not believed, or C{None}."""
        return self._watch.doubt

    def ruled(self, settings: CuratorSettings) -> None:
        """New rules are in force."""
        self._eraser.keeping = Keeping(settings.rules, settings.labels)
        self.custody.ruled(settings)

    def ended(self) -> None:
        """Segments have got their leaves: perhaps a session's last one."""
        self._holder.wake()

    # -- holds

    @inlineCallbacks
    def hold(self, session: str, on: bool, audit: str, hold: int, filter: Mapping[str, Any] | None) -> Any:
        """
        A hold is set, or lifted: in the list, in the ledger, and in the store.

        @param session: empty for one by a filter.
        @param audit: hash of the audit's row that says so.
        @return: Deferred[indexes]
        """
        if on:
            yield self._threads.call(self._book.stand, audit, hold, session or None, filter)
        else:
            yield self._threads.call(self._book.fall, hold, session or None, audit)
            self._holder.lifted(hold)
        if not session or (not on and (yield self._threads.call(self._stays, session))):
            # Of each session that a filter means there will be a leaf; and one whose other hold still holds is not let go of.
            indexes = yield self._scribe.append([leaf("audit", self._wall(), audit=audit)])
            self._holder.wake(0.0)
            yield self._lock()
            return indexes
        kind = "hold-set" if on else "hold-lifted"
        indexes = yield self._scribe.append([leaf(kind, self._wall(), session=session, audit=audit)])
        yield self._threads.call(self._book.hold, session, indexes[0], on)
        yield self.custody.hold(session, on)
        return indexes

    def _stays(self, session: str) -> bool:
        """In a thread: another hold that is known here means it."""
        row = self._book.session(session)
        return self._book.stands(session, None if row is None else row["head"])

    @inlineCallbacks
    def holds(self, rows: list[dict[str, Any]]) -> Any:
        """@param rows: all that the state store says hold now."""
        self._told = rows
        yield self._threads.call(self._book.told, rows)
        self._holder.told(rows)
        yield self._lock()

    @inlineCallbacks
    def _lock(self) -> Any:
        """What the state store says and what is known here: what either holds is held in the store, too."""
        if self._told is not None:
            standing = yield self._threads.call(self._book.holding)
            self.custody.holds([*self._told, *standing])

    def _released(self) -> None:
        self._lock()

    # -- the end

    @inlineCallbacks
    def expired(self, after: str) -> Any:
        try:
            found = yield self._threads.call(self._eraser.expired, after)
        except NotErased as error:
            raise CuratorFailed(str(error)) from None
        return found

    @inlineCallbacks
    def erase(self, session: str, audit: str) -> Any:
        try:
            index = yield self._eraser.erase(session, audit)
        except (OSError, HoopxError) as error:
            raise CuratorFailed(str(error)) from None
        return index

    @inlineCallbacks
    def confirmClock(self) -> Any:
        """@return: Deferred[see L{ClockGuard.confirm}]"""
        said = yield self._watch.confirmed()
        if said["sessions"]:
            self.custody.moved()
        return said
