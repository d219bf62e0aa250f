# -*- test-case-name: tests.peers.test_psql -*-
"""
A program on a terminal of its own, as a person has it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from tests.peers.harness.waiting import PATIENCE


class Terminal:
    """@ivar seen: everything the program has written so far."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))

        def control() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self._child = subprocess.Popen(
            list(argv), stdin=side, stdout=side, stderr=side, env=dict(environment), preexec_fn=control, close_fds=True
        )
        os.close(side)
        self.seen = ""
        self._read = 0

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def expect(self, text: str, seconds: float = PATIENCE) -> str:
        """Read until C{text} has appeared after what was expected before. @return: what came before it."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.seen.find(text, self._read)
            if found >= 0:
                before = self.seen[self._read : found]
                self._read = found + len(text)
                return before
            ready, _, _ = select.select([self._main], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"{text!r} did not appear; on the terminal:\n{self.seen[self._read :]}")
            try:
                data = os.read(self._main, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the program ended before {text!r}; on the terminal:\n{self.seen[self._read :]}")
            self.seen += data.decode("utf-8", "replace")

    def finish(self, seconds: float = PATIENCE) -> int:
        """@return: the exit status; a program that does not end is killed."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()
        finally:
            os.close(self._main)
