"""
Tests of the lobby: whose address counts, TLS from the first byte, what comes early, what goes wrong.
"""

from __future__ import annotations

import ssl
from types import SimpleNamespace

from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hoopx.broker import Broker
from hoopx.config.settings import ListenerSettings
from hoopx.errors import ProtocolViolation, Refusal, Unauthorized
from hoopx.lobby import EARLY_LIMIT
from hoopx.mitm import Mitm
from hoopx.plugin import ProtocolRecorder
from hoopx.preamble import V2_START
from hoopx.protocols.postgres.conversation import PostgresConversation
from hoopx.protocols.postgres.messages import SSL_REQUEST_PACKET, startup
from hoopx.protocols.raw.conversation import RawConversation
from hoopx.tls.contexts import ServerOptions
from hoopx.tls.ends import Ends
from hoopx.values import Account, Certificate, Grant, Identity, Listener, Target
from tests.doubles import MemoryRecordings
from tests.tls.certificates import Peer, TestAuthority

LIMITS = SimpleNamespace(loginTimeout=10.0, idleTimeout=60.0, maxDuration=600.0, maxSessions=100)
BALANCER = IPv4Address("TCP", "10.1.2.3", 40000)
HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
LOCAL = V2_START + b"\x20\0\0\0"
SECRET_CANCEL = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02"


class Transport(StringTransport):
    aborted = half = False

    def __init__(self, peer, host=None):
        super().__init__(host or IPv4Address("TCP", "10.0.0.1", 15432), peer)

    def setTcpNoDelay(self, enabled):
        pass

    def loseWriteConnection(self):
        """How a door ends that has said something; which way it takes is a matter of its own tests."""
        self.half = self.disconnecting = True

    def abortConnection(self):
        self.aborted = self.disconnecting = True


class House:
    """A gateway of fakes: what was claimed, what failed."""

    def __init__(self, protocol=RawConversation, ends=None, **listener):
        self.reactor = MemoryReactorClock()
        self.recordings = MemoryRecordings()
        self.claims = []
        self.failed = []
        self.verified = succeed(Identity("certificate", "alice", "alice"))
        self.cancelled = []
        name = "raw" if protocol is RawConversation else "postgres"
        target = Target("legacy", name, "tcp:127.0.0.1:4000", tls="off")
        self.broker = Broker(
            clock=self.reactor, limits=LIMITS, identity=self, access=self, targets={"legacy": target}, secrets=self,
            recordings=self.recordings, audit=self, wall=self.reactor.seconds, tls=ends,
            monotonic=lambda: int(self.reactor.seconds() * 1e9),
        )  # fmt: skip
        self.mitm = Mitm(
            self.broker, ListenerSettings(name, "tcp:1", target="legacy", **listener), SimpleNamespace(name=name, conversation=protocol)
        )

    def verify(self, claim):
        self.claims.append(claim)
        return self.verified

    def admit(self, identity, claim, target):
        return Grant("all", Account("default", ""))

    def failedLogin(self, address, protocol):
        self.failed.append(address)

    def connect(self, peer=BALANCER, host=None):
        door = self.mitm.buildProtocol(None)
        transport = Transport(peer, host)
        transport.protocol = door
        door.makeConnection(transport)
        return door, transport


