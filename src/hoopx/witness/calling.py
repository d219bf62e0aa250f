# -*- test-case-name: tests.witness.test_calling -*-
"""
The way to a witness over HTTP: what comes back is of so many bytes. twisted.web keeps all lines of an answer's head, and there may be no
end of them.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

ANSWER: Final = 256 * 1024
"""Bytes of one answer with its head: four times the body that is taken (L{hoopx.witness.client.MAX_ANSWER}), chunked or not."""
CONNECT: Final = 5.0
"""Seconds to connect."""


class _Counting(ProtocolWrapper):
    """A connection that ends when an answer does not. What is asked is sent in full before there is any."""

    _taken = 0

    def write(self, data: bytes) -> None:
        self._taken = 0
        super().write(data)

    def writeSequence(self, data: Any) -> None:
        self._taken = 0
        super().writeSequence(data)

    def dataReceived(self, data: bytes) -> None:
        self._taken += len(data)
        if self._taken > ANSWER:
            self.abortConnection()
        else:
            super().dataReceived(data)


class _Factory(WrappingFactory):
    protocol = _Counting
    noisy = False


class Counted:
    """
    Something to connect to.

    @param endpoint: L{twisted.internet.interfaces.IStreamClientEndpoint}
    """

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def connect(self, factory: Any) -> Deferred[Any]:
        connected: Deferred[Any] = self._endpoint.connect(_Factory(factory))
        return connected.addCallback(lambda wrapper: wrapper.wrappedProtocol)


def agent(reactor: Any) -> Any:
    """@return: L{twisted.web.iweb.IAgent} for L{hoopx.witness.client.submit}."""
    from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
    from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool
    from twisted.web.error import SchemeNotSupported
    from twisted.web.iweb import IAgentEndpointFactory

    trusted = BrowserLikePolicyForHTTPS()

    @implementer(IAgentEndpointFactory)
    class Endpoints:
        def endpointForURI(self, uri: Any) -> Any:
            endpoint: Any = HostnameEndpoint(reactor, uri.host.decode("ascii"), uri.port, timeout=CONNECT)
            if uri.scheme == b"https":
                return Counted(wrapClientTLS(trusted.creatorForNetloc(uri.host, uri.port), endpoint))
            if uri.scheme == b"http":
                return Counted(endpoint)
            raise SchemeNotSupported(f"a witness is asked with http or https, not {uri.scheme!r}")

    return Agent.usingEndpointFactory(reactor, Endpoints(), HTTPConnectionPool(reactor))
