"""
A gateway and its curator under a disk and a clock of the test's own.

C{sick.py FOLDER ...} runs twistd. FOLDER holds a copy of this file as C{sitecustomize.py}: it comes first on the path of both processes, for
the gateway hands its own path down, and so patches each of them before anything of theirs is imported. What is wrong at the moment stands in
FOLDER/control (L{CONTROL}), which the test writes and both look at in their memory.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from typing import Any

CONTROL = struct.Struct("dqd")
"""Seconds that are added to the wall clock; the error number of every write and sync, or 0; seconds that each of them takes more."""
CALLS = ("write", "writev", "fsync", "fdatasync", "fallocate", "mkdir")
"""Of L{hoopx.recording.files.Files}: what gives the error."""


def patch(place: str) -> None:
    with open(os.path.join(place, "control"), "rb") as file:
        control = mmap.mmap(file.fileno(), CONTROL.size, prot=mmap.PROT_READ)
    now = time.time
    time.time = lambda: now() + CONTROL.unpack_from(control)[0]

    from hoopx.curator import asking, process, storing, watching
    from hoopx.recording.files import Files
    from hoopx.storage import s3login

    def sick(name: str, call: Any) -> Any:
        def called(*arguments: Any) -> Any:
            _, number, delay = CONTROL.unpack_from(control)
            if number:
                raise OSError(number, os.strerror(number))
            if delay:
                time.sleep(delay)
            return call(*arguments)

        return called

    for name in CALLS:
        setattr(Files, name, staticmethod(sick(name, getattr(os, name, os.posix_fallocate))))
    # Nobody wants to wait a minute for an alarm; and how long a start of the curator takes, or an answer of a store that is well, is the
    # machine's affair.
    for module, limit, seconds in (
        (storing, "AWAY", 0.5), (storing, "FIRST", 0.2), (storing, "LONGEST", 0.5), (watching, "EVERY", 1.0), (process, "LOOK", 0.1),
        (s3login, "READ", 4.0), (s3login, "ATTEMPTS", 1), (asking, "PATIENCE", 90.0),
    ):  # fmt: skip
        getattr(module, limit)  # one that has moved would be set in vain
        setattr(module, limit, seconds)


if __name__ == "__main__":
    folder = sys.argv.pop(1)
    sys.path.insert(0, folder)
    import sitecustomize  # noqa: F401
    from twisted.scripts.twistd import run

    run()
elif __name__ == "sitecustomize":
    patch(os.path.dirname(os.path.abspath(__file__)))
