"""The way to a witness."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed, readBody
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hoopx.witness.calling import ANSWER, Counted
from hoopx.witness.client import MAX_ANSWER


class Transport(StringTransport):
    gone = False

    def abortConnection(self) -> None:
        self.gone = True
        super().abortConnection()


@implementer(IAgentEndpointFactory)
class Endpoints:
    """One connection, whose other end is the test."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.connected = 0

    def connect(self, factory: Any) -> Any:
        self.connected += 1
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)

    def endpointForURI(self, uri: Any) -> Any:
        return Counted(self)


class CallingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.far = Endpoints()
        clock: Any = Clock()
        self.agent = Agent.usingEndpointFactory(clock, self.far, HTTPConnectionPool(clock))

    def ask(self) -> Any:
        return self.agent.request(b"POST", b"http://w.example/add-checkpoint")

    def test_answers(self) -> None:
        """One after the other on one connection, together of more bytes than one may have."""
        body = b"x" * MAX_ANSWER
        for _ in range(2 * ANSWER // MAX_ANSWER):
            asked = self.ask()
            self.far.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            response = self.successResultOf(asked)
            read = readBody(response)
            self.far.protocol.dataReceived(body)
            self.assertEqual(self.successResultOf(read), body)
        self.assertEqual((self.far.connected, self.far.transport.gone), (1, False))

    def test_endlessHead(self) -> None:
        """The connection ends before much of it is kept."""
        asked = self.ask()
        self.far.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n")
        line, taken = b"X-A: %s\r\n" % (b"y" * 1000), 0
        while not self.far.transport.gone and taken <= 2 * ANSWER:
            self.far.protocol.dataReceived(line)
            taken += len(line)
        self.assertTrue(self.far.transport.gone)
        self.assertLessEqual(taken, ANSWER + len(line))
        self.far.protocol.connectionLost(self.lost())
        self.failureResultOf(asked, ResponseFailed)

    def lost(self) -> Any:
        from twisted.internet.error import ConnectionAborted
        from twisted.python.failure import Failure

        return Failure(ConnectionAborted())
