# -*- test-case-name: tests.test_site -*-
"""
HTTP for anybody who can reach a port: so many connections, each for so long, and requests of so many bytes.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.server import Request, Site


@frozen
class Bounds:
    """
    @ivar connections: at once.
    @ivar idle: seconds that one may be silent.
    @ivar life: seconds until it is closed in any case: who sends a byte now and then would keep a place for days, and all places keep
        everybody out.
    @ivar body: bytes of a request's; C{0}: nobody has to send any.
    """

    connections: int
    idle: float
    life: float
    body: int


class _Quiet(Site):
    """@ivar longest: bytes of a request's body."""

    displayTracebacks = False
    noisy = False
    longest = 0

    def log(self, request: Any) -> None:
        """Requests are no news."""


class BoundedRequest(Request):
    """
    twisted.web takes bodies of any length, and keeps them on the disk. This one ends the connection.

    The site says how many bytes: C{longest}.
    """

    _taken = 0

    def handleContentChunk(self, data: bytes) -> None:
        channel: Any = self.channel
        self._taken += len(data)
        if self._taken > channel.site.longest:
            channel.transport.abortConnection()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        channel: Any = self.channel
        if self._taken <= channel.site.longest:  # what has been cut is no request
            super().requestReceived(command, path, version)


class _Mortal(ProtocolWrapper):
    _end: Any = None

    def connectionMade(self) -> None:
        factory: Any = self.factory
        self._end = factory.reactor.callLater(factory.bounds.life, self.abortConnection)
        super().connectionMade()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()
        super().connectionLost(reason)


class BoundedSite(WrappingFactory):
    """
    Tells nobody of tracebacks, and the log of no request.

    @param resource: L{twisted.web.resource.IResource}
    """

    noisy = False
    protocol = _Mortal

    def __init__(self, resource: Any, bounds: Bounds, reactor: Any) -> None:
        site = _Quiet(resource, requestFactory=BoundedRequest, timeout=bounds.idle, reactor=reactor)
        site.longest = bounds.body
        super().__init__(site)
        self.bounds = bounds
        self.reactor = reactor

    def buildProtocol(self, addr: Any) -> Any:
        return super().buildProtocol(addr) if len(self.protocols) < self.bounds.connections else None
