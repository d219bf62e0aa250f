"""The witness on the network, over real sockets on loopback."""

from __future__ import annotations

import errno
import os
from threading import Event

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent
from twisted.web.resource import Resource

from hoopx.ledger.tree import consistency
from hoopx.recording.threads import Threads
from hoopx.witness import service
from hoopx.witness.client import submit
from hoopx.witness.exchange import MAX_REQUEST
from hoopx.witness.service import BOUNDS, WitnessService, alarm, makeResource, makeSite
from tests.witness.rig import BIG, Here, checkpoint, request


class ServiceTests(TestCase):
    timeout = 300

    async def setUp(self):
        self.here = Here(os.path.join(self.mktemp(), "witness"))
        self.addCleanup(self.here.close)
        threads = Threads(reactor, reactor.getThreadPool())
        resource = makeResource(self.here.witness, "w.example", self.here.vkey, threads)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.site = makeSite(resource, reactor)
        self.service = WitnessService(endpoint, self.site)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.port = (await self.service.listening).getHost().port

    def submit(self, size, old=0):
        proofFor = lambda old: consistency(old, size, BIG.node)
        agent = Agent(reactor)
        return submit(agent, f"http://127.0.0.1:{self.port}", self.here.vkey, checkpoint(size), proofFor, clock=reactor, old=old)

    async def test_submit(self):
        for size in (5, 1000, 1000, 100_000):
            line = await self.submit(size)
            self.assertTrue(line.startswith("\N{EM DASH} w.example ".encode()))

    async def say(self, data):
        """@return: all that comes back."""
        got, gone = [], Deferred()

        class Client(Protocol):
            def connectionMade(self):
                self.transport.write(data)

            def dataReceived(self, data):
                got.append(data)

            def connectionLost(self, reason):
                gone.callback(None)

        await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port).connect(Factory.forProtocol(Client))
        await gone
        return b"".join(got)

    def http(self, method, path, body=b"", more=b""):
        return b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s" % (method, path, more, len(body), body)

    async def test_exchange(self):
        """What stands in the specification stands on the wire."""
        answer = await self.say(self.http(b"POST", b"/add-checkpoint", request(0, 5)))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        answer = await self.say(self.http(b"POST", b"/add-checkpoint", request(0, 7)))
        self.assertTrue(answer.startswith(b"HTTP/1.1 409 "), answer)
        self.assertIn(b"text/x.tlog.size", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n5\n"), answer)
        self.assertIn(self.here.vkey.encode(), await self.say(self.http(b"GET", b"/")))
        self.assertIn(b" 405 ", (await self.say(self.http(b"GET", b"/add-checkpoint")))[:20])
        self.assertIn(b" 404 ", (await self.say(self.http(b"GET", b"/nothing")))[:20])

    async def test_tooLong(self):
        """A request that never ends is not taken in."""
        answer = await self.say(self.http(b"POST", b"/add-checkpoint", b"x" * (MAX_REQUEST * 3)))
        self.assertNotIn(b"HTTP/1.1 200", answer)
        await self.submit(5)

    async def test_fault(self):
        """A disk that fails is no cosignature."""
        self.here.state.keep = None
        answer = await self.say(self.http(b"POST", b"/add-checkpoint", request(0, 5)))
        self.assertTrue(answer.startswith(b"HTTP/1.1 500 "), answer)
        self.assertNotIn(b"Traceback", answer)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


    async def test_full(self):
        """A disk that takes nothing more is told in a line; when it takes something again, all goes on."""
        keep, told = self.here.state.keep, []

        def full(origin, note):
            raise OSError(errno.ENOSPC, "No space left on device")

        self.here.state.keep = full
        self.patch(service.log, "critical", lambda text, **fields: told.append(text.format(**fields)))
        answer = await self.say(self.http(b"POST", b"/add-checkpoint", request(0, 5)))
        self.assertTrue(answer.startswith(b"HTTP/1.1 500 "), answer)
        self.assertEqual(len(told), 1)
        self.assertIn("ALARM: a checkpoint can not be kept, so it is not cosigned: [Errno 28] No space", told[0])
        self.here.state.keep = keep
        await self.submit(5)

    async def test_gone(self):
        """Who asks and hangs up before there is an answer is no news; what was begun is ended."""
        add, begun, go = self.here.witness.add, Deferred(), Event()
        ended = Deferred()

        def slow(body):
            reactor.callFromThread(begun.callback, None)
            go.wait()
            try:
                return add(body)
            finally:
                reactor.callFromThread(ended.callback, None)

        self.here.witness.add = slow
        self.addCleanup(go.set)
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port).connect(Factory.forProtocol(Protocol))
        client.transport.write(self.http(b"POST", b"/add-checkpoint", request(0, 5)))
        await begun
        client.transport.abortConnection()
        while self.site.protocols:
            await deferLater(reactor, 0.01)
        go.set()
        await ended
        self.here.witness.add = add
        self.assertIn(b"409", (await self.say(self.http(b"POST", b"/add-checkpoint", request(0, 7))))[:20])
        self.assertEqual(self.flushLoggedErrors(), [])


class SiteTests(SynchronousTestCase):
    def test_bounded(self):
        site = makeSite(Resource(), Clock())
        self.assertEqual(site.bounds, BOUNDS)
        self.assertEqual(BOUNDS.body, MAX_REQUEST)


class AlarmTests(SynchronousTestCase):
    def test_told(self):
        events = []

        def observe(event):
            if event["log_namespace"] == service.log.namespace:  # threads of others may have something to say, too
                events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        alarm("fork", {"origin": "gw1", "size": 5, "root": "00", "known": 4})
        alarm("rollback", {"origin": "gw1", "size": 3, "root": "00", "known": 4})
        alarm("damaged", {"origin": "gw1", "why": "torn"})
        self.assertEqual([event["log_level"] for event in events], [LogLevel.critical, LogLevel.error, LogLevel.critical])
        self.assertTrue(all("ALARM" in event["log_format"] for event in events))
        # trial takes what is logged as critical for a failure of the test
        self.flushLoggedErrors()
