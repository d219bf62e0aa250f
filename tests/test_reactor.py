# -*- test-case-name: tests.test_reactor -*-
"""
The reactor's transports and loop, on real sockets of this process, without a running reactor: every turn is asked for.
"""

from __future__ import annotations

import os
import socket
import time

from twisted.internet import tcp
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer, IPushProducer, ITCPTransport
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.ssl import CertificateOptions, DistinguishedName, KeyPair
from twisted.internet.unix import Server as UNIXServer
from twisted.protocols import tls
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyClass

from hoopx.reactor import BACKLOG, READ_LEAST, READ_MOST, EagerClient, EagerServer, HoopxReactor

PATIENCE = 120.0
"""Seconds for a conversation, which takes milliseconds: a machine may be slow, and have other things to do."""


class Recorder(Protocol):
    """Keeps what happens."""

    def __init__(self) -> None:
        self.events: list = []
        self.received = bytearray()
        self.onData = lambda data: None

    def connectionMade(self) -> None:
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.onData(data)

    def connectionLost(self, reason) -> None:
        self.events.append(reason.type.__name__)


@implementer(IHalfCloseableProtocol)
class HalfCloser(Recorder):
    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        self.events.append("write lost")


@implementer(IPushProducer)
class Producer:
    def __init__(self) -> None:
        self.events: list = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


class CountingSocket:
    """A socket that can be told how much it takes, and counts."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.takes: list = []
        self.asked: list = []

    def send(self, data: bytes) -> int:
        if self.takes:
            take = self.takes.pop(0)
            if isinstance(take, OSError):
                raise take
            return self._real.send(memoryview(data)[:take]) if take else 0
        return self._real.send(data)

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        return self._real.recv(size)

    def __getattr__(self, name: str):
        return getattr(self._real, name)


class Fixture(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = HoopxReactor()
        self.reactor.running = True
        self.peers: list = []
        self.addCleanup(self._clean)

    def _clean(self) -> None:
        for selectable in self.reactor.removeAll():
            if hasattr(selectable, "socket"):
                selectable.socket.close()
        for reader in list(self.reactor._internalReaders):
            self.reactor.removeReader(reader)
        waker = self.reactor.waker
        if waker is not None:
            os.close(waker.i)
            os.close(waker.o)
        self.reactor._poller.close()
        for peer in self.peers:
            peer.close()

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.reactor.iterate(0)

    def until(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if condition():
                return
            self.reactor.iterate(0.001)
        self.fail("it does not happen")

    def connected(self, protocol: Protocol | None = None, sendBuffer: int = 0):
        """@return: an eager transport with a protocol, and the plain socket at its other end."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        if sendBuffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
        self.peers.append(far)
        far.setblocking(False)
        protocol = Recorder() if protocol is None else protocol
        transport = EagerServer(near, protocol, ("127.0.0.1", 1), None, 1, self.reactor)
        transport.repstr = "<transport under test>"
        protocol.makeConnection(transport)
        return transport, protocol, far

    def counted(self, *takes):
        transport, protocol, far = self.connected()
        transport.socket = CountingSocket(transport.socket)
        transport.socket.takes = list(takes)
        return transport, protocol, far

    def drain(self, far: socket.socket, size: int) -> bytes:
        got = bytearray()

        def whole() -> bool:
            try:
                got.extend(far.recv(1 << 20))
            except BlockingIOError:
                pass
            return len(got) >= size

        self.until(whole)
        return bytes(got)


