# -*- test-case-name: tests.recording.test_locks -*-
"""
Who owns what: flock(2), held for the owner's life, let go by the kernel.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import Final

from hoopx.errors import HoopxError

PAUSE: Final = 0.001
"""Seconds between two tries of a lock."""
TRIES: Final = 100
"""Of one that somebody owns: he may be about to let go of it."""
LOOKS: Final = 10_000
"""Of one that is shared: who only looks whether there is an owner (L{isLocked}) holds it for a moment, which on a busy machine, or in a
container that has had its share of the processor, may be long; he must not be taken for an owner."""


class Locked(HoopxError):
    """Somebody else owns it."""


def lockData(data: str) -> int:
    """
    Own a data directory.

    @return: the descriptor that holds the lock.
    @raise Locked: another gateway does.
    """
    path = os.path.join(data, "lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not tryLock(descriptor):
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f"process {owner}" if owner else "another process"
        raise Locked(f"{data} belongs to a gateway that is running ({who}): stop it, or use another data directory") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())
    return descriptor


def tryLock(descriptor: int) -> bool:
    """
    May wait a tenth of a second for an owner, and longer for those who only look: in a thread, or before anything runs.

    @return: C{True} when the lock is ours now.
    """
    owned = looked = 0
    while owned < TRIES and looked < LOOKS:
        if owned or looked:
            time.sleep(PAUSE)
        if _take(descriptor, fcntl.LOCK_EX):
            return True
        if _take(descriptor, fcntl.LOCK_SH):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            looked += 1
        else:
            owned += 1
    return False


def _take(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def owner(path: str) -> str:
    """@return: who holds the lock of a file, in words, and how it is made to end if it can not by itself."""
    pid = holder(path)
    if pid is None:
        return "another process"
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return f"process {pid}"
    if state != b"T":
        return f"process {pid}"
    return f"process {pid}, which was stopped (SIGSTOP) and does not end: kill -CONT {pid} lets it, or kill -KILL {pid} ends it"


def holder(path: str, locks: str = "/proc/locks") -> int | None:
    """
    @param locks: what the kernel tells, C{proc_locks(5)}.
    @return: the process that has locked a file with flock(2); C{None} when that is not to be seen, as of one in another container.
    """
    try:
        status = os.stat(path)
        with open(locks, encoding="ascii") as file:
            lines = [line.split() for line in file]
    except OSError:
        return None
    for fields in lines:
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(status.st_ino):
            pid = int(fields[4])
            # The device that is told there is not always that of stat(2), as with overlayfs.
            if pid > 0 and _hasOpen(pid, status):
                return pid
    return None


def _hasOpen(pid: int, status: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        try:
            if os.path.samestat(os.stat(f"{folder}/{name}"), status):
                return True
        except OSError:
            continue
    return False


def isLocked(path: str) -> bool:
    """@return: C{True} when somebody holds the lock of a file; C{False} too when there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # of a named pipe, too
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
