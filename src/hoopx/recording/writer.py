# -*- test-case-name: tests.recording.test_writer -*-
"""
The writing of one session's recording: the byte path, and what is seen to beside it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import RecordingFailed
from hoopx.frames import CLOCK, DATA, EVENT, EVENTS, LIMIT, pack, packPrefix, packRest
from hoopx.interfaces import IRecording
from hoopx.recording.files import DISK_FULL
from hoopx.recording.queued import ARMED, SLOW, Queued, noSpace, told
from hoopx.recording.segment import Segment
from hoopx.values import CLIENT, MADE, ORIGINAL, TARGET

if TYPE_CHECKING:
    from hoopx.recording.originals import Originals
    from hoopx.recording.store import Recordings

INLINE: Final = 256 * 1024
"""Payloads up to this are written on the reactor's thread: on a healthy disk 64 KiB take 15 µs and 256 KiB 55 µs, a hand-off to a
thread and back 60 µs and a turn of the reactor."""
APART: Final = 16 * 1024
"""Payloads from this on are written from where they are; smaller ones are faster copied behind their header."""
HASH_AT: Final = 256 * 1024
"""Bytes that wait to be hashed before they are hashed in bulk, in a thread."""
HASH_MOST: Final = 1024 * 1024
"""The same for a segment that has had as many within its first second: a hand-off to the thread and back costs 60 µs."""
HASH_BOUND: Final = 2 * 1024 * 1024
"""Bytes that may wait while a thread hashes as many more; then the lane waits too."""
CLOCK_EVERY: Final = 10_000_000_000
"""Nanoseconds between CLOCK frames while there is traffic."""
LITTLE: Final = 64 * 1024
"""A segment with less is kept open 30 times as long."""
SECOND: Final = 1_000_000_000


@implementer(IRecording)
class Recording(Queued):
    """
    One session's recording. Made by L{hoopx.recording.store.Recordings.open} with HEAD on the disk.

    @ivar due: monotonic nanoseconds: when the store's sweep should look at it next.
    @ivar key: the session's public key, and C{head}, the SHA-256 of the HEAD frame's payload: hexadecimal, for the ledger.
    """

    __slots__ = (
        "lastActivity",
        "due",
        "key",
        "head",
        "_write",
        "_writev",
        "_monotonic",
        "_mark",
        "_hashAt",
        "_synced",
        "_clientBytes",
        "_clientFrames",
        "_targetBytes",
        "_targetFrames",
        "_clocked",
        "_checked",
        "_since",
        "_originals",
    )

    def __init__(
        self,
        store: Recordings,
        segment: Segment,
        session: str,
        began: int,
        key: str = "",
        head: str = "",
        originals: Originals | None = None,
    ) -> None:
        super().__init__(store, segment, session, began)
        self.key = key
        self.head = head
        self.lastActivity = began
        self.due = 0
        self._write = store.files.write
        self._writev = store.files.writev
        self._monotonic = store.monotonic
        self._mark = 0
        self._hashAt = 0
        self._synced = store.journal is not None
        self._clientBytes = self._clientFrames = self._targetBytes = self._targetFrames = 0
        self._clocked = began
        self._checked = 1
        self._since = 0
        self._originals = originals

    # -- the byte path

    def append(self, channel: int, side: int, origin: int, payload: bytes) -> Deferred[None] | None:
        size = len(payload)
        if size > self._inline:
            return self._record(DATA, channel, side, origin, payload)
        now = self._monotonic()
        sequence = self.sequence + 1
        body = packRest(now - self._began, sequence, channel, 3, side, origin, 0)
        segment = self._segment
        try:
            if size < APART:
                body += payload
                frame = packPrefix(size, crc32(body)) + body
                done = self._write(self._fd, frame)
                if done != size + 32:
                    self._store.files.rest(self._fd, frame, done)
                    done = size + 32
            else:
                frame = packPrefix(size, crc32(payload, crc32(body))) + body
                done = self._writev(self._fd, (frame, payload))
                if done != size + 32:
                    self._store.files.rest(self._fd, frame + payload, done)
                    done = size + 32
        except OSError as error:
            raise self.fail(error) from None
        self.sequence = sequence
        if origin < 3:
            if side == 1:
                self._clientBytes += size
                self._clientFrames += 1
            else:
                self._targetBytes += size
                self._targetFrames += 1
        segment.pending.append(frame)
        if size >= APART:
            segment.pending.append(payload)
            segment.apart += 1
        segment.offset = offset = segment.offset + done
        self.lastActivity = after = self._monotonic()
        if offset >= self._mark or after - now > SLOW:
            self._pause(after, after - now)
        return None

    def seal(self, channel: int, side: int, payload: bytes) -> Deferred[None] | None:
        if self._closing is not None:
            raise RecordingFailed(f"the recording {self.session} is closed")
        safe: Deferred[None] | None = None
        if self._originals is not None:
            for sealed in self._originals.seal(channel, side, payload):
                if safe is not None:
                    safe.addErrback(told)  # those before fire before the last, and fail with it
                safe = self.append(channel, side, ORIGINAL, sealed)
        return safe

    def note(self, kind: str, channel: int = 0, **fields: Any) -> Deferred[None] | None:
        if kind not in EVENTS:
            raise ValueError(f"{kind!r} is not in the catalogue of events")
        if kind == "alarm" and self._store.full:
            return None  # see sweep: nobody is ended for what others have to tell
        before = self.lastActivity
        written = self._record(EVENT, channel, 0, 0, pack(dict(fields, event=kind)))
        if kind == "alarm":  # nobody in the session has done anything
            self.lastActivity = before
        return written

    def close(self, reason: str) -> Deferred[None]:
        if self._closing is None:
            self._closing = Deferred()
            self._originals = None  # and its key
            self._inline = ARMED
            self.sequence += 2
            self._enqueue((self._finish, (reason, self.sequence - 1, self._at()), None))
        if self._closing.called:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._closing.addCallback(lambda _: done.callback(None))
        return done

    # -- off the byte path, on the reactor's thread

    def totals(self) -> dict[str, int]:
        """What each side sent so far, as DONE and LINK say it."""
        return {
            "bytes_from_client": self._clientBytes,
            "bytes_from_target": self._targetBytes,
            "frames_from_client": self._clientFrames,
            "frames_from_target": self._targetFrames,
        }

    def unsealed(self) -> tuple[int, int]:
        """When the open segment's first DATA or EVENT was written (monotonic nanoseconds, 0: there is none), and its bytes."""
        return self._since, self._segment.offset

    def _at(self) -> int:
        return self._monotonic() - self._began

    def _pause(self, now: int, took: int) -> None:
        """The last write was slow, or filled something: see to it before the next frame."""
        if took > SLOW:
            self._store.took(took)
            self._goSlow(took)
        elif self._segment.offset >= self._hashAt and (self._hashing or self._segment.offset < self._rollAt(now)):
            self._hash(now)  # a segment is not sealed while a thread hashes it: what may wait has its bound also then
            return
        self._inline = ARMED

    def _rollAt(self, now: int) -> int:
        """The offset at which the segment is to be sealed: in bulk, it may hold 16 times as much."""
        size = self._store.settings.size
        return size if now - self._since > SECOND else size * 16

    def _record(self, kind: int, channel: int, side: int, origin: int, payload: bytes) -> Deferred[None] | None:
        """Everything that is not a small payload on a healthy disk, with nothing else to do."""
        if self._failure is not None:
            raise self._failure
        if self._closing is not None:
            raise RecordingFailed(f"the recording {self.session} is closed")
        if self._store.full:
            raise self.fail(noSpace())
        now = self._monotonic()
        self._stir(now)
        if self._failure is not None:  # of what was stirred
            raise self._failure
        if kind == DATA and origin < MADE:
            self._count(side, len(payload))
        if len(payload) <= INLINE and not self._threaded():
            written = self._put(now, kind, channel, side, origin, payload)
            self.lastActivity = after = self._monotonic()
            self._store.took(after - now)
            if after - now > SLOW:
                self._goSlow(after - now)
            elif not self._synced:
                self._inline = INLINE
            if self._segment.offset >= self._mark:
                self._pause(after, 0)
            return written
        self.lastActivity = now
        return self._later(now, kind, channel, side, origin, payload)

    def _count(self, side: int, size: int) -> None:
        frames = -(-size // LIMIT) or 1
        if side == CLIENT:
            self._clientBytes += size
            self._clientFrames += frames
        elif side == TARGET:
            self._targetBytes += size
            self._targetFrames += frames

    def _stir(self, now: int) -> None:
        """A frame is about to be written: see to what it starts and to what is due."""
        segment = self._segment
        if self._since and not self._rolling and not self._hashing and segment.offset >= self._rollAt(now):
            self._roll(now)
        if not self._since:
            self._since = now
        self._store.wake(self, now + SECOND)
        if now - self._clocked >= CLOCK_EVERY:
            self._clocked = now
            clock = pack({"wall": self._store.wall()})
            if self._threaded():
                self._later(now, CLOCK, 0, 0, 0, clock).addErrback(told)
            else:
                safe = self._put(now, CLOCK, 0, 0, 0, clock)
                if safe is not None:
                    safe.addErrback(told)
        if not self._busy:
            self._hashAt = segment.offset - segment.unhashed() + HASH_AT
            self._mark = min(self._hashAt, self._rollAt(now))

    # -- sealing

    def sweep(self, now: int) -> bool:
        """
        See to what is due: CHECK, CLOCK, the segment's age.

        @return: C{True} when a signature was made.
        """
        if self._failure is not None or self._closing is not None:
            self._store.sleep(self)
            return False
        if self._rolling or self._hashing or self._store.full:
            # What a full disk has left is for closing. Who says nothing meanwhile lives on, and is signed when there is room again.
            self.due = now + SECOND
            return False
        if now - self._clocked >= CLOCK_EVERY - SECOND:
            self._inline = ARMED
        settings = self._store.settings
        little = self._segment.offset < min(LITTLE, settings.size)
        expires = self._since + int(settings.age * (30 if little else 1) * SECOND)
        if now >= expires:
            self._roll(now)
            return True
        self._inline = ARMED  # the next frame stirs again
        self.due = expires
        if self.sequence > self._checked:
            self._check(now)
            return True
        return False

    def _check(self, now: int) -> None:
        self.sequence += 1
        self._checked = self.sequence
        self._inline = ARMED
        if self._threaded():
            self._enqueue((self._segment.check, (self.sequence, now - self._began), None))
            return
        number, offset = self._segment.number, self._segment.offset
        try:
            frame = self._segment.check(self.sequence, now - self._began)
        except OSError as error:
            self.sequence -= 1
            self.fail(error)
            return
        if self._store.journal is not None:
            self._journal(number, offset, frame).addErrback(told)

    def _roll(self, now: int) -> None:
        """Seal the segment and begin the next one, in a thread."""
        self.sequence += 2
        self._checked = self.sequence
        self._since = 0
        self._rolling = True
        self._store.sleep(self)
        self._enqueue((self._segment.roll, (self.sequence - 1, now - self._began, self.totals()), None))

    def _hash(self, now: int) -> None:
        """Hash in a thread what was written; the writing goes on."""
        segment = self._segment
        more = HASH_MOST if now - self._since < SECOND else HASH_AT
        if self._hashing:
            if segment.unhashed() >= HASH_BOUND:
                self._inline = ARMED
                if self._queue is None:
                    self._queue = []  # what comes now waits until the thread is through
            else:
                self._hashAt = self._mark = segment.offset + more
            return
        self._hashing = True
        self._hashAt = segment.offset + more
        self._mark = min(self._hashAt, self._rollAt(now))
        self._store.threads.call(segment.hash, segment.take()).addBoth(self._hashed)

    def _hashed(self, outcome: Any) -> None:
        self._hashing = False
        if isinstance(outcome, Failure):
            self.fail(OSError(errno.EIO, "internal error"))
        if self._queue == []:
            self._queue = None
        self._pump()

    # -- the end

    def _finish(self, reason: str, sequence: int, at: int) -> None:
        """In a thread: DONE and the last SEAL, from the reserve when the disk is full. What can not be, recovery does."""
        segment, disk = self._segment, self._store.disk
        totals = self.totals()
        done = pack(dict(totals, reason=reason, duration=at / SECOND, wall=self._store.wall()))
        try:
            if self._store.full:
                disk.release()
            try:
                segment.finish(done, sequence, at, totals)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                segment.cut()
                disk.release()
                segment.finish(done, sequence, at, totals)
        except OSError as error:
            segment.cut()
            self._lost = error
            self.log.error(
                "Recording {session} was not closed, the next start recovers it: {reason}.",
                session=self.session,
                reason=error.strerror,
            )
        finally:
            segment.shut()

    def arm(self, clock: bool = False) -> None:
        """Look before the next frame: the disk is full, or (C{clock}) the wall clock has jumped."""
        self._inline = ARMED
        if clock:
            self._clocked -= CLOCK_EVERY
