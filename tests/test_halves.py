"""
A raw session between real sockets whose directions end one after the other, under each reactor.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Callable

from attrs import evolve
from twisted.internet.epollreactor import EPollReactor

from hoopx.mitm import Mitm
from hoopx.reactor import HoopxReactor
from tests.test_door import Gateway

PATIENCE = 120.0
"""Seconds for a conversation, which takes milliseconds: a machine may be slow, and have other things to do."""


class Sockets(Gateway):
    def setUp(self) -> None:
        super().setUp()
        self.turning = reactor = self.make()
        self.addCleanup(self.end)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.addCleanup(self.listening.close)
        self.target = evolve(self.target, endpoint=f"tcp:127.0.0.1:{self.listening.getsockname()[1]}")
        self.broker.targets = {"legacy": self.target}
        self.broker.clock = reactor
        self.mitm = Mitm(self.broker, self.mitm.listener, self.mitm.protocol)
        port = reactor.listenTCP(0, self.mitm, interface="127.0.0.1")
        self.client = socket.create_connection(port.getHost().host and ("127.0.0.1", port.getHost().port))
        self.addCleanup(self.client.close)
        self.client.setblocking(False)
        self.server: Any = None
        self.turn(self.accepted)
        self.addCleanup(self.server.close)
        self.server.setblocking(False)
        self.turn(lambda: self.recordings.opened)
        self.recording = self.recordings.opened[0]

    def make(self) -> Any:
        return EPollReactor()

    def end(self) -> None:
        reactor = self.turning
        for call in reactor.getDelayedCalls():
            call.cancel()
        for each in [*reactor.getReaders(), *reactor.getWriters()]:
            if each is not reactor.waker and getattr(each, "connectionLost", None) and each not in reactor._internalReaders:
                reactor.removeReader(each)
                reactor.removeWriter(each)
                each.socket.close()
        for each in list(reactor._internalReaders):
            each.connectionLost(None)
        reactor._poller.close()

    def accepted(self) -> bool:
        try:
            self.server, _ = self.listening.accept()
        except BlockingIOError:
            return False
        return True

    def turn(self, condition: Callable[[], Any]) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.turning.runUntilCurrent()
            self.turning.doIteration(0.001)
            if condition():
                return
        self.fail("it does not come")

    def reads(self, end: socket.socket, expected: bytes) -> None:
        """These bytes and the end of the direction."""
        found = bytearray()

        def over() -> bool:
            try:
                data = end.recv(1 << 16)
            except BlockingIOError:
                return False
            found.extend(data)
            return not data

        self.turn(over)
        self.assertEqual(bytes(found), expected)

    def test_clientFirst(self) -> None:
        """As C{nc -N}: the question, its end, the answer, its end. Then the session is over, and nothing is open any more."""
        self.client.sendall(b"question")
        self.client.shutdown(socket.SHUT_WR)
        self.reads(self.server, b"question")
        self.assertIsNone(self.recording.closed)
        self.server.sendall(b"answer")
        self.server.shutdown(socket.SHUT_WR)
        self.reads(self.client, b"answer")
        self.turn(lambda: self.recording.closed)
        self.assertEqual(self.recording.closed, "client-left")
        self.turn(lambda: not self.broker.sessions)
        self.nothingLeft()

    def test_targetFirst(self) -> None:
        self.server.sendall(b"greeting")
        self.server.shutdown(socket.SHUT_WR)
        self.reads(self.client, b"greeting")
        self.client.sendall(b"all the same")
        self.client.shutdown(socket.SHUT_WR)
        self.reads(self.server, b"all the same")
        self.turn(lambda: self.recording.closed)
        self.assertEqual(self.recording.closed, "target-left")
        self.nothingLeft()

    def test_slow(self) -> None:
        """Who has said all, and takes his time to read, gets all of it."""
        answer = bytes(range(256)) * (1 << 14)
        self.client.shutdown(socket.SHUT_WR)
        self.reads(self.server, b"")
        rest = memoryview(answer)

        def sent() -> bool:
            nonlocal rest
            try:
                rest = rest[self.server.send(rest[: 1 << 16]) :]
            except BlockingIOError:
                pass
            return not rest

        read = bytearray()

        def step() -> bool:
            if not sent():
                try:
                    read.extend(self.client.recv(4096))
                except BlockingIOError:
                    pass
                return False
            return True

        self.turn(step)
        self.server.shutdown(socket.SHUT_WR)
        for _ in range(50):
            self.turn(lambda: True)
        self.reads(self.client, answer[len(read) :])
        self.turn(lambda: self.recording.closed)
        self.nothingLeft()

    def nothingLeft(self) -> None:
        """The kernel's last word: both peers' connections are closed as a whole, not only for writing."""
        self.turn(lambda: not [each for each in self.doors() if each])

    def doors(self) -> list[Any]:
        from gc import get_objects

        from hoopx.door import Door

        return [each.transport.connected for each in get_objects() if isinstance(each, Door) and each.mitm is self.mitm]


class HoopxSockets(Sockets):
    def make(self) -> Any:
        return HoopxReactor()


class SafeTests(Gateway):
    def test_pending(self) -> None:
        """An answer that is recorded and not yet safe when its direction ends is sent before the end is."""
        door, client, leg, target, recording = self.session()
        recording.slow = True
        leg.dataReceived(b"the answer")
        leg.readConnectionLost()
        self.assertEqual((client.value(), client.half), (b"", False))
        recording.release()
        self.assertEqual((client.value(), client.half), (b"the answer", True))
