"""
L{hoopx.recording.locks}: who only looks is not taken for an owner.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import HEAD, encode
from hoopx.recording import locks
from hoopx.recording.files import Files
from hoopx.recording.locks import LOOKS, PAUSE, TRIES, Locked, holder, isLocked, lockData, owner, tryLock
from hoopx.recording.segment import begin

HOLD = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"



def look(path: str) -> int:
    """What L{isLocked} does between its two system calls."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


class Watched(Files):
    """
    Somebody lists the sessions in the moment in which a segment's file is there and not locked yet.

    @ivar look: callable(path).
    """

    look: Callable[[str], object]

    def create(self, path: str, flags: int = os.O_EXCL, mode: int = 0o600) -> int:
        descriptor = super().create(path, flags, mode)
        self.look(path)
        return descriptor


class LockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pauses = 0
        self.looking: dict[int, int] = {}
        self.patch(locks, "time", SimpleNamespace(sleep=self.pause))

    def looks(self, path: str, pauses: int) -> None:
        """Somebody looks, and gets no processor for so many pauses of who wants to have the lock."""
        self.looking[look(path)] = pauses

    def pause(self, seconds: float) -> None:
        self.assertEqual(seconds, PAUSE)
        self.pauses += 1
        for descriptor in [each for each, pauses in self.looking.items() if pauses == self.pauses]:
            del self.looking[descriptor]
            os.close(descriptor)

    def test_listedMeanwhile(self) -> None:
        """A new segment gets its lock all the same, at once when who looks has done."""
        files = Watched()
        for pauses in (1, 10 * TRIES):
            files.look = lambda path, pauses=pauses: self.looks(path, pauses)  # type: ignore[misc]
            path = self.mktemp()
            self.pauses = 0
            descriptor = begin(files, path, encode(0, 1, 0, HEAD, payload=b"{}"))
            self.addCleanup(os.close, descriptor)
            self.assertEqual((isLocked(path), self.pauses, self.looking), (True, pauses, {}))

    def test_listedForEver(self) -> None:
        """Who looks and was stopped then is not waited for without end; nothing of ours stays on the lock."""
        path = self.mktemp()
        Path(path).touch()
        self.looks(path, 0)
        descriptor = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, descriptor)
        self.assertFalse(tryLock(descriptor))
        self.assertEqual(self.pauses, LOOKS - 1)
        for looking in self.looking:
            os.close(looking)
        other = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, other)
        self.assertTrue(tryLock(other))

    def test_owned(self) -> None:
        path = self.mktemp()
        descriptor = begin(Files(), path, b"")
        self.addCleanup(os.close, descriptor)
        other = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, other)
        self.assertFalse(tryLock(other))
        self.assertEqual(self.pauses, TRIES - 1)
        self.assertRaises(BlockingIOError, Files().lock, other)

    def test_data(self) -> None:
        data = self.mktemp()
        os.mkdir(data)
        path = os.path.join(data, "lock")
        open(path, "w").close()
        self.looks(path, 10)
        self.addCleanup(os.close, lockData(data))
        self.assertRaises(Locked, lockData, data)


class HolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        Path(self.path).touch()

    def held(self) -> subprocess.Popen:
        child = subprocess.Popen([sys.executable, "-c", HOLD, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        assert child.stdout is not None
        self.assertEqual(child.stdout.readline(), b"held\n")
        return child

    def test_another(self) -> None:
        self.assertEqual((holder(self.path), owner(self.path)), (None, "another process"))
        child = self.held()
        self.assertTrue(isLocked(self.path))
        self.assertEqual((holder(self.path), owner(self.path)), (child.pid, f"process {child.pid}"))

    def test_stopped(self) -> None:
        child = self.held()
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        said = owner(self.path)
        self.assertIn(f"process {child.pid}, which was stopped (SIGSTOP)", said)
        self.assertIn(f"kill -CONT {child.pid}", said)

    def test_ours(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        self.assertTrue(tryLock(descriptor))
        self.assertEqual(holder(self.path), os.getpid())

    def test_notToBeSeen(self) -> None:
        """A kernel that tells other numbers, of another container, or nothing: nobody is named who does not have the file open."""
        descriptor = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        tryLock(descriptor)
        inode = os.stat(self.path).st_ino
        told = self.mktemp()
        for line in (f"1: FLOCK  ADVISORY  WRITE 1 00:1a:{inode} 0 EOF", f"1: FLOCK  ADVISORY  WRITE 0 00:1a:{inode} 0 EOF", "", "1: -> FLOCK"):
            Path(told).write_text(line + "\n")
            self.assertIs(holder(self.path, told), None, line)
        self.assertIs(holder(self.path, "/nowhere"), None)