class EagerTests(Fixture):
    """L{hoopx.reactor.Eager} writes."""

    def test_interfaces(self) -> None:
        verifyClass(ITCPTransport, EagerServer)
        verifyClass(ITCPTransport, EagerClient)

    def test_sendsAtOnce(self) -> None:
        """Without a turn of the reactor, and without asking it for one."""
        transport, _, far = self.connected()
        transport.write(b"hello")
        self.assertEqual(far.recv(10), b"hello")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_writeSequenceSendsAtOnce(self) -> None:
        transport, _, far = self.connected()
        transport.writeSequence([b"one ", b"two ", b"three"])
        self.assertEqual(far.recv(100), b"one two three")

    def test_partialSendKeepsOrder(self) -> None:
        """What the socket does not take waits, and so does everything that is written behind it."""
        transport, _, far = self.connected(sendBuffer=4096)
        chunks = [bytes([65 + number % 26]) * (7 + number * 97 % 9000) for number in range(200)]
        for chunk in chunks:
            transport.write(chunk)
        self.assertTrue(self.reactor.getWriters())
        expected = b"".join(chunks)
        self.assertEqual(self.drain(far, len(expected)), expected)
        self.turn()
        self.assertEqual(self.reactor.getWriters(), [])
        transport.write(b"eager again")
        self.assertEqual(far.recv(100), b"eager again")

    def test_everySplit(self) -> None:
        """However much of each of two writes is taken, the bytes arrive once and in order."""
        for first in range(4):
            for second in range(4):
                transport, _, far = self.counted(first, second)
                transport.write(b"abc")
                transport.write(b"def")
                self.assertEqual(self.drain(far, 6), b"abcdef")

    def test_wouldBlock(self) -> None:
        transport, _, far = self.counted(BlockingIOError(), 0, 1)
        transport.write(b"abc")
        self.assertEqual(self.drain(far, 3), b"abc")

    def test_errorIsNoReentrance(self) -> None:
        """A broken connection is told in a later turn, never inside C{write}."""
        transport, protocol, far = self.connected()
        far.close()
        transport.write(b"into the void")
        transport.write(b"and more")
        self.assertEqual(protocol.events, ["made"])
        self.until(lambda: len(protocol.events) > 1)
        self.assertIn(protocol.events[1], ("ConnectionLost", "ConnectionDone"))
        self.assertEqual(len(protocol.events), 2)
        transport.write(b"nobody minds")

    def test_errorOfSendAlone(self) -> None:
        """The same while nothing is read from it: the reactor finds the error by writing."""
        transport, protocol, far = self.connected()
        transport.pauseProducing()
        far.close()
        transport.write(b"into the void")
        self.assertEqual(protocol.events, ["made"])
        self.until(lambda: len(protocol.events) > 1)
        self.assertEqual(protocol.events, ["made", "ConnectionLost"])

    def test_writeFromDataReceived(self) -> None:
        transport, protocol, far = self.connected()
        protocol.onData = lambda data: transport.write(data.upper())
        far.send(b"echo")
        self.turn()
        self.assertEqual(far.recv(10), b"ECHO")

    def test_bytesOnly(self) -> None:
        transport, _, _ = self.connected()
        for wrong in ("text", None, 3):
            self.assertRaises(TypeError, transport.write, wrong)
        self.assertRaises(TypeError, transport.writeSequence, ["text"])

    def test_emptyWrite(self) -> None:
        transport, _, _ = self.connected()
        transport.write(b"")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_loseConnection(self) -> None:
        """What was written before it arrives; and what a protocol writes behind it, as with Twisted's transports."""
        transport, protocol, far = self.connected(sendBuffer=4096)
        transport.write(b"x" * 100_000)
        transport.loseConnection()
        transport.write(b"last words")
        self.assertTrue(self.drain(far, 100_010).endswith(b"xlast words"))
        self.until(lambda: protocol.events == ["made", "ConnectionDone"])
        transport.write(b"too late")

    def test_halfClose(self) -> None:
        transport, protocol, far = self.connected(HalfCloser())
        transport.write(b"question")
        transport.loseWriteConnection()
        self.turn()
        self.assertEqual(far.recv(100), b"question")
        self.assertEqual(far.recv(100), b"")
        transport.write(b"not sent any more")
        far.send(b"answer")
        far.shutdown(socket.SHUT_WR)
        self.until(lambda: "read lost" in protocol.events)
        self.assertEqual(bytes(protocol.received), b"answer")
        self.assertEqual(protocol.events, ["made", "write lost", "read lost"])

    def test_halfCloseAfterQueue(self) -> None:
        transport, _, far = self.connected(HalfCloser(), sendBuffer=4096)
        transport.write(b"x" * 50_000)
        transport.loseWriteConnection()
        transport.write(b"y")
        self.assertEqual(self.drain(far, 50_001), b"x" * 50_000 + b"y")
        self.turn(3)
        self.assertEqual(far.recv(10), b"")