class PreambleTests(SynchronousTestCase):
    def house(self, **listener):
        return House(proxyProtocol=("10.1.0.0/16", "2001:db8:1::/48"), identity="service:batch", **{"requireTLS": False, **listener})

    def test_address(self):
        """The client's address is the one that its balancer gives: in the claim, and so in recording and audit."""
        for pieces in ([HEADER], [HEADER + b"hello"], [HEADER[:3], HEADER[3:9], HEADER[9:] + b"he", b"llo"]):
            house = self.house()
            door, transport = house.connect()
            for piece in pieces:
                self.assertEqual(house.claims if piece == HEADER[:3] else [], [])
                transport.protocol.dataReceived(piece)
            (claim,) = house.claims
            self.assertEqual(claim.address, "192.0.2.7:56324")
            self.assertFalse(transport.disconnecting)

    def test_failedLogin(self):
        """The audit counts for the client, not for the balancer that everybody comes through."""
        house = self.house()
        house.verified = fail(Unauthorized())
        door, transport = house.connect()
        transport.protocol.dataReceived(HEADER)
        self.assertEqual((house.failed, transport.disconnecting), (["192.0.2.7:56324"], True))

    def test_rest(self):
        """What follows in the same read is the client's, and is not lost."""
        house = self.house()
        door, transport = house.connect()
        transport.protocol.dataReceived(HEADER + b"hello ")
        transport.protocol.dataReceived(b"world")
        wrapper = house.reactor.tcpClients[-1][2].buildProtocol(None)
        target = Transport(IPv4Address("TCP", "127.0.0.1", 4000))
        target.protocol = wrapper
        wrapper.makeConnection(target)
        house.reactor.advance(0)
        self.assertEqual(target.value(), b"hello world")

    def test_healthCheck(self):
        """A balancer that speaks for itself comes under its own address."""
        house = self.house()
        door, transport = house.connect()
        transport.protocol.dataReceived(LOCAL)
        self.assertEqual([claim.address for claim in house.claims], ["10.1.2.3:40000"])

    def test_noHeader(self):
        """From such a network a connection without one is refused, at its first wrong byte; nothing is said, nobody is asked."""
        for said in (SSL_REQUEST_PACKET, b"\x16\x03\x01", b"hello", b"PROXY TCP4 300.0.0.1 1.1.1.1 1 1\r\n", b"PROXY " + b"x" * 200):
            house = self.house()
            door, transport = house.connect()
            transport.protocol.dataReceived(said)
            transport.protocol.dataReceived(HEADER)
            self.assertEqual((transport.disconnecting, transport.value(), house.claims), (True, b"", []))
            self.assertEqual(house.recordings.opened, [])

    def test_nobodyToTell(self):
        """Before the header nothing has begun that could say anything: not even a refusal in the listener's protocol."""
        for late in (False, True):
            house = House(PostgresConversation, proxyProtocol=("10.1.0.0/16",), requireTLS=False)
            door, transport = house.connect()
            if late:
                house.reactor.advance(LIMITS.loginTimeout + 1)
            else:
                transport.protocol.dataReceived(SSL_REQUEST_PACKET)
            self.assertEqual((transport.disconnecting, transport.value()), (True, b""))
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_others(self):
        """Of anybody else a header is not believed: it is the client's own bytes."""
        for peer in (IPv4Address("TCP", "10.2.0.1", 1), IPv6Address("TCP", "2001:db8:2::1", 1), UNIXAddress(None)):
            house = self.house()
            house.verified = Deferred()
            door, transport = house.connect(peer)
            self.assertEqual(len(house.claims), 1)
            transport.protocol.dataReceived(HEADER)
            self.assertNotIn("192.0.2.7", door.address + house.claims[0].address)

    def test_families(self):
        """A network counts however its addresses are carried."""
        for host in ("2001:db8:1::9", "::ffff:10.1.9.9"):
            house = self.house()
            door, transport = house.connect(IPv6Address("TCP", host, 1))
            self.assertEqual(house.claims, [])
            transport.protocol.dataReceived(HEADER)
            self.assertEqual(len(house.claims), 1)

    def test_silent(self):
        """The login deadline covers the header; before it there is nobody to tell anything."""
        for said in (b"", HEADER[:20], V2_START):
            house = self.house()
            door, transport = house.connect()
            if said:
                transport.protocol.dataReceived(said)
            house.reactor.advance(LIMITS.loginTimeout + 1)
            self.assertEqual((transport.disconnecting, transport.value()), (True, b""))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_left(self):
        """A balancer's bare connection check leaves nothing behind."""
        house = self.house()
        door, transport = house.connect()
        door.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([call for call in house.reactor.getDelayedCalls() if call.active()], [])

    def test_loopback(self):
        """Behind a balancer nobody is local: whoever is on this machine may be anybody's voice."""
        local = IPv4Address("TCP", "127.0.0.1", 1)
        self.assertTrue(House(identity="service:x").connect(local, local)[0].loopback)
        self.assertFalse(House(identity="service:x").connect(local, IPv4Address("TCP", "10.0.0.1", 1))[0].loopback)
        self.assertFalse(House(identity="service:x").connect(BALANCER, local)[0].loopback)
        house = House(identity="service:x", proxyProtocol=("127.0.0.0/8",))
        door, transport = house.connect(local, local)
        self.assertEqual((door.loopback, door.requireTLS), (False, True))
        transport.protocol.dataReceived(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")
        self.assertEqual((door.loopback, house.claims, transport.disconnecting), (False, [], True))


class DirectTests(SynchronousTestCase):
    """TLS from the first byte, against OpenSSL itself in memory."""

    def setUp(self):
        self.authority = TestAuthority(self.mktemp())
        self.people = TestAuthority(self.mktemp(), "people")
        pair = self.authority.issue("localhost")
        self.tls = Ends(ServerOptions(*pair, clientAuthorities=self.people.pem))

    def peer(self, certificate=None, alpn=None) -> Peer:
        context = ssl.create_default_context(cafile=self.authority.pem)
        if certificate:
            context.load_cert_chain(*certificate)
        if alpn:
            context.set_alpn_protocols([alpn])
        return Peer(context, False, "localhost")

    def shake(self, transport: Transport, peer: Peer, first: bytes = b"") -> None:
        """Carry bytes both ways until both are silent."""
        peer.feed(b"")
        while first or peer.outgoing.pending:
            data, first = first + peer.outgoing.read(), b""
            transport.protocol.dataReceived(data)
            said = transport.value()
            transport.clear()
            peer.feed(said)

    def user(self, **options):
        return self.people.issue(file="alice", common="alice", use=ExtendedKeyUsageOID.CLIENT_AUTH, **options)

    def test_certificate(self):
        """A client certificate is an identity, also of a protocol that has no word for one; with a balancer in front, too."""
        for networks, first in (((), b""), (("10.1.0.0/16",), HEADER)):
            house = House(ends=self.tls, tls=True, proxyProtocol=networks)
            door, transport = house.connect()
            peer = self.peer(self.user())
            self.shake(transport, peer, first)
            (claim,) = house.claims
            self.assertIsInstance(claim.proof, Certificate)
            self.assertEqual(claim.address, "192.0.2.7:56324" if first else "10.1.2.3:40000")
            self.assertTrue(door.secure)

    def test_noCertificate(self):
        """Without one there is the listener's identity, or none: then the connection ends."""
        for identity, proofs in (("service:batch", [Listener("service:batch")]), (None, [])):
            house = House(ends=self.tls, tls=True, identity=identity)
            door, transport = house.connect()
            self.shake(transport, self.peer())
            self.assertEqual([claim.proof for claim in house.claims], proofs)
            self.assertEqual(transport.disconnecting, not proofs)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_foreignCertificate(self):
        """Of another authority: refused in the handshake, even where the listener has an identity of its own."""
        house = House(ends=self.tls, tls=True, identity="service:batch")
        stranger = TestAuthority(self.mktemp(), "strangers").issue(common="alice", use=ExtendedKeyUsageOID.CLIENT_AUTH)
        door, transport = house.connect()
        self.shake(transport, self.peer(stranger))
        self.assertEqual((house.claims, transport.disconnecting), ([], True))

    def test_plain(self):
        """Bytes in the clear never reach a session."""
        house = House(ends=self.tls, tls=True, identity="service:batch")
        door, transport = house.connect()
        transport.protocol.dataReceived(b"hello")
        self.assertEqual((house.claims, transport.disconnecting), ([], True))

    def test_always(self):
        """On loopback, too."""
        local = IPv4Address("TCP", "127.0.0.1", 1)
        door, _ = House(ends=self.tls, tls=True, identity="service:batch").connect(local, local)
        self.assertEqual((door.loopback, door.requireTLS, door.startsTLS), (True, True, True))

    def test_hangs(self):
        """The login deadline covers the handshake."""
        house = House(ends=self.tls, tls=True, identity="service:batch")
        door, transport = house.connect()
        peer = self.peer()
        peer.feed(b"")
        transport.protocol.dataReceived(peer.outgoing.read()[:40])
        house.reactor.advance(LIMITS.loginTimeout + 1)
        self.assertTrue(transport.disconnecting)

    def postgres(self):
        house = House(PostgresConversation, self.tls, tls=True)
        return house, *house.connect()

    def test_postgres(self):
        """Direct TLS with its ALPN; a certificate needs no password."""
        house, door, transport = self.postgres()
        peer = self.peer(self.user(), "postgresql")
        self.shake(transport, peer)
        peer.write(startup(196608, {"user": "app", "database": "legacy"}))
        self.shake(transport, peer)
        self.assertEqual([type(claim.proof) for claim in house.claims], [Certificate])
        self.assertEqual(peer.said, b"")

    def test_postgresAsked(self):
        """Asking for TLS, or not asking, is refused with what to do; a cancel request is let through."""
        for said in (SSL_REQUEST_PACKET, startup(196608, {"user": "app", "database": "legacy"})):
            house, door, transport = self.postgres()
            transport.protocol.dataReceived(said)
            self.assertIn(b"sslnegotiation=direct", transport.value())
            self.assertTrue(transport.disconnecting)
        house, door, transport = self.postgres()
        house.mitm.offers.add((1, b"\0\0\0\x02"), lambda: house.cancelled.append(1))
        transport.protocol.dataReceived(SECRET_CANCEL)
        self.assertEqual((house.cancelled, transport.value()), ([1], b""))


class OauthTests(SynchronousTestCase):
    def test_refused(self):
        """A login by OAUTHBEARER has nobody who could check it: said at once, before any password."""
        house = House(PostgresConversation, requireTLS=False)
        door, transport = house.connect()
        transport.protocol.dataReceived(startup(196608, {"user": "oauth", "database": "legacy"}))
        self.assertTrue(transport.value().startswith(b"E"))
        self.assertIn(b"C0A000\0", transport.value())
        self.assertIn(b"identity provider", transport.value())
        self.assertEqual((transport.disconnecting, house.claims), (True, []))


class EarlyTests(SynchronousTestCase):
    def test_limit(self):
        """So much may come early, and not a byte more."""
        for more, ended in ((0, False), (1, True)):
            house = House(identity="service:batch", requireTLS=False)
            door, transport = house.connect()
            transport.protocol.dataReceived(b"x" * EARLY_LIMIT)
            if more:
                transport.protocol.dataReceived(b"x")
            self.assertEqual(transport.disconnecting, ended)

    def test_secondLogin(self):
        house = House(identity="service:batch", requireTLS=False)
        door, transport = house.connect()
        self.assertRaises(ProtocolViolation, door.admit, house.claims[0])

    def test_fault(self):
        """What nobody thought of refuses, and is in the log."""
        house = House(identity="service:batch", requireTLS=False)
        house.verify = lambda claim: 1 / 0
        door, transport = house.connect()
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_refusedLate(self):
        """A fault of a conversation that waited for something is not lost."""
        house = House(identity="service:batch", requireTLS=False)
        house.verified = Deferred()
        door, transport = house.connect()
        house.verified.errback(Refusal("unavailable", "not now"))
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.flushLoggedErrors(), [])


