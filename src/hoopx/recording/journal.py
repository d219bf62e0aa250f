# -*- test-case-name: tests.recording.test_recovery -*-
"""
The shared journal of C{durability = "synced"}: one fdatasync makes safe what many recordings wrote.

A frame is in its session's file already; the journal holds it a second time until that file has been synced itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final
from zlib import crc32

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.recording.files import Files

MAGIC: Final = b"\x89HXJ\r\n\x1a\n\x00\x01"
_entry: Final = Struct(">II26sIQ")
"""Length of the frame, CRC-32 of the rest of the entry; session, segment number, offset of the frame in it."""
FILE: Final = 64 << 20
"""A journal file is left for the next one after as many bytes."""
WAITING: Final = 64 << 20
"""Bytes that may wait for one fdatasync. Every lane waits for its own; only lanes that do not come this far."""
LONGEST: Final = (1 << 20) + 32


class Journal:
    """
    @param directory: C{data/journal}, which exists.
    @param threads: runs one call at a time, in order, and nothing else.
    """

    log = Logger()

    def __init__(self, files: Files, directory: str, threads: Any) -> None:
        self._files = files
        self._directory = directory
        self._threads = threads
        self._number = 0
        self._descriptor = -1
        self._size = 0
        self._entries: list[bytes] = []
        self._sessions: list[str] = []
        self._waiting: list[Deferred[None]] = []
        self._bytes = 0
        self._busy = False
        self._live: dict[int, set[str]] = {}

    def add(self, session: str, number: int, offset: int, frame: bytes) -> Deferred[None]:
        """
        @param number: of the segment.
        @param offset: of the frame in it.
        @return: Deferred[None], fired in the order of the calls when the frame is on the disk; fails with L{OSError}, which is
            final for everything that waited with it.
        """
        if self._bytes > WAITING:
            return fail(OSError(errno.ENOBUFS, "too much waits for the disk"))
        self._entries.append(entry(session, number, offset, frame))
        self._bytes += len(frame)
        self._sessions.append(session)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self._busy:
            self._commit()
        return waiting

    def _commit(self) -> None:
        self._busy = True
        entries, self._entries = self._entries, []
        sessions, self._sessions = self._sessions, []
        waiting, self._waiting = self._waiting, []
        self._bytes = 0
        done = self._threads.call(self._write, entries)
        done.addCallbacks(self._written, self._failed, callbackArgs=(sessions, waiting), errbackArgs=(waiting,))

    def _write(self, entries: list[bytes]) -> int:
        """In the thread."""
        if self._descriptor < 0 or self._size >= FILE:
            self._next()
        data = b"".join(entries)
        self._files.writeAll(self._descriptor, data)
        self._size += len(data)
        self._files.fdatasync(self._descriptor)
        return self._number

    def _next(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._files.close(descriptor)
        number = self._number + 1
        descriptor = self._files.create(os.path.join(self._directory, f"{number:03d}"), os.O_TRUNC)
        self._number, self._descriptor, self._size = number, descriptor, len(MAGIC)
        self._files.writeAll(descriptor, MAGIC)
        self._files.fsync(descriptor)
        self._files.syncDirectory(self._directory)

    def _written(self, number: int, sessions: list[str], waiting: list[Deferred[None]]) -> None:
        self._live.setdefault(number, set()).update(sessions)
        for done in waiting:
            done.callback(None)
        self._go()

    def _failed(self, failure: Failure, waiting: list[Deferred[None]]) -> None:
        """After a failed fdatasync nobody knows what of the file is on the disk: it is never asked again, nor written to."""
        self.log.error("The journal can not be synced: {reason}.", reason=failure.getErrorMessage())
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                self._files.close(descriptor)
            except OSError:
                pass
        error = failure.value if isinstance(failure.value, OSError) else OSError(errno.EIO, "internal error")
        for done in waiting:
            done.errback(Failure(error))
        self._go()

    def _go(self) -> None:
        self._busy = False
        if self._waiting:
            self._commit()

    def release(self, session: str) -> None:
        """The session's segment is synced itself: files that hold nothing else are removed."""
        for number in [number for number, sessions in self._live.items() if session in sessions]:
            self._live[number].discard(session)
            if not self._live[number] and number != self._number:
                del self._live[number]
                path = os.path.join(self._directory, f"{number:03d}")
                self._threads.call(self._files.unlink, path).addErrback(self._kept, path)

    def _kept(self, failure: Failure, path: str) -> None:
        self.log.warn("{path} could not be removed: {reason}.", path=path, reason=failure.getErrorMessage())

    def stop(self) -> Deferred[None]:
        """Every recording is closed: the journal holds nothing any more."""
        return self._threads.call(self._remove)

    def _remove(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._files.close(descriptor)


def entry(session: str, number: int, offset: int, frame: bytes) -> bytes:
    """One frame as the journal holds it."""
    rest = _entry.pack(len(frame), 0, session.encode("ascii"), number, offset)[8:] + frame
    return len(frame).to_bytes(4, "big") + crc32(rest).to_bytes(4, "big") + rest


def readJournal(path: str) -> Iterator[tuple[str, int, int, int, int]]:
    """
    What one journal file holds, up to the first entry that is not whole.

    @return: iterator of C{(session, segment number, offset, position, size)}: the frame is at C{position} of the journal file.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        while len(header := file.read(_entry.size)) == _entry.size:
            size, crc, session, number, offset = _entry.unpack(header)
            if size > LONGEST:
                return
            frame = file.read(size)
            if len(frame) != size or crc32(frame, crc32(header[8:])) != crc:
                return
            yield session.decode("ascii", "replace"), number, offset, file.tell() - size, size
