# -*- test-case-name: tests.test_door -*-
"""
The connection to a target: the core's, and nobody else's.
"""

from __future__ import annotations

from typing import Any, Callable

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import ProtocolViolation, TargetFailed
from hoopx.values import Target


@implementer(IProtocol, IHalfCloseableProtocol)
class Leg:
    """
    Half of a relay: the target's side.

    @param owner: told C{targetData(bytes)}, C{targetHalfClosed()}, C{targetWriteClosed()}, C{targetLost(Failure)}.
    @ivar dataReceived: rebound by the owner once bytes flow.
    """

    __slots__ = ("dataReceived", "lost", "owner", "transport")

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.transport: Any = None
        self.lost = False
        self.dataReceived: Callable[[bytes], None] = owner.targetData

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport
        if getattr(transport, "protocol", self) is not self:
            # Endpoints put a wrapper between the transport and its protocol: one call more for every read.
            transport.protocol = self
        try:
            transport.setTcpNoDelay(True)
        except AttributeError:
            pass  # a Unix socket

    def readConnectionLost(self) -> None:
        self.owner.targetHalfClosed()

    def writeConnectionLost(self) -> None:
        self.owner.targetWriteClosed()

    def connectionLost(self, reason: Failure) -> None:
        self.lost = True
        self.dataReceived = _nobody
        self.owner.targetLost(reason)

    def startTLS(self, tls: Any, target: Target, codec: Any, alpn: list[bytes] | None = None, credential: Any = None) -> Deferred:
        """@return: Deferred of the target's certificate as DER, once it is verified."""
        if codec.buffered:
            raise ProtocolViolation("the target sent unencrypted data where TLS was to begin")
        self.transport, done = tls.connect(self.transport, self, target, alpn, credential)
        return done

    def close(self) -> None:
        if self.transport is not None and not self.lost:
            self.transport.loseConnection()

    def abort(self) -> None:
        if self.transport is not None and not self.lost:
            self.transport.abortConnection()


class _Legs(Factory):
    noisy = False

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def buildProtocol(self, address: object) -> Any:
        return Leg(self.owner)


def _nobody(data: bytes) -> None:
    """Bytes after the end."""


@inlineCallbacks
def connect(reactor: Any, target: Target, owner: Any) -> Any:
    """
    Connect to a target.

    @return: Deferred[L{Leg}]; fails with L{TargetFailed}. Cancelling it gives up.
    """
    try:
        leg = yield clientFromString(reactor, target.endpoint).connect(_Legs(owner))
    except Exception as error:
        raise TargetFailed(
            f'target "{target.name}" can not be reached: {_said(error)}', "Is it running, and is its endpoint in hoopx.toml right?"
        ) from error
    return leg


def _said(error: Exception) -> str:
    """A connection error in few words: never the endpoint's address, which the client need not know."""
    name = type(error).__name__
    known = {
        "ConnectionRefusedError": "connection refused",
        "ConnectError": "connection failed",
        "TimeoutError": "it does not answer",
        "TCPTimedOutError": "it does not answer",
        "DNSLookupError": "its name is unknown",
        "NoRouteError": "there is no route to it",
    }
    return known.get(name, name)
