"""
L{hoopx.tls.ends}: over the loopback device, against Python's C{ssl} in a thread and OpenSSL's own programs.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface import implementer

from hoopx.errors import ProtocolViolation, TargetFailed
from hoopx.tls.contexts import ClientOptions, ServerOptions
from hoopx.tls.ends import Ends
from hoopx.values import Target
from tests.tls.certificates import TestAuthority

TIMEOUT = 120
"""Seconds for what takes milliseconds: a machine may be slow, and have other things to do."""


def openssl() -> str:
    found = shutil.which("openssl")
    if found is None:
        if os.environ.get("HOOPX_REQUIRE_PEERS"):
            raise AssertionError("apt-get install openssl")
        raise SkipTest("apt-get install openssl")
    return found


class Served(Protocol):
    """A door that answers in capitals."""

    def connectionMade(self) -> None:
        self.transport, self.factory.secured = self.factory.ends.serve(self.transport, self, alpn=self.factory.alpn)
        self.factory.secured.addBoth(self.factory.results.append)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def connectionLost(self, reason) -> None:
        self.factory.lost.callback(reason.value)


@implementer(IHalfCloseableProtocol)
class Asking(Protocol):
    """A leg that notes what it hears."""

    def __init__(self, ends: Ends, target: Target) -> None:
        self.ends, self.target = ends, target
        self.said, self.halves = b"", 0
        self.lost: Deferred = Deferred()

    def connectionMade(self) -> None:
        self.transport.protocol = self
        self.transport, self.secured = self.ends.connect(self.transport, self, self.target)

    def dataReceived(self, data: bytes) -> None:
        self.said += data

    def readConnectionLost(self) -> None:
        self.halves += 1
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason) -> None:
        self.lost.callback(reason.value)


class Case(TestCase):
    timeout = 2 * TIMEOUT

    def setUp(self) -> None:
        self.authority = TestAuthority(self.mktemp())
        self.certificate, self.key = self.authority.issue("localhost", "127.0.0.1")
        self.ends = Ends(ServerOptions(self.certificate, self.key), ClientOptions())


class ServeTests(Case):
    def listen(self, alpn=None) -> int:
        self.factory = Factory.forProtocol(Served)
        self.factory.ends, self.factory.alpn, self.factory.results, self.factory.lost = self.ends, alpn, [], Deferred()
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port

    @inlineCallbacks
    def test_python(self):
        """A large conversation, with an end that both agree on."""
        port = self.listen()

        def client() -> tuple:
            context = ssl.create_default_context(cafile=self.authority.pem)
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as plain:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                    heard = b""
                    for start in range(0, 1_000_000, 50_000):
                        tls.sendall(b"abcde" * 10_000)
                        while len(heard) < start + 50_000:
                            piece = tls.recv(65536)
                            assert piece, "the end comes too early"
                            heard += piece
                    version = tls.version()
                    tls.unwrap()
                    return heard, version

        heard, version = yield deferToThread(client)
        self.assertEqual(heard, b"ABCDE" * 200_000)
        self.assertEqual(version, "TLSv1.3")
        self.assertEqual(self.factory.results, [None])
        yield self.factory.lost

    @inlineCallbacks
    def test_openssl(self):
        """C{openssl s_client}, with all its checks."""
        port = self.listen(["postgresql"])

        def client() -> str:
            command = [
                openssl(), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", self.authority.pem, "-verify_return_error",
                "-verify_hostname", "localhost", "-alpn", "postgresql", "-quiet", "-no_ign_eof",
            ]  # fmt: skip
            return subprocess.run(command, input=b"hello\nQ\n", capture_output=True, timeout=TIMEOUT).stdout.decode()

        yield deferToThread(client)
        yield self.factory.lost
        self.assertEqual(self.factory.results, [None])

    @inlineCallbacks
    def test_plaintext(self):
        """A client that does not speak TLS hears an alert at most, and loses its connection."""
        port = self.listen()

        def client() -> bytes:
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as plain:
                plain.sendall(b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0")
                heard = b""
                while piece := plain.recv(100):
                    heard += piece
                return heard

        heard = yield deferToThread(client)
        self.assertLess(len(heard), 10)
        [failure] = self.factory.results
        failure.trap(ProtocolViolation)
        yield self.factory.lost

    @inlineCallbacks
    def test_silent(self):
        """One that never goes on with its handshake is cut by whoever holds the deadline; the handshake's end is told once."""
        port = self.listen()
        silent = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.addCleanup(silent.close)
        silent.sendall(b"\x16\x03\x01")
        while not hasattr(self.factory, "secured"):
            yield self.turn()
        self.assertEqual(self.factory.results, [])
        doors = [each for each in reactor.getReaders() if getattr(getattr(each, "protocol", None), "_terms", None)]
        self.assertEqual(len(doors), 1)
        doors[0].protocol.abortConnection()
        yield self.factory.lost
        self.assertEqual(len(self.factory.results), 1)
        self.factory.results[0].trap(ProtocolViolation)

    def turn(self) -> Deferred:
        done: Deferred = Deferred()
        reactor.callLater(0, done.callback, None)
        return done


