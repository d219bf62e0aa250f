# -*- test-case-name: tests.recording.test_faults -*-
"""
The disk under the recordings: its reserve, its marks, and whether it works.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Any, Final

from twisted.logger import Logger

from hoopx.recording.files import Files

PROBE: Final = b"hoopx" * 820
"""A little more than a block: a full disk can not hide behind the end of one."""


class Disk:
    """
    Everything here may block: call it in a thread.

    @param data: the data directory.
    @param reserve: bytes kept allocated in C{data/reserve}.
    @param refuseBelow: bytes that must be free for new sessions.
    """

    log = Logger()

    def __init__(self, files: Files, data: str, reserve: int, refuseBelow: int) -> None:
        self._files = files
        self._data = data
        self._path = os.path.join(data, "reserve")
        self._reserve = reserve
        self._refuseBelow = refuseBelow
        self._held = False
        self._lock = Lock()
        self._suspect = True
        self._seen: int | None = None

    def figures(self) -> dict[str, Any]:
        """C{free} bytes at the last look, and the marks. Does not block."""
        return {"free": self._seen, "refuseBelow": self._refuseBelow, "reserve": self._reserve, "held": self._held}

    def suspect(self) -> None:
        """A write has failed: write a probe before new sessions are trusted to this disk."""
        self._suspect = True

    def release(self) -> None:
        """Give the reserve's space to the recordings that are to be closed."""
        with self._lock:
            if self._held:
                self._held = False
                self._files.unlink(self._path)

    def poll(self) -> str | None:
        """
        Look, and put right what can be.

        @return: why no new session can be recorded, or C{None}.
        """
        try:
            status = self._files.statvfs(self._data)
            if status.f_flag & os.ST_RDONLY:
                self._suspect = True
                return "the disk is read-only"
            self._seen = free = status.f_bavail * status.f_frsize
            if not self._held and self._reserve:
                if free < self._reserve + self._refuseBelow and not self._whole():
                    return f"the disk reserve is not whole: {free} bytes are free, {self._reserve + self._refuseBelow} are needed"
                self._take()
                free = min(free, self._free())
            if free < self._refuseBelow:
                return f"the disk is nearly full: {free} bytes are free, new sessions need {self._refuseBelow}"
            if self._suspect:
                self._probe()
                self._suspect = False
        except OSError as error:
            self._suspect = True
            return f"the disk does not work: {error.strerror}"
        return None

    def _free(self) -> int:
        status = self._files.statvfs(self._data)
        return status.f_bavail * status.f_frsize

    def _whole(self) -> bool:
        try:
            return os.stat(self._path).st_blocks * 512 >= self._reserve
        except FileNotFoundError:
            return False

    def _take(self) -> None:
        with self._lock:
            descriptor = self._files.create(self._path, 0)
            try:
                self._files.fallocate(descriptor, 0, self._reserve)
            except OSError:
                self._files.unlink(self._path)
                raise
            finally:
                self._files.close(descriptor)
            self._held = True

    def _probe(self) -> None:
        path = os.path.join(self._data, "probe")
        descriptor = self._files.create(path, os.O_TRUNC)
        try:
            self._files.writeAll(descriptor, PROBE)
            self._files.fdatasync(descriptor)
        finally:
            self._files.close(descriptor)
            self._files.unlink(path)
