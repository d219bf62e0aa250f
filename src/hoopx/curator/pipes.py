# -*- test-case-name: tests.curator.test_process -*-
"""
The curator's process as the gateway holds it: its standard streams, and how it is started.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator import commands
from hoopx.curator.commands import CuratorFailed

LINE: Final = 4096
"""Bytes of a line of its log."""


class Pipes(ProcessProtocol):
    """The child's standard streams: AMP, and its log."""

    log = Logger()

    def __init__(self, curator: Any, peer: commands.Peer) -> None:
        self._curator = curator
        self.peer = peer
        self._rest = b""

    def connectionMade(self) -> None:
        self.peer.makeConnection(self.transport)
        self._curator.connected(self)

    def outReceived(self, data: bytes) -> None:
        self.peer.dataReceived(data)

    def errReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in [*lines, *([self._rest] if len(self._rest) > LINE else [])]:
            self._say(line[:LINE].decode("utf-8", "replace"))
        self._rest = self._rest if len(self._rest) <= LINE else b""

    def _say(self, line: str) -> None:
        level, _, text = line.partition(" ")
        if level == "info":
            self.log.info("curator: {text}", text=text)
        elif level in ("warn", "debug"):
            self.log.warn("curator: {text}", text=text)
        elif line:
            self.log.error("curator: {text}", text=text if level in ("error", "critical") else line)

    def processEnded(self, reason: Failure) -> None:
        self.peer.connectionLost(reason)
        self._curator.ended(self, reason)


class Listener(commands.Peer):
    """What the curator says by itself."""

    def __init__(self, curator: Any) -> None:
        super().__init__()
        self._curator = curator

    @commands.Alarm.responder
    def alarm(self, alarm: str, text: str) -> dict[str, Any]:
        self._curator.alarm(alarm, text)
        return {}

    @commands.Progress.responder
    def progress(self, done: int, count: int) -> dict[str, Any]:
        self._curator.progress(done, count)
        return {}

    @commands.Renew.responder
    def renew(self) -> Deferred[dict[str, Any]]:
        def failed(failure: Failure) -> Failure:
            return Failure(CuratorFailed((failure.getErrorMessage() or failure.type.__name__)[: commands.SAID]))

        asked: Deferred[Any] = maybeDeferred(self._curator.reload)
        return asked.addCallbacks(lambda _: {}, failed)


def spawner(reactor: Any) -> Callable[[Any], Any]:
    """
    @return: callable(ProcessProtocol) that starts the curator. Its environment holds where Python's modules are and nothing
        else, and it stands in C{/}: a folder that somebody else can write to gives it no code.
    """

    def spawn(protocol: Any) -> Any:
        places = os.pathsep.join(os.path.abspath(place) for place in sys.path)
        command = [sys.executable, "-m", "hoopx.curator"]
        return reactor.spawnProcess(protocol, sys.executable, command, env={"PYTHONPATH": places}, path="/")

    return spawn
