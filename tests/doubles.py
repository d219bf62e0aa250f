"""
Doubles of the seams that several tests need.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from hoopx.errors import RecordingFailed
from hoopx.frames import DATA, DONE, EVENT, HEAD, pack, unpack
from hoopx.interfaces import IRecording, IRecordings, ISessionView
from hoopx.protocols.raw.view import RawView
from hoopx.ulid import ulid
from hoopx.values import ATTEMPTED, CLIENT, MADE, ORIGINAL, PASSED, TARGET, Frame


@implementer(IRecording)
class MemoryRecording:
    """
    A recording in a list.

    @ivar frames: L{Frame}s in order, from HEAD on.
    @ivar failure: set to an exception (or call L{fail}): every later append raises it.
    @ivar slow: C{True}: appends return Deferreds, kept in C{pending} until L{release}.
    @ivar keeps: C{True}: what is sealed is kept; here it is only turned around.
    @ivar closed: the reason given to L{close}, or C{None}.
    """

    def __init__(self, head: dict[str, Any] | None = None, session: str | None = None) -> None:
        self.session = session or ulid(0, b"\0" * 10)
        self.lastActivity = 0
        self.frames: list[Frame] = []
        self.failure: Exception | None = None
        self.slow = False
        self.keeps = False
        self.pending: list[Deferred[None]] = []
        self.closed: str | None = None
        self._add(HEAD, 0, 0, 0, pack(dict(head or {}, session=self.session)))

    @property
    def sequence(self) -> int:
        return len(self.frames)

    def _add(self, kind: int, channel: int, side: int, origin: int, payload: bytes) -> None:
        number = len(self.frames) + 1
        self.frames.append(Frame(number, number, channel, kind, side, origin, 0, payload))
        self.lastActivity += 1

    def _record(self, kind: int, channel: int, side: int, origin: int, payload: bytes) -> Deferred[None] | None:
        if self.failure is not None:
            raise self.failure
        if self.closed is not None:
            raise RecordingFailed("the recording is closed")
        self._add(kind, channel, side, origin, payload)
        if not self.slow and not self.pending:
            return None
        waiting: Deferred[None] = Deferred()
        self.pending.append(waiting)
        return waiting

    def append(self, channel: int, side: int, origin: int, payload: bytes) -> Deferred[None] | None:
        assert type(payload) is bytes and side in (CLIENT, TARGET) and origin in (1, 2, 3, 4)
        return self._record(DATA, channel, side, origin, payload)

    def seal(self, channel: int, side: int, payload: bytes) -> Deferred[None] | None:
        return self.append(channel, side, ORIGINAL, payload[::-1]) if self.keeps else None

    def note(self, kind: str, channel: int = 0, **fields: Any) -> Deferred[None] | None:
        return self._record(EVENT, channel, 0, 0, pack(dict(fields, event=kind)))

    def close(self, reason: str) -> Deferred[None]:
        if self.closed is None:
            self.closed = reason
            self._add(DONE, 0, 0, 0, pack({"reason": reason}))
        return succeed(None)

    def release(self, count: int | None = None) -> None:
        """Fire the oldest pending Deferreds, in order."""
        ready = self.pending[:count]
        del self.pending[:count]
        for waiting in ready:
            waiting.callback(None)

    def fail(self, reason: str = "No space left on device") -> None:
        """Fail now and ever after; pending appends too."""
        self.failure = RecordingFailed(reason)
        ready, self.pending = self.pending, []
        for waiting in ready:
            waiting.errback(self.failure)

    def sent(self, side: int) -> bytes:
        """What that side sent: passed and attempted."""
        return b"".join(f.payload for f in self.frames if f.kind == DATA and f.side == side and f.origin in (PASSED, ATTEMPTED))

    def received(self, side: int) -> bytes:
        """What that side received: what stands in the other's direction of speech, passed and made."""
        other = TARGET if side == CLIENT else CLIENT
        return b"".join(f.payload for f in self.frames if f.kind == DATA and f.side == other and f.origin in (PASSED, MADE))

    def events(self) -> list[dict[str, Any]]:
        """The EVENT frames' objects, in order."""
        return [unpack(f.payload) for f in self.frames if f.kind == EVENT]


@implementer(IRecordings)
class MemoryRecordings:
    """
    Recordings in lists.

    @ivar opened: every L{MemoryRecording}, in order.
    @ivar failure: set to an exception: every later L{open} fails with it.
    @ivar slow: C{True}: L{open} waits in C{waiting} (a list of C{(Deferred, recording)}) until L{release}.
    @ivar trouble: what L{obstacle} says.
    """

    def __init__(self) -> None:
        self.opened: list[MemoryRecording] = []
        self.failure: Exception | None = None
        self.slow = False
        self.waiting: list[tuple[Deferred[MemoryRecording], MemoryRecording]] = []
        self.trouble: str | None = None

    def open(self, head: dict[str, Any]) -> Deferred[MemoryRecording]:
        if self.failure is not None:
            return fail(self.failure)
        if self.trouble is not None:
            return fail(RecordingFailed(self.trouble))
        recording = MemoryRecording(head, ulid(len(self.opened) + 1, b"\0" * 10))
        self.opened.append(recording)
        if not self.slow:
            return succeed(recording)
        waiting: Deferred[MemoryRecording] = Deferred()
        self.waiting.append((waiting, recording))
        return waiting

    def release(self) -> None:
        """Let every waiting L{open} succeed."""
        ready, self.waiting = self.waiting, []
        for waiting, recording in ready:
            waiting.callback(recording)

    def obstacle(self) -> str | None:
        return self.trouble


@implementer(ISessionView)
class Picky(RawView):
    """Falls over what a view is never to get."""

    def feed(self, frame: Frame) -> list[Any]:
        if frame.kind == DATA and (frame.origin == ORIGINAL or not frame.payload):
            raise AssertionError(f"a view was given {frame}")
        return super().feed(frame)
