# -*- test-case-name: tests.recording.test_writer -*-
"""
The two owners of a recording's file, and the queue between them.

The reactor's thread writes inline while the disk is fast; a writer thread does while a batch is under way (a big payload, a slow
disk, a segment being sealed), and what comes meanwhile queues behind it. Never both at once.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.errors import RecordingFailed
from hoopx.frames import CONTINUED, LIMIT, encode
from hoopx.recording.files import DISK_FULL
from hoopx.recording.segment import Segment, Written

ARMED: Final = -1
"""In place of the inline limit: there is something to see to before the next frame."""
SLOW: Final = 20_000_000
"""Nanoseconds. A write that took longer has stalled every session: the next ones of this file go through a thread."""
FAST: Final = 5_000_000
"""Nanoseconds. A thread's writes that took less bring the file back to the reactor's thread."""
QUEUE_BOUND: Final = 40 * 1024 * 1024
"""Bytes that may queue for the writer thread: the largest unit of a protocol (16 MiB) twice, as it was and masked, and what has come
together with it. Lanes pause at the first Deferred; only a lane that does not comes this far."""


class Queued:
    """
    A recording's file as the reactor's thread sees it. L{hoopx.recording.writer.Recording} is the only use.

    @ivar sequence: of the last frame, written or queued.
    """

    log = Logger()

    __slots__ = (
        "session",
        "sequence",
        "_store",
        "_segment",
        "_fd",
        "_began",
        "_inline",
        "_queue",
        "_queued",
        "_busy",
        "_hashing",
        "_rolling",
        "_slow",
        "_failure",
        "_closing",
        "_lost",
        "_number",
    )

    def __init__(self, store: Any, segment: Segment, session: str, began: int) -> None:
        self.session = session
        self.sequence = 1
        self._store = store
        self._segment = segment
        self._fd = segment.descriptor
        self._began = began
        self._inline = ARMED
        self._queue: list[tuple[Any, Any, Any]] | None = None
        self._queued = 0
        self._busy = self._hashing = self._rolling = self._slow = False
        self._failure: RecordingFailed | None = None
        self._closing: Deferred[None] | None = None
        self._lost: OSError | None = None
        self._number = 0

    @property
    def path(self) -> str:
        """The session's directory."""
        return self._segment.path

    def _threaded(self) -> bool:
        """C{True} when frames have to go through the writer thread."""
        return self._busy or self._slow or self._queue is not None

    def _goSlow(self, took: int) -> None:
        self._slow = True
        self._inline = ARMED
        self.log.warn(
            "Writing the recording {session} took {ms} ms: it goes through a thread.", session=self.session, ms=took // 1_000_000
        )

    def _put(self, now: int, kind: int, channel: int, side: int, origin: int, payload: bytes) -> Deferred[None] | None:
        """Write one frame inline."""
        sequence = self.sequence + 1
        frame = encode(now - self._began, sequence, channel, kind, side, origin, 0, payload)
        segment = self._segment
        offset = segment.offset
        try:
            segment.add(frame)
        except OSError as error:
            raise self.fail(error) from None
        self.sequence = sequence
        if self._store.journal is None:
            return None
        return self._journal(segment.number, offset, frame)

    def _journal(self, number: int, offset: int, frame: bytes) -> Deferred[None]:
        safe = self._store.journal.add(self.session, number, offset, frame)
        return safe.addErrback(self._unsafe)

    def _unsafe(self, failure: Failure) -> Failure:
        error = failure.value
        return Failure(self.fail(error if isinstance(error, OSError) else OSError(errno.EIO, str(error))))

    def _later(self, now: int, kind: int, channel: int, side: int, origin: int, payload: bytes) -> Deferred[None]:
        """Queue frames for the writer thread."""
        if self._queued + len(payload) > QUEUE_BOUND and self._queued:
            raise self.fail(OSError(errno.ENOBUFS, "too much waits for the disk"))
        self._queued += len(payload)
        waiting: Deferred[None] = Deferred()
        at = now - self._began
        for cut in range(0, len(payload) or 1, LIMIT):
            part = payload[cut : cut + LIMIT]
            last = cut + LIMIT >= len(payload)
            self.sequence += 1
            frame = encode(at, self.sequence, channel, kind, side, origin, 0 if last else CONTINUED, part)
            self._enqueue((None, (self.sequence, frame), waiting if last else None), pump=last)
        return waiting

    def _enqueue(self, item: tuple[Any, Any, Any], pump: bool = True) -> None:
        self._inline = ARMED
        if self._queue is None:
            self._queue = []
        self._queue.append(item)
        if pump:
            self._pump()

    def _pump(self) -> None:
        if self._busy or self._hashing or self._queue is None:
            return
        items, self._queue = self._queue, None
        self._queued = 0
        self._busy = True
        work = self._store.threads.call(self._segment.work, items, self._full, self._store.monotonic)
        work.addCallbacks(self._worked, self._broke, errbackArgs=(items,))

    def _full(self) -> bool:
        return self._store.full

    def _worked(self, outcome: Written) -> None:
        """A batch is through: on the reactor's thread again."""
        journal = self._store.journal
        self._fd = self._segment.descriptor
        if outcome.retired or (journal is not None and self._segment.number != self._number):
            self._number = self._segment.number
            self._rolling = False
            if journal is not None:
                journal.release(self.session)
            self._store.retire(self, outcome.retired, self._number - 1)
        for number, offset, frame, waiting in outcome.written:
            if journal is None:
                if waiting is not None:
                    waiting.callback(None)
                continue
            safe = self._journal(number, offset, frame)
            if waiting is not None:
                safe.addCallbacks(waiting.callback, waiting.errback)
            else:
                safe.addErrback(told)
        if outcome.slowest:
            self._store.took(outcome.slowest)
        if outcome.error is not None:
            self.sequence = outcome.sequence or self.sequence
            self.fail(outcome.error)
            self._discard(outcome.left)
        elif outcome.slowest > SLOW:
            if not self._slow:
                self._goSlow(outcome.slowest)
        elif 0 < outcome.slowest < FAST:
            self._slow = False
        self._busy = False
        if outcome.closed:
            self._closed()
        else:
            self._pump()

    def _broke(self, failure: Failure, items: list[tuple[Any, Any, Any]]) -> None:
        """A defect of ours, not the disk's: fail closed."""
        self.log.failure("Recording {session} failed.", failure, session=self.session)
        self._busy = False
        self.fail(OSError(errno.EIO, "internal error"))
        if self._segment.descriptor < 0:  # it was the closing that broke: not again
            self._closed()
            return
        self._discard(items)
        self._pump()

    def _discard(self, items: list[tuple[Any, Any, Any]]) -> None:
        """Items that will not be done, and those behind them; but a recording that failed is closed all the same."""
        behind, self._queue = self._queue or [], None
        for item in items + behind:
            if item[0] == self._finish:
                self._enqueue(item, pump=False)
            elif item[2] is not None:
                item[2].errback(Failure(self._failure))

    def lastSealed(self) -> tuple[int, str]:
        """@return: number of the segment that was sealed last (-1: none), and hex SHA-256 of its file."""
        return self._segment.sealed

    def fail(self, error: OSError) -> RecordingFailed:
        """Now and ever after."""
        if self._failure is None:
            reason = error.strerror or str(error)
            self._failure = RecordingFailed(f"the recording {self.session} can not be continued: {reason}")
            self._inline = ARMED
            self.log.error("Recording {session} failed: {reason}.", session=self.session, reason=reason)
            if not self._busy:
                self._segment.cut()
            self._store.failed(self, error.errno in DISK_FULL, reason)
        return self._failure

    def _closed(self) -> None:
        closing = self._closing
        if self._lost is not None and self._failure is None:  # nobody has been told yet
            self._store.failed(self, self._lost.errno in DISK_FULL, self._lost.strerror or str(self._lost))
        self._store.closed(self)
        if self._store.journal is not None:
            self._store.journal.release(self.session)
        assert closing is not None
        closing.callback(None)

    def _finish(self, reason: str, sequence: int, at: int) -> None:
        """In a thread: the end of the recording."""
        raise NotImplementedError


def told(failure: Failure) -> None:
    """The recording knows already; nobody waits for this frame."""


def noSpace() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
