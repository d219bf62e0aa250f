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
import time
from collections.abc import Callable
from threading import Lock, Thread
from typing import Any, Final

from attrs import evolve
from twisted.logger import Logger

from hoopx.curator.overseer import Overseer
from hoopx.curator.settings import CuratorSettings, dump
from hoopx.errors import HoopxError

NICE: Final = 15
"""Of that process, added to the gateway's own: its time is what a busy machine has left over."""
TRIES: Final = 2
"""Of one question: a process that has been killed since the last one is noticed by the next."""
ANSWER: Final = 600.0
"""Seconds for one answer about anything but a segment (L{hoopx.curator.overseer}); one that hangs must not keep the evidence waiting for
ever."""
CLOSING: Final = 5.0
"""Seconds for its end."""
LINE: Final = 2000
"""Bytes of a line of its log."""
GIVEN_UP: Final = 3
"""Sessions of one protocol whose views did not come to an end; then none of it is asked any more, until the curator's next start."""


class IndexFailed(HoopxError):
    """The index could not do what it was asked for. The text is for the operator."""


class Stuck(IndexFailed):
    """It was killed because it did not get on."""


class Apart:
    """
    Asks the index's process, which is started when it is needed. Blocks: in a thread, one at a time.

    @param spawn: callable() -> L{subprocess.Popen}, see L{start}.
    @param watch: callable(L{subprocess.Popen}) -> L{Overseer}.
    @param now: the wall clock, in seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        settings: CuratorSettings,
        spawn: Callable[[], Any] | None = None,
        watch: Callable[[Any], Overseer] = Overseer,
        now: Callable[[], float] = time.time,
    ) -> None:
        # It needs none of the secrets but the index's own. It is started later than we: a session may have begun by then.
        self._settings = dump(evolve(settings, signingKey=None, secrets={}, s3=None, since=now()))
        self._spawn = start if spawn is None else spawn
        self._lock = Lock()
        self._watch = watch
        self._child: Any = None
        self._overseer: Any = None
        self._stuck: dict[str, int] = {}
        self._without: dict[str, str] = {}

    def segment(self, session: str, path: str, number: int) -> None:
        """
        Take the next segment of a session: see L{hoopx.curator.indexing.Indexing.segment}. One whose view does not come to an end is
        put down without it.

        @raise IndexFailed:
        """
        try:
            self._ask("segment", session, path, number, "", self._without)
        except Stuck as error:
            why = f"with segment {number} {error}"
            protocol = self._ask("segment", session, path, number, why, self._without)
            self._giveUp(protocol, why)
            raise IndexFailed(f"its view was stopped, and is not asked any more for this session: {why}") from None

    def _giveUp(self, protocol: str | None, why: str) -> None:
        if protocol is None:
            return
        count = self._stuck[protocol] = self._stuck.get(protocol, 0) + 1
        if count == GIVEN_UP:
            self._without = {**self._without, protocol: f"{count} times: {why}"}
            self.log.error("No view of {protocol} is asked any more until the curator's next start.", protocol=protocol)

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
                self._overseer.close()

    def _ask(self, do: str, *arguments: Any) -> Any:
        question = json.dumps({"do": do, "with": arguments}).encode() + b"\n"
        bound = _size(arguments[1]) if do == "segment" else None
        with self._lock:
            for left in reversed(range(TRIES)):
                try:
                    answer = self._exchange(question, bound)
                    break
                except (OSError, ValueError) as error:
                    self._give(error, left)
        if "error" in answer:
            raise IndexFailed(answer["error"])
        return answer.get("answer")

    def _exchange(self, question: bytes, bound: int | None) -> dict[str, Any]:
        """@param bound: bytes that it has to read, where that takes a time that is known."""
        if self._child is None:
            self._child = self._spawn()
            self._overseer = self._watch(self._child)
            Thread(target=self._listen, args=(self._child.stderr,), daemon=True).start()
            self._child.stdin.write(self._settings + b"\n")
        self._child.stdin.write(question)
        self._child.stdin.flush()
        if bound is None:
            looking = select.poll()
            looking.register(self._child.stdout, select.POLLIN)
            if not looking.poll(ANSWER * 1000):
                self._end()
                raise IndexFailed(f"the index's process has not answered for {ANSWER:.0f} s: it is started again")
        else:
            self._overseer.begin(bound)
        try:
            while True:
                answer: dict[str, Any] = json.loads(self._child.stdout.readline())  # of an empty line, at its end: ValueError
                if "progress" not in answer:
                    break
                self._overseer.progress()
        finally:
            self._overseer.end()
        if self._overseer.stuck is not None:  # killed in the moment in which it answered: that is not the next session's fault
            self._end()
            self._overseer = None
        return answer

    def _listen(self, lines: Any) -> None:
        """In a thread of its own: what it says goes into the log, and a pipe that nobody reads does not stop it."""
        with lines:
            for line in lines:
                self.log.warn("index: {line}", line=line[:LINE].decode("utf-8", "replace").rstrip())

    def _give(self, error: Exception, left: int) -> None:
        self._end()
        overseer, self._overseer = self._overseer, None  # what it says is not said of a successor that could not even be started
        stuck = None if overseer is None else overseer.stuck
        if stuck is not None:
            self.log.error("The index's process was killed: {why}.", why=stuck)
            raise Stuck(stuck) from None
        if not left:
            raise IndexFailed("the index's process has ended") from error
        self.log.warn("The index's process has ended; it is started again.")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        self._overseer.close()
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


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # it says so itself
        return 0


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
