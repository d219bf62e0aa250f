# -*- test-case-name: tests.recording.test_recovery -*-
"""
Who owns what: flock(2), held for the owner's life, let go by the kernel.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import Final

from hoopx.errors import HoopxError

TRIES: Final = 100
"""Times that a lock is tried, a millisecond apart. Who only looks whether there is an owner (L{isLocked}) holds it for a moment, and
must not be taken for one."""


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
    May wait a tenth of a second: in a thread, or before anything runs.

    @return: C{True} when the lock is ours now.
    """
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                time.sleep(0.001)
    return False


def isLocked(path: str) -> bool:
    """@return: C{True} when somebody holds the lock of a file; C{False} too when there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
