"""
What the tests of recordings need: threads that are none, a disk that fails on demand, a store on a clock of its own.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from hoopx.recording.files import Files
from hoopx.recording.settings import RecordingSettings
from hoopx.recording.store import Recordings

KIB = 1024


class Now:
    """Threads that run at once."""

    def call(self, work, *arguments):
        return maybeDeferred(work, *arguments)


class Later:
    """Threads that run when the test says so, in order."""

    def __init__(self):
        self.calls = []

    def call(self, work, *arguments):
        done = Deferred()
        self.calls.append((done, work, arguments))
        return done

    def run(self, count=None):
        """Run what was called by now; what that calls waits for the next time."""
        ready, self.calls = self.calls[:count], self.calls[count:] if count else []
        for done, work, arguments in ready:
            maybeDeferred(work, *arguments).chainDeferred(done)

    def runAll(self):
        while self.calls:
            self.run()


class Killed(BaseException):
    """The process is gone."""


class FaultyFiles(Files):
    """
    A disk that fails on demand.

    @ivar calls: C{(name, path or descriptor)} of everything but writes.
    @ivar faults: call name -> C{OSError} number, until it is taken away.
    @ivar room: bytes that fit until the disk is full (then writes are short, and the next fails), or C{None}.
    @ivar writes: lengths of all writes.
    @ivar took: called before each write; lets the test's clock go on.
    @ivar life: calls until the process is killed: in the middle of that call, if it is a write, and nothing after it is done.
    """

    def __init__(self):
        self.calls: list[tuple[str, Any]] = []
        self.faults: dict[str, int] = {}
        self.room: int | None = None
        self.writes: list[int] = []
        self.took = None
        self.life: int | None = None

    def write(self, descriptor, data):
        self.writes.append(len(data))
        if self.took is not None:
            self.took()
        if self.life == 0:
            self.life = -1
            os.write(descriptor, data[: len(data) // 2])
        self._fault("write")
        if self.room is not None:
            if not self.room and data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room]
            self.room -= len(data)
        return os.write(descriptor, data)

    def create(self, *arguments):
        self._fault("create")
        return super().create(*arguments)

    def _fault(self, name):
        if self.life is not None:
            self.life -= 1
            if self.life < 0:
                raise Killed
        if name in self.faults:
            raise OSError(self.faults[name], os.strerror(self.faults[name]))


def _faulty(name):
    real = getattr(Files, name)

    def call(self, *arguments, **more):
        self.calls.append((name, arguments[0] if arguments else None))
        if name == "ftruncate" and self.life is not None and self.life < 0:
            return None  # the dead do not tidy up
        self._fault(name)
        return real(*arguments, **more)

    return call


for _name in ("fsync", "fdatasync", "ftruncate", "link", "rename", "unlink", "mkdir", "rmdir", "fchmod", "utime", "fallocate"):
    setattr(FaultyFiles, _name, _faulty(_name))


class Status:
    """What statvfs says."""

    def __init__(self, free, readOnly=False):
        self.f_bavail = free
        self.f_frsize = 1
        self.f_flag = os.ST_RDONLY if readOnly else 0


class Rig:
    """
    A store with a clock that only the test moves.

    @param real: C{True}: nothing of the disk is faked but its faults.
    """

    def __init__(self, data, threads=None, journalThreads=None, free=1 << 40, **settings):
        self.data = data
        self.clock = Clock()
        self.ns = 5_000_000_000
        self.skew = 1_700_000_000.0
        self.files = FaultyFiles()
        self.free = free
        self.readOnly = False
        self.files.statvfs = lambda path: Status(self.free, self.readOnly)
        self.threads = threads or Now()
        self.alarms = []
        curator = settings.pop("curator", None)
        settings.setdefault("reserve", 64 * KIB)
        settings.setdefault("refuseBelow", 0)
        self.store = Recordings(
            data,
            node="gw",
            version="1.0",
            plugins={"raw": "1.0"},
            clock=self.clock,
            threads=self.threads,
            journalThreads=journalThreads,
            settings=RecordingSettings(**settings),
            monotonic=lambda: self.ns,
            wall=lambda: self.skew + self.ns / 1e9,
            files=self.files,
            alarm=lambda kind, fields: self.alarms.append(fields),
            curator=curator,
        )

    def advance(self, seconds, step=1.0):
        """Let time pass, sweep by sweep."""
        left = seconds
        while left > 0:
            now = min(step, left)
            self.ns += int(now * 1e9)
            self.clock.advance(now)
            left -= now
            if isinstance(self.threads, Later):
                self.threads.runAll()


def crash(recording):
    """Let go of the file as the kernel does when a process is killed: nothing more is written."""
    if recording._segment.descriptor >= 0:
        os.close(recording._segment.descriptor)
        recording._segment.descriptor = -1


def letGo(store):
    """The same for the data directory."""
    if store._lock >= 0:
        os.close(store._lock)
        store._lock = -1
    if store._call is not None:
        store._call.cancel()
        store._call = None
