# -*- test-case-name: tests.recording.test_catalogue -*-
"""
A session's frames as they come.
"""

from __future__ import annotations

import os
from typing import IO

from hoopx.frames import DONE, OPEN, RECOVERED, SEAL, Decoder, FrameError, segmentName
from hoopx.reading import CHUNK, Opener, Unreadable, readOn
from hoopx.recording.stored import openSegment
from hoopx.values import Frame


class Follower:
    """
    Call L{step} from time to time; it reads what is new and waits for nothing.

    @param path: the session's directory.
    @param opener: opens segments.
    @ivar behind: there was more than the last L{step} took.
    """

    behind = False

    def __init__(self, path: str, opener: Opener = openSegment) -> None:
        self._path = path
        self._opener = opener
        self._number = 0
        self._file: IO[bytes] | None = None
        self._decoder = Decoder()
        self._sequence = -1
        self._ended = False
        self._over = False

    def step(self, most: int = 16 * CHUNK) -> list[Frame] | None:
        """
        @param most: bytes to read.
        @return: the frames since the last call, C{None} when the session has ended and all was
            returned.
        @raise hoopx.frames.FrameError: a segment is damaged.
        @raise hoopx.recording.stored.Encrypted: one is encrypted, and the opener has no identity for it.
        """
        found: list[Frame] = []
        self.behind = False
        left = most
        while not self._over:
            if left <= 0:
                self.behind = True
                break
            if self._file is None and not self._next():
                break
            assert self._file is not None
            size = min(CHUNK, left)
            frames = readOn(self._file, self._decoder, size)
            if frames is None:
                break
            left -= size
            found += frames
            for frame in frames:
                self._sequence = frame.sequence
                self._ended = self._ended or frame.kind in (DONE, RECOVERED)
                if frame.kind == SEAL:
                    self._seal()
        if self._over and not found:
            return None
        return found

    def _next(self) -> bool:
        """Open the segment whose turn it is, under whichever name it has."""
        for name in (segmentName(self._number), OPEN):
            try:
                file = self._opener(os.path.join(self._path, name))
            except FileNotFoundError:
                continue
            except Unreadable as error:
                raise FrameError(name, 0, 0, str(error)) from None
            if name == OPEN and self._number and self._stale(file):
                file.close()
                return False
            self._file = file
            self._decoder = Decoder(name, self._sequence)
            return True
        return False

    def _stale(self, file: IO[bytes]) -> bool:
        """Is C{open.hxr} still the segment before, that is sealed and not replaced yet?"""
        try:
            before = os.stat(os.path.join(self._path, segmentName(self._number - 1)))
        except FileNotFoundError:
            return True
        here = os.fstat(file.fileno())
        if (here.st_dev, here.st_ino) == (before.st_dev, before.st_ino):
            return True
        return os.path.exists(os.path.join(self._path, segmentName(self._number)))  # sealed meanwhile: take that one next time

    def _seal(self) -> None:
        self.close()
        self._number += 1
        self._over = self._ended

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
