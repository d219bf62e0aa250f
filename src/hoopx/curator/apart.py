# -*- test-case-name: tests.curator.test_apart -*-
"""
The index, in a process of its own.

To index is the interpreter's work, of low priority: a thread that did it in the curator's process would hold the interpreter while other
programs have the processor, and the ledger, for which new sessions wait, would wait with them.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from threading import Lock, Thread
from typing import Any, Final

from attrs import evolve
from twisted.logger import Logger

from hoopx.curator.settings import CuratorSettings, dump
from hoopx.errors import HoopxError

NICE: Final = 15
"""Of that process, added to the gateway's own: its time is what a busy machine has left over."""
TRIES: Final = 2
"""Of one question: a process that has been killed since the last one is noticed by the next."""
ANSWER: Final = 600.0
"""Seconds for one answer. The largest segment, full of statements, takes a minute on an idle processor; one that hangs must not keep the
evidence waiting for ever."""
CLOSING: Final = 5.0
"""Seconds for its end."""
LINE: Final = 2000
"""Bytes of a line of its log."""


class IndexFailed(HoopxError):
    """The index could not do what it was asked for. The text is for the operator."""


class Apart:
    """
    Asks the index's process, which is started when it is needed. Blocks: in a thread, one at a time.

    @param spawn: callable() -> L{subprocess.Popen}, see L{start}.
    """

    log = Logger()

    def __init__(self, settings: CuratorSettings, spawn: Callable[[], Any] | None = None) -> None:
        # It needs none of the secrets but the index's own.
        self._settings = dump(evolve(settings, signingKey=None, secrets={}, s3=None))
        self._spawn = start if spawn is None else spawn
        self._lock = Lock()
        self._child: Any = None

    def segment(self, session: str, path: str, number: int) -> None:
        """
        Take the next segment of a session: see L{hoopx.curator.indexing.Indexing.segment}.

        @raise IndexFailed:
        """
        self._ask("segment", session, path, number)

    def erase(self, *sessions: str) -> bool:
        """Remove sessions, but for traces (L{clean}). @return: whether there was anything of them. @raise IndexFailed:"""
        return bool(self._ask("erase", *sessions))

    def clean(self) -> bool:
        """The next step of removing the traces of what was erased. @return: C{True}: nothing is left. @raise IndexFailed:"""
        return bool(self._ask("clean"))

    def sweep(self) -> bool:
        """Put down what is on the disk and not known. @return: C{False}: there is more. @raise IndexFailed:"""
        return bool(self._ask("sweep"))

    def head(self, session: str) -> dict[str, Any] | None:
        """@return: what the index knows of a session in the words of HEAD, or C{None}. @raise IndexFailed:"""
        found: dict[str, Any] | None = self._ask("head", session)
        return found

    def close(self) -> None:
        """Let the process end, which closes the index; wait for it, but not for ever."""
        with self._lock:
            child, self._child = self._child, None
            if child is not None:
                try:
                    child.stdin.close()
                    child.wait(CLOSING)
                except (OSError, subprocess.TimeoutExpired):  # it goes on alone
                    pass
                child.stdout.close()

    def _ask(self, do: str, *arguments: Any) -> Any:
        question = json.dumps({"do": do, "with": arguments}).encode() + b"\n"
        with self._lock:
            for left in reversed(range(TRIES)):
                try:
                    answer = self._exchange(question)
                    break
                except (OSError, ValueError) as error:
                    self._give(error, left)
        if "error" in answer:
            raise IndexFailed(answer["error"])
        return answer.get("answer")

    def _exchange(self, question: bytes) -> dict[str, Any]:
        if self._child is None:
            self._child = self._spawn()
            Thread(target=self._listen, args=(self._child.stderr,), daemon=True).start()
            self._child.stdin.write(self._settings + b"\n")
        self._child.stdin.write(question)
        self._child.stdin.flush()
        looking = select.poll()
        looking.register(self._child.stdout, select.POLLIN)
        if not looking.poll(ANSWER * 1000):
            self._end()
            raise IndexFailed(f"the index's process has not answered for {ANSWER:.0f} s: it is started again")
        answer: dict[str, Any] = json.loads(self._child.stdout.readline())  # of an empty line, at its end: ValueError
        return answer

    def _listen(self, lines: Any) -> None:
        """In a thread of its own: what it says goes into the log, and a pipe that nobody reads does not stop it."""
        with lines:
            for line in lines:
                self.log.warn("index: {line}", line=line[:LINE].decode("utf-8", "replace").rstrip())

    def _give(self, error: Exception, left: int) -> None:
        self._end()
        if not left:
            raise IndexFailed("the index's process has ended") from error
        self.log.warn("The index's process has ended; it is started again.")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        try:
            child.wait(CLOSING)
        except subprocess.TimeoutExpired:  # it hangs in the kernel
            pass
        child.stdout.close()
        try:
            child.stdin.close()
        except OSError:  # what it did not take
            pass


def start() -> Any:
    """
    @return: L{subprocess.Popen} of the index's process. It ends with the curator: its input does. None of the curator's own streams is
        its: one that outlived a curator that was killed would keep the gateway from seeing that.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "hoopx.curator.indexer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        os.setpriority(os.PRIO_PROCESS, child.pid, min(19, os.getpriority(os.PRIO_PROCESS, os.getpid()) + NICE))
    except OSError:  # it is only slower for others
        pass
    return child
