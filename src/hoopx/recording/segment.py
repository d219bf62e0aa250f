# -*- test-case-name: tests.recording.test_recovery -*-
"""
The segment that is being written: the file, what of it is hashed, and how it is sealed. Used by one thread at a time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.frames import CHECK, DONE, LINK, OPEN, SEAL, START, encode, pack, segmentName
from hoopx.recording.files import Files
from hoopx.recording.signing import sign

NEXT: Final = "next.hxr"
"""The segment after the open one, until it takes its name. Left over by a crash it holds nothing and is removed."""
JOIN: Final = 1 << 20
"""Frames that queued are written together, up to as many bytes."""

FEW: Final = 32
"""So many frames are hashed one by one: in bulk they are big, and a copy of them is a tenth of the hashing."""


class Written(NamedTuple):
    """
    What came of a batch.

    @ivar written: C{(segment number, offset, frame, waiting)} of every frame that is in the file.
    @ivar left: items that were not done, from the one that failed on.
    @ivar slowest: nanoseconds of the slowest write, at least one; 0: there was none.
    @ivar sequence: of the last frame in the file, or 0 when the batch wrote none.
    @ivar retired: descriptors of sealed segments that are still to be synced.
    @ivar closed: the recording's last seal is done.
    """

    written: list[tuple[int, int, bytes, Any]]
    left: list[tuple[Any, Any, Any]]
    error: OSError | None
    slowest: int
    sequence: int
    retired: list[int]
    closed: bool


class Segment:
    """
    @ivar descriptor: of C{open.hxr}, or -1.
    @ivar number: of the segment.
    @ivar offset: where the last whole frame ends.
    @ivar pending: frames that are in the file and not yet hashed; a big one as its header and its payload.
    @ivar apart: how many frames of C{pending} are two.
    @ivar sealed: number of the segment that was sealed last (-1: none), and hex SHA-256 of its file.
    """

    __slots__ = (
        "files",
        "path",
        "session",
        "key",
        "sealed",
        "synced",
        "descriptor",
        "number",
        "offset",
        "pending",
        "apart",
        "_count",
        "_hashed",
        "_sha",
        "_link",
        "_done",
        "_last",
        "_retired",
    )

    def __init__(
        self, files: Files, path: str, session: str, key: Ed25519PrivateKey | None, synced: bool, descriptor: int, head: bytes
    ) -> None:
        self.files = files
        self.path = path
        self.session = session
        self.key = key
        self.synced = synced
        self.sealed: tuple[int, str] = (-1, "")
        self._link: str | None = None
        self._done = False
        self._last = 0
        self._retired: list[int] = []
        self._begin(descriptor, 0, head)

    def _begin(self, descriptor: int, number: int, first: bytes) -> None:
        self.descriptor = descriptor
        self.number = number
        self.offset = self._hashed = len(START) + len(first)
        self._sha = sha256(START + first)
        self._count = 1
        self.pending: list[bytes] = []
        self.apart = 0

    # -- writing

    def add(self, frame: bytes) -> None:
        """Write one frame. @raise OSError: it is not in the file, not even a part of it."""
        self._write(frame)
        self.offset += len(frame)
        self.pending.append(frame)

    def _write(self, data: bytes) -> None:
        done = self.files.write(self.descriptor, data)
        if done != len(data):
            self.files.rest(self.descriptor, data, done)

    def cut(self) -> None:
        """Cut back to the last whole frame. What can not be cut now, recovery cuts at the next start."""
        try:
            if self.descriptor >= 0:
                self.files.ftruncate(self.descriptor, self.offset)
        except OSError:
            pass

    def work(self, items: list[tuple[Any, Any, Any]], full: Callable[[], bool], monotonic: Callable[[], int]) -> Written:
        """
        In a thread: a batch of C{(None, (sequence, frame), waiting)} and C{(job, arguments, None)}, in order.

        @param full: whether what is left of the disk is for closing recordings, and no frame may take of it.
        @param monotonic: nanoseconds, of the clock that inline writes are measured with.
        """
        written: list[tuple[int, int, bytes, Any]] = []
        at, slowest, sequence = 0, 0, 0
        error: OSError | None = None
        closed = False
        while at < len(items):
            end = at
            try:
                if items[at][0] is not None:
                    job, arguments, _ = items[at]
                    number, offset = self.number, self.offset
                    frame = job(*arguments)
                    if frame is not None:
                        written.append((number, offset, frame, None))
                    closed = self.descriptor < 0
                    at += 1
                    continue
                if full():
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                size = 0
                while end < len(items) and items[end][0] is None and size < JOIN:
                    size += len(items[end][1][1])
                    end += 1
                began = monotonic()
                self._write(b"".join(item[1][1] for item in items[at:end]))
                slowest = max(slowest, monotonic() - began, 1)
            except OSError as problem:
                error = problem
                self.cut()
                break
            for _, (sequence, frame), waiting in items[at:end]:  # noqa: B007 (the last one is told)
                written.append((self.number, self.offset, frame, waiting))
                self.offset += len(frame)
                self.pending.append(frame)
            if self.offset - self._hashed >= JOIN:
                self.hash(self.take())
            at = end
        retired, self._retired = self._retired, []
        return Written(written, items[at:], error, slowest, sequence, retired, closed)

    # -- hashing

    def unhashed(self) -> int:
        """Bytes in the file that are not hashed."""
        return self.offset - self._hashed

    def take(self) -> list[bytes]:
        """@return: the pending frames, for L{hash}."""
        frames, self.pending = self.pending, []
        self._count += len(frames) - self.apart
        self.apart = 0
        self._hashed = self.offset
        return frames

    def hash(self, frames: list[bytes]) -> None:
        """Hash in bulk: hashlib lets go of the interpreter meanwhile, but many small ones are faster copied together."""
        if len(frames) > FEW:
            frames = [b"".join(frames)]
        for frame in frames:
            self._sha.update(frame)

    # -- sealing

    def check(self, sequence: int, at: int) -> bytes:
        """Write CHECK: what the segment holds so far, signed. @return: the frame."""
        self.hash(self.take())
        value = {"session": self.session, "segment": self.number, "sha256": self._sha.hexdigest()}
        frame = encode(at, sequence, 0, CHECK, payload=sign(self._key(), "check", value))
        self.add(frame)
        return frame

    def roll(self, sequence: int, at: int, totals: dict[str, Any]) -> None:
        """Seal, and go on in the next segment. A kill at any instant leaves C{open.hxr} as one or the other."""
        self._seal(sequence, at)
        self._succeed(sequence + 1, at, totals)

    def _seal(self, sequence: int, at: int) -> None:
        self.hash(self.take())
        value = {
            "session": self.session,
            "segment": self.number,
            "frames": self._count,
            "sha256": self._sha.hexdigest(),
            "salt": os.urandom(16).hex(),
        }
        frame = encode(at, sequence, 0, SEAL, payload=sign(self._key(), "seal", value))
        self.add(frame)
        self.hash(self.take())
        self._link = self._sha.hexdigest()
        self.sealed = (self.number, self._link)
        self.files.fchmod(self.descriptor, 0o440)

    def _succeed(self, sequence: int, at: int, totals: dict[str, Any]) -> None:
        self._keepName()
        link = linkFrame(self.session, self.number + 1, self._link or "", sequence, at, totals)
        successor = os.path.join(self.path, NEXT)
        descriptor = begin(self.files, successor, link)
        try:
            if self.synced:
                self.files.fdatasync(self.descriptor)
                self.files.fsync(descriptor)
            self.files.rename(successor, self._open())
        except OSError:
            self.files.close(descriptor)
            self.files.unlink(successor)
            raise
        before, self.descriptor = self.descriptor, descriptor
        self._link = None
        self._last = sequence
        self._begin(descriptor, self.number + 1, link)
        if self.synced:
            self.files.close(before)
            self.files.syncDirectory(self.path)
        else:
            self._retired.append(before)

    def _keepName(self) -> None:
        """The sealed segment's own name, beside C{open.hxr}, which its successor will take."""
        name = os.path.join(self.path, segmentName(self.number))
        try:
            self.files.link(self._open(), name)
        except FileExistsError:
            if not os.path.samefile(self._open(), name):
                raise

    def finish(self, done: bytes, sequence: int, at: int, totals: dict[str, Any]) -> None:
        """
        DONE and the last SEAL. May be called again after it failed: it goes on where it stopped.

        @param done: the payload of DONE.
        @param sequence: the first that is free.
        """
        if self._link is not None and not self._done:  # sealed, but the disk had no room for a successor
            self._succeed(max(sequence, self._last + 1), at, totals)
        if not self._done:
            sequence = max(sequence, self._last + 1)
            self.add(encode(at, sequence, 0, DONE, payload=done))
            self._last = sequence
            self._done = True
        if self._link is None:
            self._seal(self._last + 1, at)
        self.files.fdatasync(self.descriptor)
        self.files.rename(self._open(), os.path.join(self.path, segmentName(self.number)))
        self.files.syncDirectory(self.path)
        self.shut()

    def shut(self) -> None:
        """Let go of the file, the lock and the key."""
        self.key = None
        self.pending = []
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            try:
                self.files.close(descriptor)
            except OSError:
                pass

    def _open(self) -> str:
        return os.path.join(self.path, OPEN)

    def _key(self) -> Ed25519PrivateKey:
        if self.key is None:
            raise OSError(errno.EBADF, "the recording is closed")
        return self.key


def linkFrame(session: str, number: int, digest: str, sequence: int, at: int, totals: dict[str, Any]) -> bytes:
    """The first frame of a later segment."""
    value = dict(totals, session=session, segment=number, sha256=digest)
    return encode(at, sequence, 0, LINK, payload=pack(value))


def begin(files: Files, path: str, first: bytes) -> int:
    """
    Make a segment's file, locked, with its first frame.

    @return: the descriptor.
    @raise OSError: there is no such file then.
    """
    descriptor = files.create(path)
    try:
        files.lock(descriptor)
        files.writeAll(descriptor, START + first)
    except OSError:
        files.close(descriptor)
        files.unlink(path)
        raise
    return descriptor
