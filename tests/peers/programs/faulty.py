"""
twistd, with a disk that gives EIO as long as the file named by the first argument exists.
"""

from __future__ import annotations

import errno
import os
import sys

from twisted.scripts.twistd import run

from hoopx.recording.files import Files

MARK = sys.argv.pop(1)


def write(descriptor: int, data: bytes) -> int:
    if os.path.exists(MARK):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return os.write(descriptor, data)


Files.write = staticmethod(write)
run()