class ProducerTests(Fixture):
    """Back-pressure."""

    def test_notPausedWhenTaken(self) -> None:
        """What the kernel took does not count."""
        transport, _, far = self.connected()
        producer = Producer()
        transport.registerProducer(producer, True)
        for _ in range(20):
            transport.write(b"x" * 10_000)
            far.recv(10_000)
        self.assertEqual(producer.events, [])

    def test_pausedByWhatRemains(self) -> None:
        transport, _, far = self.connected()
        transport.socket = CountingSocket(transport.socket)
        producer = Producer()
        transport.registerProducer(producer, True)
        size = 2 * transport.bufferSize
        transport.socket.takes = [size - transport.bufferSize]
        transport.write(b"x" * size)
        self.assertEqual(producer.events, [])
        transport.write(b"x")
        self.assertEqual(producer.events, ["pause"])
        self.drain(far, size + 1)
        self.assertEqual(producer.events, ["pause", "resume"])

    def test_pausedAtOnce(self) -> None:
        transport, _, far = self.connected(sendBuffer=4096)
        producer = Producer()
        transport.registerProducer(producer, True)
        transport.write(b"x" * 500_000)
        self.assertEqual(producer.events, ["pause"])
        self.drain(far, 500_000)
        self.turn()
        self.assertEqual(producer.events, ["pause", "resume"])

    def test_unregisterAfterLose(self) -> None:
        """A connection that was told to close does, when its producer is finished."""
        transport, protocol, far = self.connected()
        transport.registerProducer(Producer(), True)
        transport.loseConnection()
        transport.write(b"rest")
        transport.unregisterProducer()
        self.until(lambda: protocol.events == ["made", "ConnectionDone"])
        self.assertEqual(far.recv(10), b"rest")

    def test_pullProducer(self) -> None:
        """It is asked for more whenever the socket can take more, although every piece could be sent at once."""

        @implementer(IPullProducer)
        class Puller:
            left = 5

            def resumeProducing(self) -> None:
                self.left -= 1
                transport.write(b"%d" % self.left)
                if not self.left:
                    transport.unregisterProducer()

            def stopProducing(self) -> None:
                pass

        transport, _, far = self.connected()
        transport.registerProducer(Puller(), False)
        self.assertEqual(self.drain(far, 5), b"43210")

    def test_pause(self) -> None:
        transport, protocol, far = self.connected()
        transport.pauseProducing()
        far.send(b"wait")
        self.turn(3)
        self.assertEqual(bytes(protocol.received), b"")
        transport.resumeProducing()
        self.turn()
        self.assertEqual(bytes(protocol.received), b"wait")


class ReadTests(Fixture):
    """How much is read at a time."""

    def test_grows(self) -> None:
        transport, protocol, far = self.connected()
        transport.socket = counting = CountingSocket(transport.socket)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        size = far.send(b"x" * READ_LEAST * 2)
        self.until(lambda: len(protocol.received) == size)
        self.assertEqual(counting.asked[:2], [READ_LEAST, READ_LEAST * 4])

    def test_neverMoreThanMost(self) -> None:
        transport, protocol, _ = self.connected()
        asked = []

        class Bulk:
            def recv(self, size: int) -> bytes:
                asked.append(size)
                return bytes(size)

        transport.socket, real = Bulk(), transport.socket
        for _ in range(6):
            self.assertIsNone(transport.doRead())
        self.assertEqual((asked[0], asked[-1], max(asked)), (READ_LEAST, READ_MOST, READ_MOST))
        transport.socket = real

    def test_shrinks(self) -> None:
        transport, protocol, far = self.connected()
        transport.readSize = READ_MOST
        far.send(b"x" * 100)
        self.turn()
        self.assertEqual(transport.readSize, READ_LEAST)

    def test_nothingThere(self) -> None:
        transport, protocol, _ = self.connected()
        self.assertIsNone(transport.doRead())
        self.assertEqual(protocol.events, ["made"])

    def test_reset(self) -> None:
        transport, _, _ = self.counted()
        transport.socket.recv = lambda size: (_ for _ in ()).throw(ConnectionResetError())
        self.assertIsInstance(transport.doRead(), ConnectionLost)


