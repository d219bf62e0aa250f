"""
L{hoopx.tls.layer} against OpenSSL itself.
"""

from __future__ import annotations

import ssl

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from hoopx.errors import ProtocolViolation, TargetFailed
from hoopx.tls.contexts import ClientOptions, ServerOptions
from hoopx.tls.layer import EARLY_LIMIT, HalfCloseableLayer, Layer, wrap
from hoopx.values import Target
from tests.tls.certificates import Peer, TestAuthority, Wire


class Told(Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said = b""
        self.calls = 0
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        assert self.lost is None
        self.said += data
        self.calls += 1

    def connectionLost(self, reason: Failure) -> None:
        assert self.lost is None
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfTold(Told):
    halves = 0

    def readConnectionLost(self) -> None:
        self.halves += 1

    def writeConnectionLost(self) -> None:
        pass


class Scene:
    """A layer on a wire, and its peer."""

    def __init__(self, case, serving=True, protocol=None, received=b"", context=None, name="localhost", alpn=None) -> None:
        self.wire, self.protocol = Wire(), protocol or Told()
        self.results: list = []
        if serving:
            terms = ServerOptions(case.certificate, case.key).terms(alpn)
            if context is None:
                context = ssl.create_default_context(cafile=case.authority.pem)
            self.peer = Peer(context, False, name)
        else:
            terms = ClientOptions().terms(
                Target("t", "raw", "tcp:localhost:1", serverName=name, authorities=case.authority.pem), alpn
            )
            if context is None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(case.certificate, case.key)
            self.peer = Peer(context, True)
        self.layer = wrap(self.wire, self.protocol, terms, lambda *result: self.results.append(result), received)

    def turn(self, sizes=None) -> bool:
        """Carry what both have said, in pieces of some sizes. @return: whether there was anything."""
        toPeer = self.wire.take()
        self.peer.feed(toPeer)
        data = self.peer.outgoing.read()
        position = 0
        while position < len(data):
            size = next(sizes) if sizes is not None else len(data)
            self.wire.protocol.dataReceived(data[position : position + size])
            position += size
        return bool(toPeer or data)

    def run(self, sizes=None) -> Scene:
        for _ in range(100):
            if not self.turn(sizes):
                return self
        raise AssertionError("they never come to an end")

    def cut(self, reason=None) -> None:
        self.wire.protocol.connectionLost(Failure(reason or ConnectionDone()))


class LayerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = TestAuthority(self.mktemp())
        self.certificate, self.key = self.authority.issue("localhost")


class HandshakeTests(LayerCase):
    def test_interfaces(self) -> None:
        for kind in (Layer, HalfCloseableLayer):
            verifyClass(ITCPTransport, kind)
            verifyClass(IProtocol, kind)
        verifyClass(IHalfCloseableProtocol, HalfCloseableLayer)
        scene = Scene(self)
        verifyObject(ITCPTransport, scene.layer)
        verifyObject(IProtocol, scene.layer)
        self.assertFalse(IHalfCloseableProtocol.providedBy(scene.layer))
        verifyObject(IHalfCloseableProtocol, Scene(self, protocol=HalfTold()).layer)

    def test_both(self) -> None:
        """Server and client: a handshake, data both ways, in one call each."""
        for serving in (True, False):
            scene = Scene(self, serving).run()
            error, certificate = scene.results.pop()
            self.assertIsNone(error)
            if serving:
                self.assertIsNone(certificate)
            else:
                with open(self.certificate) as file:
                    self.assertEqual(certificate, ssl.PEM_cert_to_DER_cert(file.read()))
            self.assertEqual(scene.layer.certificate, certificate)
            self.assertEqual(scene.peer.tls.version(), "TLSv1.3")
            scene.layer.write(b"hello")
            scene.layer.writeSequence([b"a", b"b"])
            scene.layer.write(b"")
            scene.peer.write(b"welcome")
            scene.peer.write(b" home")
            scene.run()
            self.assertEqual(scene.peer.said, b"helloab")
            self.assertEqual(scene.protocol.said, b"welcome home")
            self.assertEqual(scene.protocol.calls, 1)
            self.assertEqual(scene.results, [])

    def test_oldest(self) -> None:
        """TLS 1.2 is spoken, 1.1 is not."""
        for serving in (True, False):
            context = self.context(serving)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            scene = Scene(self, serving, context=context).run()
            self.assertEqual(scene.results[0][0], None)
            scene.peer.write(b"old")
            self.assertEqual(scene.run().protocol.said, b"old")

            context = self.context(serving)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
            scene = Scene(self, serving, context=context).run()
            [(error, certificate)] = scene.results
            self.assertIsInstance(error, ProtocolViolation if serving else TargetFailed)
            self.assertIn("TLS version from 1.2 on", str(error))
            self.assertIsNone(certificate)
            self.assertIn("loseConnection", scene.wire.calls)

    def context(self, serving: bool) -> ssl.SSLContext:
        if serving:
            return ssl.create_default_context(cafile=self.authority.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def test_received(self) -> None:
        """TLS bytes that were read before the layer was there (direct TLS)."""
        peer = Peer(self.context(True), False, "localhost")
        peer.feed(b"")
        scene = Scene(self, received=peer.outgoing.read())
        scene.peer = peer
        self.assertIsNone(scene.run().results[0][0])

    def test_plaintext(self) -> None:
        """Plaintext where a handshake should begin is no handshake; nothing of it reaches the protocol."""
        for injected in (b"\0\0\0\x08\x04\xd2\x16/", b"SELECT 1;" * 10, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello"):
            scene = Scene(self, received=injected)
            [(error, _)] = scene.results
            self.assertIsInstance(error, ProtocolViolation)
            self.assertIn("loseConnection", scene.wire.calls)
            scene.wire.protocol.dataReceived(b"more")
            scene.layer.write(b"never")
            scene.cut()
            self.assertEqual(scene.protocol.said, b"")
            self.assertIs(scene.protocol.lost.value, error)
            self.assertEqual(len(scene.results), 1)

    def test_targetWithoutTLS(self) -> None:
        scene = Scene(self, False)
        scene.wire.protocol.dataReceived(b"E\0\0\0\x20SERROR...unsupported frontend protocol")
        [(error, _)] = scene.results
        self.assertIsInstance(error, TargetFailed)
        self.assertIn("does not speak TLS", str(error))

    def test_leftDuringHandshake(self) -> None:
        """A peer that goes is a failure of the handshake; one that only waits is the caller's to cut."""
        for serving, kind in ((True, ProtocolViolation), (False, TargetFailed)):
            scene = Scene(self, serving)
            scene.wire.protocol.dataReceived(b"\x16")
            self.assertEqual(scene.results, [])
            scene.cut()
            [(error, _)] = scene.results
            self.assertIsInstance(error, kind)
            self.assertIn("closed the connection", str(error))
            self.assertIsNotNone(scene.protocol.lost)

    def test_halfLeftDuringHandshake(self) -> None:
        scene = Scene(self, protocol=HalfTold())
        scene.wire.protocol.readConnectionLost()
        self.assertIn("loseConnection", scene.wire.calls)
        scene.cut()
        self.assertIn("closed the connection", str(scene.results[0][0]))
        self.assertEqual(scene.protocol.halves, 0)

    def test_early(self) -> None:
        """What is written before the handshake is over waits, up to a limit, and a close after it waits too."""
        scene = Scene(self)
        scene.layer.write(b"early ")
        scene.layer.write(b"words")
        scene.layer.loseConnection()
        scene.layer.write(b"too late")
        self.assertEqual(scene.wire.calls, [])
        scene.run()
        self.assertEqual(scene.peer.said, b"early words")
        self.assertTrue(scene.peer.ended)
        self.assertIn("loseConnection", scene.wire.calls)
        scene = Scene(self)
        scene.layer.write(b"x" * EARLY_LIMIT)
        self.assertRaises(RuntimeError, scene.layer.write, b"x")

    def test_closedEarly(self) -> None:
        scene = Scene(self)
        scene.layer.loseConnection()
        self.assertIn("loseConnection", scene.wire.calls)
        scene.cut()
        self.assertEqual(len(scene.results), 1)
        self.assertIsNotNone(scene.protocol.lost)

    def test_alpn(self) -> None:
        """Where one must be agreed, nothing else will do."""
        for serving in (True, False):
            for offered, fine in ((["postgresql"], True), (["http/1.1"], False), ([], False)):
                context = self.context(serving)
                if offered:
                    context.set_alpn_protocols(offered)
                scene = Scene(self, serving, context=context, alpn=[b"postgresql"]).run()
                [(error, _)] = scene.results
                if fine:
                    self.assertIsNone(error)
                    self.assertEqual(scene.layer.alpn, "postgresql")
                else:
                    self.assertIn("ALPN postgresql", str(error))
                    self.assertIn("loseConnection", scene.wire.calls)
                # Where none is demanded, what is offered does not matter.
                scene = Scene(self, serving, context=context).run()
                self.assertEqual(scene.results, [(None, scene.layer.certificate)])

    def test_firstWordsWithFinished(self) -> None:
        """A client's first data in the segment that ends its handshake comes after the handshake is told."""
        scene = Scene(self)
        order = []
        scene.layer._onHandshake = lambda *result: order.append("handshake")
        scene.protocol.dataReceived = lambda data: order.append(data)
        scene.peer.feed(b"")
        scene.wire.protocol.dataReceived(scene.peer.outgoing.read())
        scene.peer.feed(scene.wire.take())
        scene.peer.write(b"startup")
        scene.wire.protocol.dataReceived(scene.peer.outgoing.read())
        self.assertEqual(order, ["handshake", b"startup"])

    def test_failsInHandshakeCallback(self) -> None:
        """Closing from within the callback closes."""
        scene = Scene(self)
        scene.layer._onHandshake = lambda *result: scene.layer.loseConnection()
        scene.run()
        self.assertTrue(scene.peer.ended)
        self.assertIn("loseConnection", scene.wire.calls)


class FlowTests(LayerCase):
    chunks = st.lists(
        st.one_of(st.binary(min_size=1, max_size=300), st.integers(1, 70_000).map(lambda n: b"\xa5" * n)), max_size=6
    )
    sizes = st.lists(st.one_of(st.integers(1, 40), st.integers(1, 100_000)), min_size=1, max_size=30)

    @settings(max_examples=40, deadline=None)
    @given(st.booleans(), st.booleans(), chunks, chunks, sizes)
    def test_splits(self, serving: bool, old: bool, ours: list, theirs: list, sizes: list) -> None:
        """However the bytes of TLS are cut, what one says is what the other hears."""

        def endless():
            while True:
                yield from sizes
                yield 65536

        context = HandshakeTests.context(self, serving)
        if old:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        scene, cut = Scene(self, serving, context=context), endless()
        scene.run(cut)
        self.assertEqual([error for error, _ in scene.results], [None])
        for chunk in theirs:
            scene.peer.write(chunk)
        for chunk in ours:
            scene.layer.write(chunk)
            if len(chunk) % 2:
                scene.turn(cut)
        scene.run(cut)
        self.assertEqual(scene.protocol.said, b"".join(theirs))
        self.assertEqual(scene.peer.said, b"".join(ours))
        scene.peer.end()
        scene.run(cut)
        self.assertIn("loseConnection", scene.wire.calls)

    def test_answersFromWithin(self) -> None:
        """A protocol that writes while it is told: an echo, as large as it comes."""
        scene = Scene(self).run()
        scene.protocol.dataReceived = lambda data: scene.layer.write(data)
        for size in (1, 16384, 16385, 300_000):
            scene.peer.said = b""
            scene.peer.write(b"e" * size)
            scene.run()
            self.assertEqual(scene.peer.said, b"e" * size)

    def test_nothingKept(self) -> None:
        """All that has come is told at once, so that pausing the transport is all that pausing takes."""
        scene = Scene(self).run()
        scene.peer.write(b"x" * 60_000)
        scene.wire.protocol.dataReceived(scene.peer.outgoing.read())
        self.assertEqual(len(scene.protocol.said), 60_000)
        self.assertEqual(scene.protocol.calls, 1)
        scene.layer.pauseProducing()
        scene.layer.resumeProducing()
        self.assertEqual(scene.wire.calls, ["pauseProducing", "resumeProducing"])
        scene.layer.registerProducer("producer", True)
        self.assertEqual(scene.wire.producer, ("producer", True))
        scene.layer.unregisterProducer()
        self.assertIsNone(scene.wire.producer)

    def test_transport(self) -> None:
        scene = Scene(self)
        self.assertEqual(scene.layer.getPeer(), "getPeer")
        self.assertEqual(scene.layer.getHost(), "getHost")
        scene.layer.setTcpNoDelay(True)
        scene.layer.setTcpKeepAlive(True)
        self.assertEqual(scene.layer.getTcpNoDelay(), "getTcpNoDelay")
        self.assertEqual(scene.layer.getTcpKeepAlive(), "getTcpKeepAlive")
        self.assertIn(("setTcpNoDelay", True), scene.wire.calls)
        scene.layer.stopProducing()
        self.assertIn("loseConnection", scene.wire.calls)


class EndTests(LayerCase):
    def test_weEnd(self) -> None:
        """Our close_notify comes before the end of the connection; nothing is said after it."""
        scene = Scene(self).run()
        scene.layer.write(b"bye")
        scene.layer.loseConnection()
        scene.layer.write(b"never")
        scene.layer.loseConnection()
        self.assertEqual(scene.wire.calls, ["loseConnection"])
        scene.run()
        self.assertEqual(scene.peer.said, b"bye")
        self.assertTrue(scene.peer.ended)
        scene.cut()
        scene.protocol.lost.trap(ConnectionDone)

    def test_theyEnd(self) -> None:
        """The peer's close_notify is answered, and ends the connection for a protocol that knows no halves."""
        scene = Scene(self).run()
        scene.peer.write(b"bye")
        scene.peer.end()
        scene.run()
        self.assertEqual(scene.protocol.said, b"bye")
        self.assertTrue(scene.peer.ended)
        self.assertEqual(scene.wire.calls, ["loseConnection"])
        scene.cut()
        scene.protocol.lost.trap(ConnectionDone)

    def test_theyHalfEnd(self) -> None:
        """For one that knows them, we go on writing until we have said all; TCP's end changes nothing more."""
        scene = Scene(self, protocol=HalfTold()).run()
        scene.peer.write(b"question")
        scene.peer.end()
        scene.turn()
        self.assertEqual((scene.protocol.said, scene.protocol.halves), (b"question", 1))
        scene.wire.protocol.readConnectionLost()
        self.assertEqual(scene.protocol.halves, 1)
        self.assertEqual(scene.wire.calls, [])
        scene.layer.write(b"answer")
        scene.layer.loseConnection()
        scene.peer.feed(b"")
        scene.peer.incoming.write(scene.wire.take())
        self.assertEqual(scene.peer.tls.read(100), b"answer")
        scene.cut()
        scene.protocol.lost.trap(ConnectionDone)

    def test_weHalfEndTooEarly(self) -> None:
        """Before the handshake is over there is no half of a connection to end."""
        scene = Scene(self, protocol=HalfTold())
        scene.layer.loseWriteConnection()
        self.assertEqual(scene.wire.calls, ["loseConnection"])

    def test_weHalfEnd(self) -> None:
        scene = Scene(self, protocol=HalfTold()).run()
        scene.layer.write(b"question")
        scene.layer.loseWriteConnection()
        scene.layer.loseWriteConnection()
        scene.layer.write(b"never")
        self.assertEqual(scene.wire.calls, ["loseWriteConnection"])
        scene.run()
        self.assertEqual(scene.peer.said, b"question")
        self.assertTrue(scene.peer.ended)
        scene.peer.write(b"answer")
        scene.run()
        self.assertEqual(scene.protocol.said, b"answer")

    def test_truncated(self) -> None:
        """The end of TCP without the end of TLS is not a clean end: somebody may have cut the peer's words."""
        for protocol in (Told(), HalfTold()):
            scene = Scene(self, protocol=protocol).run()
            if isinstance(protocol, HalfTold):
                scene.wire.protocol.readConnectionLost()
                self.assertEqual(protocol.halves, 0)
                self.assertIn("loseConnection", scene.wire.calls)
            scene.cut()
            protocol.lost.trap(ConnectionLost)
            self.assertIn("without ending TLS", str(protocol.lost.value))

    def test_abort(self) -> None:
        scene = Scene(self).run()
        scene.layer.abortConnection()
        scene.layer.write(b"never")
        self.assertEqual(scene.wire.calls, ["abortConnection"])
        self.assertEqual(scene.wire.take(), b"")
        scene.peer.write(b"unheard")
        scene.run()
        scene.cut(ConnectionAborted())
        self.assertEqual(scene.protocol.said, b"")
        scene.protocol.lost.trap(ConnectionAborted)

    def test_broken(self) -> None:
        """A changed record ends the connection; what came before it is told, what comes after is not."""
        scene = Scene(self).run()
        scene.peer.write(b"good")
        good = scene.peer.outgoing.read()
        scene.peer.write(b"evil")
        evil = bytearray(scene.peer.outgoing.read())
        evil[-1] ^= 1
        scene.peer.write(b"later")
        replies = []
        scene.protocol.dataReceived = lambda data: (replies.append(data), scene.layer.write(b"reply"))
        scene.wire.protocol.dataReceived(good + bytes(evil) + scene.peer.outgoing.read())
        self.assertEqual(replies, [b"good"])
        self.assertEqual(scene.wire.calls, ["loseConnection"])
        scene.peer.feed(scene.wire.take())
        self.assertIn("BAD_RECORD_MAC", str(scene.peer.error))
        scene.cut()
        scene.protocol.lost.trap(ProtocolViolation)

    def test_certificateDemanded(self) -> None:
        """With TLS 1.3 a target's demand for a client certificate comes after our handshake."""
        context = HandshakeTests.context(self, False)
        context.load_verify_locations(self.authority.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        scene = Scene(self, False, context=context).run()
        self.assertEqual(scene.results[0][0], None)
        scene.cut()
        scene.protocol.lost.trap(TargetFailed)
        self.assertIn("demands a client certificate", str(scene.protocol.lost.value))

    @settings(max_examples=100, deadline=None)
    @given(st.booleans(), st.booleans(), st.lists(st.binary(max_size=200), max_size=5))
    def test_garbage(self, serving: bool, before: bool, chunks: list) -> None:
        """Whatever comes instead of TLS: an end, never an exception, never data."""
        scene = Scene(self, serving)
        if before:
            scene.run()
        for chunk in chunks:
            scene.wire.protocol.dataReceived(chunk)
        scene.cut()
        self.assertEqual(scene.protocol.said, b"")
        self.assertEqual(len(scene.results), 1)
        self.assertIsNotNone(scene.protocol.lost)
