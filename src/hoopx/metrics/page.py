# -*- test-case-name: tests.metrics.test_page -*-
"""
C{/metrics}, C{/healthz} and C{/readyz} over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
TEXT: Final = b"text/plain; charset=utf-8"
TIMEOUT: Final = 15.0
"""Seconds that a connection may be silent."""
LIFE: Final = 60.0
"""Seconds until it is closed in any case; a scrape takes one at the most."""
MAX_CONNECTIONS: Final = 50
"""At once, that descriptors are left for sessions; one or two scrape."""

Answer = Callable[[], "tuple[int, bytes, bytes]"]
"""-> status, content type, body."""


class Page(Resource):
    """One address. Only read from."""

    isLeaf = True
    log = Logger()

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def render_GET(self, request: Any) -> bytes:
        try:
            status, kind, body = self._answer()
        except Exception:
            self.log.failure("figures could not be told")
            status, kind, body = 500, TEXT, b"an error: see the log\n"
        request.setResponseCode(status)
        request.setHeader(b"content-type", kind)
        request.setHeader(b"cache-control", b"no-store")
        return body


class Asked(Request):
    """Nobody has to send anything here; twisted.web would keep bodies of any length on the disk."""

    def handleContentChunk(self, data: bytes) -> None:
        self.channel.transport.abortConnection()  # type: ignore[union-attr]


class MetricsSite(Site):
    displayTracebacks = False
    noisy = False

    def log(self, request: Any) -> None:
        """Scrapes are no news."""


class Connection(ProtocolWrapper):
    _end: Any = None

    def connectionMade(self) -> None:
        self._end = self.factory.reactor.callLater(LIFE, self.abortConnection)
        super().connectionMade()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()
        super().connectionLost(reason)


class Limited(WrappingFactory):
    """So many connections, for so long."""

    protocol = Connection
    noisy = False

    def __init__(self, wrapped: Any, reactor: Any) -> None:
        super().__init__(wrapped)
        self.reactor = reactor

    def buildProtocol(self, addr: Any) -> Any:
        return super().buildProtocol(addr) if len(self.protocols) < MAX_CONNECTIONS else None


def site(figures: Any, reactor: Any) -> Any:
    """
    @param figures: L{hoopx.metrics.figures.Figures}
    @return: a factory.
    """

    def ready() -> tuple[int, bytes, bytes]:
        reasons = figures.unready()
        return (503, TEXT, "".join(f"{each}\n" for each in reasons).encode()) if reasons else (200, TEXT, b"ready\n")

    root = Resource()
    root.putChild(b"metrics", Page(lambda: (200, PROMETHEUS, figures.page())))
    # That it answers at all is the answer: the reactor turns.
    root.putChild(b"healthz", Page(lambda: (200, TEXT, b"alive\n")))
    root.putChild(b"readyz", Page(ready))
    return Limited(MetricsSite(root, requestFactory=Asked, timeout=TIMEOUT, reactor=reactor), reactor)


def listen(reactor: Any, endpoint: str, figures: Any) -> Any:
    """@return: Deferred[L{twisted.internet.interfaces.IListeningPort}]"""
    return serverFromString(reactor, endpoint).listen(site(figures, reactor))
