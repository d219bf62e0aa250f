# -*- test-case-name: tests.metrics.test_page -*-
"""
C{/metrics}, C{/healthz} and C{/readyz} over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.web.resource import Resource

from hoopx.site import BoundedSite, Bounds

PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
TEXT: Final = b"text/plain; charset=utf-8"
BOUNDS: Final = Bounds(connections=50, idle=15.0, life=60.0, body=0)
"""One or two scrape, each for a second at the most; descriptors must be left for sessions. Nobody has to send anything here."""

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
    return BoundedSite(root, BOUNDS, reactor)


def listen(reactor: Any, endpoint: str, figures: Any) -> Any:
    """@return: Deferred[L{twisted.internet.interfaces.IListeningPort}]"""
    return serverFromString(reactor, endpoint).listen(site(figures, reactor))