class LoopTests(Fixture):
    def test_clock(self) -> None:
        """Timers go by the clock that nobody can set."""
        call = self.reactor.callLater(1000, self.fail)
        self.assertLess(abs(call.getTime() - time.monotonic() - 1000), 100)
        self.assertLess(abs(self.reactor.seconds() - time.monotonic()), 100)

    """One selectable's exception is its own."""

    def test_exceptionIsolated(self) -> None:
        first, broken, far1 = self.connected()
        second, whole, far2 = self.connected()

        def raises(data: bytes) -> None:
            raise ZeroDivisionError("of the protocol")

        broken.onData = raises
        far1.send(b"1")
        far2.send(b"2")
        self.turn(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(broken.events, ["made", "ZeroDivisionError"])
        self.assertEqual((whole.events, bytes(whole.received)), (["made"], b"2"))

    def test_exceptionOfConnectionLost(self) -> None:
        """Nor does one in C{connectionLost} stop the turn."""

        class Worse(Recorder):
            def connectionLost(self, reason) -> None:
                raise ZeroDivisionError("of connectionLost")

        _, worse, far1 = self.connected(Worse())
        _, whole, far2 = self.connected()
        far1.close()
        far2.send(b"2")
        self.turn(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(bytes(whole.received), b"2")

    def test_disconnectedInTheSameTurn(self) -> None:
        """An event of a transport that another one has closed in this turn is passed over."""
        first, one, far1 = self.connected()
        second, two, far2 = self.connected()
        one.onData = lambda data: second.connectionLost(_lost())
        two.onData = lambda data: first.connectionLost(_lost())
        far1.send(b"1")
        far2.send(b"2")
        self.turn(2)
        self.assertEqual(sorted([one.events, two.events], key=len), [["made"], ["made", "ConnectionLost"]])
        self.assertEqual(len(one.received) + len(two.received), 1)

    def test_timersAndThreads(self) -> None:
        """Timers, calls from threads and transports all get their turn, and C{stop} ends the loop."""
        reactor = self.reactor
        reactor.running = False
        seen: list = []
        transport, protocol, far = self.connected()
        protocol.onData = lambda data: (seen.append("data"), reactor.callLater(0.01, timer))
        cancelled = [reactor.callLater(3600, seen.append, "never") for _ in range(120)]

        def timer() -> None:
            seen.append("timer")
            for call in cancelled:
                call.cancel()
            reactor.callInThread(reactor.callFromThread, fromThread)

        def fromThread() -> None:
            seen.append("thread")
            reactor.callLater(0, boom)
            reactor.callLater(0.001, reactor.stop)

        def boom() -> None:
            raise ZeroDivisionError("of a timer")

        reactor.callWhenRunning(far.send, b"x")
        reactor.run(installSignalHandlers=False)
        self.assertEqual(seen, ["data", "timer", "thread"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(reactor.getDelayedCalls(), [])


def _lost() -> Failure:
    return Failure(ConnectionLost())


class NetworkTests(Fixture):
    """Ports and connectors, over loopback."""

    def pair(self, server: Protocol, client: Protocol, serverTLS=None, clientTLS=None):
        serving, connecting = Factory(), ClientFactory()
        serving.buildProtocol = lambda address: server
        connecting.buildProtocol = lambda address: client
        if serverTLS is not None:
            serving = TLSMemoryBIOFactory(serverTLS, False, serving, self.reactor)
            connecting = TLSMemoryBIOFactory(clientTLS, True, connecting, self.reactor)
        port = self.reactor.listenTCP(0, serving, interface="127.0.0.1")
        self.reactor.connectTCP("127.0.0.1", port.getHost().port, connecting)
        self.until(lambda: "made" in server.events and "made" in client.events)
        return port

    def test_kinds(self) -> None:
        server, client = Recorder(), Recorder()
        self.pair(server, client)
        self.assertIsInstance(server.transport, EagerServer)
        self.assertIsInstance(client.transport, EagerClient)

    def test_noDelay(self) -> None:
        server, client = Recorder(), Recorder()
        self.pair(server, client)
        self.assertTrue(server.transport.getTcpNoDelay())
        self.assertTrue(client.transport.getTcpNoDelay())

    def test_bothWays(self) -> None:
        server, client = Recorder(), Recorder()
        self.pair(server, client)
        server.onData = server.transport.write
        question = os.urandom(3_000_000)
        client.transport.write(question)
        self.until(lambda: len(client.received) == len(question))
        self.assertEqual(bytes(client.received), question)

    def test_refused(self) -> None:
        """A connection that fails is told to its factory."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            failed: list = []
            factory = ClientFactory()
            factory.clientConnectionFailed = lambda connector, reason: failed.append(reason.type.__name__)
            self.reactor.connectTCP("127.0.0.1", unused.getsockname()[1], factory)
            self.until(lambda: failed)
            self.assertEqual(failed, ["ConnectionRefusedError"])

    def test_backlog(self) -> None:
        """Twisted's default is raised, a wish is kept."""
        listen = self.reactor.listenTCP
        ports = [listen(0, Factory(), interface="127.0.0.1"), listen(0, Factory(), 7, "127.0.0.1")]
        self.assertEqual([port.backlog for port in ports], [BACKLOG, 7])

    def test_adopted(self) -> None:
        """Sockets that somebody else opened (systemd) are served the same way."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            listening.setblocking(False)
            protocol = Recorder()
            factory = Factory()
            factory.buildProtocol = lambda address: protocol
            self.reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
            peer = socket.create_connection(listening.getsockname())
            self.peers.append(peer)
            self.until(lambda: protocol.events)
            self.assertIsInstance(protocol.transport, EagerServer)
            again = Recorder()
            factory.buildProtocol = lambda address: again
            self.reactor.adoptStreamConnection(peer.fileno(), socket.AF_INET, factory)
            self.assertIsInstance(again.transport, EagerServer)

    def test_adoptedUNIX(self) -> None:
        """UNIX sockets stay Twisted's: descriptors travel with bytes that are still queued."""
        near, far = socket.socketpair()
        self.peers += [near, far]
        near.setblocking(False)
        protocol = Recorder()
        factory = Factory()
        factory.buildProtocol = lambda address: protocol
        self.reactor.adoptStreamConnection(near.fileno(), socket.AF_UNIX, factory)
        self.assertIsInstance(protocol.transport, UNIXServer)

    def test_TLSFactory(self) -> None:
        """A layer of TLS above eager transports."""
        server, client = Recorder(), Recorder()
        self.pair(server, client, *_options())
        server.onData = server.transport.write
        question = os.urandom(1_000_000)
        client.transport.write(question)
        self.until(lambda: len(client.received) == len(question))
        self.assertEqual(bytes(client.received), question)
        client.transport.loseConnection()
        self.until(lambda: "ConnectionDone" in client.events and "ConnectionDone" in server.events)

    def test_startTLS(self) -> None:
        """C{startTLS} on the transports themselves: plaintext before it, records behind it, and no record before its time."""
        self.patch(tls, "_get_default_clock", lambda: self.reactor)
        server, client = Recorder(), Recorder()
        self.pair(server, client)
        serverOptions, clientOptions = _options()
        client.transport.write(b"plain")
        self.until(lambda: bytes(server.received) == b"plain")
        server.received.clear()
        server.transport.startTLS(serverOptions)
        client.transport.startTLS(clientOptions)
        producer = Producer()
        client.transport.registerProducer(producer, True)
        client.transport.write(b"secret ")
        client.transport.writeSequence([b"and ", b"more"])
        self.until(lambda: bytes(server.received) == b"secret and more")
        client.transport.unregisterProducer()
        client.transport.loseConnection()
        self.until(lambda: "ConnectionDone" in client.events and "ConnectionDone" in server.events)
        client.transport.write(b"nobody minds")


def _options():
    key = KeyPair.generate()
    name = DistinguishedName(commonName=b"localhost")
    request = key.requestObject(name)
    certificate = key.signRequestObject(name, request, 1)
    return CertificateOptions(privateKey=key.original, certificate=certificate.original), CertificateOptions()


class InheritanceTests(SynchronousTestCase):
    def test_eagerComesFirst(self) -> None:
        """Twisted's own C{write} must not hide ours, nor ours Twisted's layers of TLS."""
        for kind, theirs in ((EagerServer, tcp.Server), (EagerClient, tcp.Client)):
            order = [base.__name__ for base in kind.__mro__]
            self.assertLess(order.index("Eager"), order.index(theirs.__name__))
            self.assertLess(order.index("Eager"), order.index("ConnectionMixin"))
