# -*- test-case-name: tests.curator.test_stuck -*-
"""
Sees to it that the index's process gets on: the views in it are plugins' code, and one that does not come to an end would hold up every
session's recording.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any, Final

BUSY: Final = 60.0
"""Seconds of a processor for one segment: it takes about one of them for each five megabytes, and has 16 MiB at most by default..."""
PER_MEGABYTE: Final = 4.0
"""...and so many more for each megabyte of larger ones."""
IDLE: Final = 600.0
"""Seconds in which it neither works nor waits for a processor. A database that does not answer has given up long before."""
LOOK: Final = 1.0
"""Seconds between two looks."""


def used(pid: int) -> tuple[float, float]:
    """
    @return: seconds that a process's first thread has had a processor, and has waited for one; that is 0 where the kernel does not tell.
    @raise OSError: there is no such process.
    """
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            run, waited, _ = file.read().split()
    except FileNotFoundError:  # not every kernel keeps count: then L{Overseer} goes by the hundredths of seconds of proc(5), stat
        with open(f"/proc/{pid}/stat") as file:
            said = file.read().rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK"), 0.0
    return int(run) / 1e9, int(waited) / 1e9


class Overseer:
    """
    Kills a process that does not get on. Its thread ends with the process.

    @param child: L{subprocess.Popen}.
    @ivar stuck: why it was killed, or C{None}.
    """

    def __init__(self, child: Any, busy: float = BUSY, idle: float = IDLE, look: float = LOOK, used: Callable[[int], Any] = used) -> None:
        self._child = child
        self._busy = busy
        self._idle = idle
        self._look = look
        self._used = used
        self._lock = Lock()
        self._over = Event()
        self._marks: tuple[float, float, float, float] | None = None
        self.stuck: str | None = None
        Thread(target=self._run, daemon=True).start()

    def begin(self, size: int) -> None:
        """It is asked to do something that is bounded. @param size: bytes that it has to read for that."""
        with self._lock:
            self._mark(self._busy + size / 1e6 * PER_MEGABYTE)

    def progress(self) -> None:
        """It has done a part of that."""
        with self._lock:
            if self._marks is not None:
                self._mark(self._marks[3])

    def end(self) -> None:
        """It has answered."""
        with self._lock:
            self._marks = None

    def close(self) -> None:
        """The process is not to be watched any more."""
        self._over.set()

    def _mark(self, bound: float) -> None:
        try:
            self._marks = (time.monotonic(), *self._used(self._child.pid), bound)
        except OSError:  # it is gone: whoever waits for its answer notices
            self._marks = None

    def _run(self) -> None:
        while not self._over.wait(self._look):
            with self._lock:
                if self._marks is None:
                    continue
                began, run, waited, bound = self._marks
                try:
                    now = self._used(self._child.pid)
                except OSError:
                    return
                busy = now[0] - run
                idle = time.monotonic() - began - busy - (now[1] - waited)
                if busy > bound:
                    self.stuck = f"it has worked for {busy:.0f} s without coming to an end"
                elif idle > self._idle:
                    self.stuck = f"it has waited for {idle:.0f} s"
                else:
                    continue
                self._child.kill()
                return