class ComputeTests(SynchronousTestCase):
    def setUp(self):
        self.house = House(identity="service:batch", requireTLS=False)
        self.asked = []

        def compute(function, *arguments):
            self.asked.append((function, arguments))
            self.computing = Deferred()
            return self.computing

        self.house.broker.compute = compute
        self.door, self.transport = self.house.connect()

    def test_computed(self):
        """By the broker's threads, one at a time."""
        first = self.door.compute(max, 1, 2)
        self.assertRaises(RuntimeError, self.door.compute, max, 1, 2)
        self.computing.callback(2)
        self.assertEqual(self.successResultOf(first), 2)
        second = self.door.compute(min, 1, 2)
        self.computing.errback(Refusal("limit", "too much"))
        self.failureResultOf(second, Refusal)
        self.assertEqual(self.asked, [(max, (1, 2)), (min, (1, 2))])

    def test_left(self):
        """Nothing is computed for a client that has left."""
        first = self.door.compute(max, 1, 2)
        self.door.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(first, CancelledError)

    def test_tooLate(self):
        """Nor for one whose time is over."""
        first = self.door.compute(max, 1, 2)
        self.house.reactor.advance(LIMITS.loginTimeout + 1)
        self.failureResultOf(first, CancelledError)
        self.assertTrue(self.transport.disconnecting)

    def test_unwired(self):
        """Without threads nothing is computed: it would be the reactor's."""
        self.failureResultOf(House().broker.compute(max, 1, 2), Refusal)


class DeclaredTests(SynchronousTestCase):
    def test_factory(self):
        """What the drop-in's factory makes is wired alike."""
        recorder = ProtocolRecorder("raw", "", conversation="hoopx.protocols.raw.conversation.RawConversation", view="")
        made = recorder.serverFactory(House().broker, ListenerSettings("raw", "tcp:1", proxyProtocol=("10.0.0.0/8",)))
        self.assertTrue(made.isProxy(BALANCER))
        self.assertFalse(made.isProxy(IPv4Address("TCP", "11.0.0.1", 1)))
