"""
L{hoopx.recording.locks}: who only looks is not taken for an owner.
"""

from __future__ import annotations

import fcntl
import os
from threading import Timer

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import HEAD, encode
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked, isLocked, lockData, tryLock
from hoopx.recording.segment import begin


def look(path: str) -> int:
    """What L{isLocked} does between its two system calls."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


class Watched(Files):
    """Somebody lists the sessions in the moment in which a segment's file is there and not locked yet."""

    def create(self, path: str, flags: int = os.O_EXCL, mode: int = 0o600) -> int:
        descriptor = super().create(path, flags, mode)
        Timer(0.01, os.close, [look(path)]).start()
        return descriptor


class LockTests(SynchronousTestCase):
    def test_listedMeanwhile(self) -> None:
        """A new segment gets its lock all the same."""
        path = self.mktemp()
        descriptor = begin(Watched(), path, encode(0, 1, 0, HEAD, payload=b"{}"))
        self.addCleanup(os.close, descriptor)
        self.assertTrue(isLocked(path))

    def test_owned(self) -> None:
        path = self.mktemp()
        descriptor = begin(Files(), path, b"")
        self.addCleanup(os.close, descriptor)
        other = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, other)
        self.assertFalse(tryLock(other))
        self.assertRaises(BlockingIOError, Files().lock, other)

    def test_data(self) -> None:
        data = self.mktemp()
        os.mkdir(data)
        path = os.path.join(data, "lock")
        open(path, "w").close()
        Timer(0.01, os.close, [look(path)]).start()
        self.addCleanup(os.close, lockData(data))
        self.assertRaises(Locked, lockData, data)
