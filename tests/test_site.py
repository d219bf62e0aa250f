"""HTTP for strangers: bounded in connections, in time, and in what a request may bring."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from hoopx.site import BoundedSite, Bounds


class Echo(Resource):
    isLeaf = True
    asked = 0

    def render_POST(self, request):
        self.asked += 1
        return request.content.read()

    def render_GET(self, request):
        raise RuntimeError("a secret")


class SiteTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()

    def site(self, connections=2, idle=15.0, life=60.0, body=10):
        self.echo = Echo()
        return BoundedSite(self.echo, Bounds(connections, idle, life, body), self.clock)

    def connect(self, site):
        channel, transport = site.buildProtocol(None), StringTransport()
        transport.protocol = channel
        channel.makeConnection(transport)
        return channel, transport

    def post(self, length, data, body=10):
        """@return: the answer, or C{None}: the connection was cut."""
        channel, transport = self.connect(self.site(body=body))
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % length)
        for piece in data:
            channel.dataReceived(piece)
            if transport.disconnecting:
                self.assertEqual(self.echo.asked, 0)
                return None
        return transport.value()

    def test_body(self):
        """So many bytes and no more, in one piece or in many, with a length or in chunks; nothing is waited for beyond them."""
        self.assertIn(b"\r\n\r\n0123456789", self.post(b"Content-Length: 10", [b"0123456789"]))
        self.assertIn(b"\r\n\r\n0123456789", self.post(b"Content-Length: 10", [b"%d" % digit for digit in range(10)]))
        self.assertIsNone(self.post(b"Content-Length: 1000000000", [b"0123456789", b"0"]))
        self.assertIsNone(self.post(b"Content-Length: 1000000000", [bytes(1000)]))
        self.assertIsNone(self.post(b"Transfer-Encoding: chunked", [b"5\r\n01234\r\n", b"6\r\n012345\r\n"]))
        self.assertIsNone(self.post(b"Content-Length: 1", [b"0"], body=0))
        self.assertIn(b" 200 ", self.post(b"Content-Length: 0", [], body=0))

    def test_next(self):
        """Each request of a connection has the whole measure."""
        channel, transport = self.connect(self.site())
        for _ in range(3):
            channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n01234567")
        self.assertEqual(transport.value().count(b" 200 "), 3)

    def test_connections(self):
        """A place is free again when somebody leaves."""
        site = self.site(connections=2)
        first, _ = self.connect(site)
        self.connect(site)
        self.assertIsNone(site.buildProtocol(None))
        first.connectionLost(Failure(ConnectionDone()))
        self.connect(site)
        self.assertIsNone(site.buildProtocol(None))

    def test_life(self):
        """Who says a byte now and then keeps no place for ever; who has left is waited for no longer."""
        site = self.site(life=60.0)
        (slow, transport), (gone, _) = self.connect(site), self.connect(site)
        gone.connectionLost(Failure(ConnectionDone()))
        for _ in range(6):
            self.assertFalse(transport.disconnecting)
            slow.dataReceived(b"P")
            self.clock.advance(10)
        self.assertTrue(transport.disconnecting)
        slow.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((site.protocols, self.clock.getDelayedCalls()), ({}, []))

    def test_idle(self):
        _, transport = self.connect(self.site(idle=15.0))
        self.clock.advance(14)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(2)
        self.assertTrue(transport.disconnecting)

    def test_quiet(self):
        """What breaks is logged, and its traceback shown to nobody."""
        channel, transport = self.connect(self.site())
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b" 500 ", transport.value())
        self.assertNotIn(b"secret", transport.value())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
