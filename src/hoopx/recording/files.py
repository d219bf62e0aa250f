# -*- test-case-name: tests.recording.test_faults -*-
"""
The one place that touches the disk. Tests hand in another L{Files} to make it full, slow or broken.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from hoopx.recording.locks import tryLock

APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link, which is not followed",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def irregular(mode: int) -> str | None:
    """
    @param mode: C{st_mode}, of lstat(2).
    @return: what it is, in words, when it is no regular file; else C{None}.
    """
    return None if stat.S_ISREG(mode) else f"not a regular file, but {_KINDS.get(stat.S_IFMT(mode), 'something else')}"


def openRegular(path: str | os.PathLike[str], follow: bool = True) -> int:
    """
    Open a file of a folder that may come from anywhere: opening a named pipe would wait for ever.

    @param follow: a symbolic link is what it leads to.
    @return: a descriptor to read from.
    @raise OSError: it can not be opened, or is no regular file.
    """
    if not follow and (what := irregular(os.lstat(path).st_mode)) is not None:
        raise OSError(errno.EINVAL, what, os.fspath(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return descriptor


class Files:
    """The system calls, under their own names. Every one may raise L{OSError}."""

    write = staticmethod(os.write)
    writev = staticmethod(os.writev)
    fsync = staticmethod(os.fsync)
    fdatasync = staticmethod(os.fdatasync)
    ftruncate = staticmethod(os.ftruncate)
    close = staticmethod(os.close)
    link = staticmethod(os.link)
    rename = staticmethod(os.rename)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    fchmod = staticmethod(os.fchmod)
    utime = staticmethod(os.utime)
    statvfs = staticmethod(os.statvfs)
    fallocate = staticmethod(os.posix_fallocate)

    def create(self, path: str, flags: int = os.O_EXCL, mode: int = 0o600) -> int:
        """@return: a descriptor that appends."""
        return os.open(path, APPEND | flags, mode)

    def lock(self, descriptor: int) -> None:
        """@raise BlockingIOError: somebody else holds the lock, and for longer than it takes to look at it."""
        if not tryLock(descriptor):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))

    def writeAll(self, descriptor: int, data: bytes) -> None:
        """Write all of it, or raise."""
        self.rest(descriptor, data, self.write(descriptor, data))

    def rest(self, descriptor: int, data: bytes, done: int) -> None:
        """
        Write what a short write has left. Why it was short (the disk is full, or this one file may not grow) is told by the next one.

        @param done: bytes that are written.
        @raise OSError: a part of C{data} may be in the file.
        """
        while done < len(data):
            more = self.write(descriptor, data[done:])
            if not more:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done += more

    def syncDirectory(self, path: str) -> None:
        """Make the names in a directory safe."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.fsync(descriptor)
        finally:
            os.close(descriptor)

    def makeDirectories(self, path: str) -> list[str]:
        """
        Make a directory and those above it, mode 0700.

        @return: the directories that hold new names, to be synced.
        """
        try:
            self.mkdir(path, 0o700)
        except FileExistsError:
            return []
        except FileNotFoundError:
            above = self.makeDirectories(os.path.dirname(path))
            try:
                self.mkdir(path, 0o700)
            except FileExistsError:  # another thread was faster
                return above
            return [*above, os.path.dirname(path)]
        return [os.path.dirname(path)]