class ConnectTests(Case):
    def peer(self, serve) -> int:
        """A server in a thread: C{serve(connected socket)}, once."""
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(TIMEOUT)

        def run() -> None:
            with listening:
                plain, _ = listening.accept()
            plain.settimeout(TIMEOUT)
            with plain:
                serve(plain)

        port = listening.getsockname()[1]
        done = deferToThread(run)
        self.addCleanup(lambda: done)
        return port

    def connect(self, port: int, **options) -> Deferred:
        target = Target("orders", "postgres", f"tcp:127.0.0.1:{port}", authorities=self.authority.pem, **options)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(lambda: Asking(self.ends, target)))

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    @inlineCallbacks
    def test_verified(self):
        """The target's address stands in its certificate; the certificate is handed on for channel binding."""

        def serve(plain: socket.socket) -> None:
            with self.context().wrap_socket(plain, server_side=True) as tls:
                tls.sendall(tls.recv(100).upper())
                tls.unwrap()

        leg = yield self.connect(self.peer(serve))
        der = yield leg.secured
        with open(self.certificate) as file:
            self.assertEqual(der, ssl.PEM_cert_to_DER_cert(file.read()))
        leg.transport.write(b"hello")
        yield leg.lost
        self.assertEqual((leg.said, leg.halves), (b"HELLO", 1))

    @inlineCallbacks
    def test_wrongName(self):
        def serve(plain: socket.socket) -> None:
            try:
                self.context().wrap_socket(plain, server_side=True).recv(1)
            except OSError:
                pass

        leg = yield self.connect(self.peer(serve), serverName="db.internal")
        error = yield self.assertFailure(leg.secured, TargetFailed)
        self.assertIn('does not bear the name "db.internal"; it bears localhost, 127.0.0.1', str(error))
        reason = yield leg.lost
        self.assertIs(reason, error)

    @inlineCallbacks
    def test_noTLS(self):
        def serve(plain: socket.socket) -> None:
            plain.sendall(b"220 mail.example.com ESMTP\r\n")
            plain.recv(10_000)

        leg = yield self.connect(self.peer(serve))
        error = yield self.assertFailure(leg.secured, TargetFailed)
        self.assertIn("does not speak TLS", str(error))
        yield leg.lost

    @inlineCallbacks
    def test_noAuthorities(self):
        """Nothing is said to a target that could not be verified."""

        def serve(plain: socket.socket) -> None:
            self.heard = plain.recv(100)

        port = self.peer(serve)
        os.unlink(self.authority.pem)
        leg = yield self.connect(port)
        yield self.assertFailure(leg.secured, TargetFailed)
        yield leg.lost
        while not hasattr(self, "heard"):
            yield ServeTests.turn(self)
        self.assertEqual(self.heard, b"")

    @inlineCallbacks
    def test_openssl(self):
        """C{openssl s_server}, TLS 1.2."""
        command = [
            openssl(), "s_server", "-accept", "127.0.0.1:0", "-cert", self.certificate, "-key", self.key, "-tls1_2", "-rev",
            "-naccept", "1",
        ]  # fmt: skip
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        line = b""
        while not line.startswith(b"ACCEPT"):
            line = yield deferToThread(server.stdout.readline)
            self.assertTrue(line, "s_server has ended")
        leg = yield self.connect(int(line.rpartition(b":")[2]))
        yield leg.secured
        leg.transport.write(b"drawer\n")
        while not leg.said.endswith(b"\n"):
            yield ServeTests.turn(self)
        self.assertEqual(leg.said, b"reward\n")
        leg.transport.loseConnection()
        yield leg.lost
        server.stdout.close()
        server.stdin.close()
