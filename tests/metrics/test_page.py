"""Metrics and health over HTTP."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hoopx.metrics.page import BOUNDS, site


class Figures:
    reasons: list = []

    def page(self):
        if self.reasons == ["broken"]:
            raise RuntimeError("a secret")
        return b"hoopx_sessions 1.0\n"

    def unready(self):
        return self.reasons


class PageTests(SynchronousTestCase):
    def ask(self, path, method="GET", reasons=()):
        figures = Figures()
        figures.reasons = list(reasons)
        channel = site(figures, Clock()).buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), head.lower(), body

    def test_metrics(self):
        status, head, body = self.ask("/metrics")
        self.assertEqual((status, body), (200, b"hoopx_sessions 1.0\n"))
        self.assertIn(b"text/plain; version=0.0.4", head)
        self.assertEqual(self.ask("/metrics", "HEAD")[2], b"")

    def test_health(self):
        self.assertEqual(self.ask("/healthz", reasons=["x"])[0], 200)
        self.assertEqual(self.ask("/readyz")[::2], (200, b"ready\n"))
        self.assertEqual(self.ask("/readyz", reasons=["the disk", "the curator"])[::2], (503, b"the disk\nthe curator\n"))

    def test_nothingElse(self):
        self.assertEqual(self.ask("/")[0], 404)
        self.assertEqual(self.ask("/other")[0], 404)
        self.assertEqual(self.ask("/metrics", "POST")[0], 405)

    def test_broken(self):
        """An error is logged, and says nothing of itself."""
        status, _, body = self.ask("/metrics", reasons=["broken"])
        self.assertEqual(status, 500)
        self.assertNotIn(b"secret", body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_body(self):
        """What somebody sends is kept nowhere."""
        channel = site(Figures(), Clock()).buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx")
        self.assertTrue(transport.disconnecting)

    def test_bounded(self):
        self.assertEqual(site(Figures(), Clock()).bounds, BOUNDS)
