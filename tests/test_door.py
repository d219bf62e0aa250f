"""
Tests of doors, admissions and sessions: a whole gateway of fakes, with the raw protocol.
"""

from types import SimpleNamespace

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.broker import Broker
from hoopx.curator.commands import CuratorFailed
from hoopx.door import LINGER
from hoopx.errors import RecordingFailed, Refusal, TargetFailed, Unauthorized
from hoopx.interfaces import IConversation, IDoor, ISession
from hoopx.mitm import UNADMITTED_LIMIT, Mitm
from hoopx.protocols.raw.conversation import RawConversation
from hoopx.values import CLIENT, TARGET, Account, Grant, Identity, Reference, Target
from tests.doubles import MemoryRecordings

LIMITS = SimpleNamespace(loginTimeout=10.0, idleTimeout=60.0, maxDuration=600.0, maxSessions=100)


class Transport(StringTransport):
    aborted = half = False

    def __init__(self):
        super().__init__(IPv4Address("TCP", "127.0.0.1", 9000), IPv4Address("TCP", "127.0.0.1", 50000))

    def setTcpNoDelay(self, enabled):
        pass

    def loseWriteConnection(self):
        self.half = True

    def abortConnection(self):
        self.aborted = self.disconnecting = True


class Gateway(SynchronousTestCase):
    """A gateway of fakes, and both ends of its connections."""

    def setUp(self):
        self.reactor = MemoryReactorClock()
        self.recordings = MemoryRecordings()
        self.identity = Identity("listener", "service:batch", "service:batch", kind="service")
        self.verified = None
        self.target = Target("legacy", "raw", "tcp:127.0.0.1:4000", tls="off")
        self.refusal = None
        self.failedLogins = []
        self.told = []
        self.broker = Broker(
            clock=self.reactor, limits=LIMITS, identity=self, access=self, targets={"legacy": self.target}, secrets=self,
            recordings=self.recordings, audit=self, sinks=(self,), wall=self.reactor.seconds,
            monotonic=lambda: int(self.reactor.seconds() * 1e9),
        )  # fmt: skip
        listener = SimpleNamespace(identity="service:batch", target="legacy", requireTLS=None, tls=False, proxyProtocol=())
        protocol = SimpleNamespace(name="raw", conversation=RawConversation)
        self.mitm = Mitm(self.broker, listener, protocol)

    # The broker's parts.

    def verify(self, claim):
        return succeed(self.identity) if self.verified is None else self.verified

    def admit(self, identity, claim, target):
        if self.refusal is not None:
            raise self.refusal
        return Grant("all", Account("default", ""))

    def failedLogin(self, address, protocol):
        self.failedLogins.append(protocol)

    def emit(self, kind, fields):
        self.told.append((kind, fields.get("reason")))

    # Both ends.

    def connect(self):
        door = self.mitm.buildProtocol(None)
        client = Transport()
        door.makeConnection(client)
        return door, client

    def answer(self):
        """The target accepts."""
        factory = self.reactor.tcpClients[-1][2]
        wrapper = factory.buildProtocol(None)
        transport = Transport()
        transport.protocol = wrapper
        wrapper.makeConnection(transport)
        self.reactor.advance(0)
        return transport.protocol, transport

    def session(self):
        door, client = self.connect()
        leg, target = self.answer()
        self.reactor.advance(0)
        return door, client, leg, target, self.recordings.opened[-1]


class DoorTests(Gateway):
    def test_interfaces(self):
        door, *_ = self.session()
        verifyObject(IDoor, door)
        verifyObject(ISession, door.session)
        verifyObject(IConversation, door.conversation)

    def test_relay(self):
        """Bytes pass both ways, and stand in the recording as they were said."""
        door, client, leg, target, recording = self.session()
        door.dataReceived(b"hello")
        leg.dataReceived(b"world")
        self.assertEqual((target.value(), client.value()), (b"hello", b"world"))
        self.assertEqual((recording.sent(CLIENT), recording.sent(TARGET)), (b"hello", b"world"))
        self.assertEqual([event["event"] for event in recording.events()], ["policy", "credential", "connect", "connected"])

    def test_earlyBytes(self):
        """What the client says before its target is there comes first, in order."""
        door, client = self.connect()
        door.dataReceived(b"one ")
        _, target = self.answer()
        self.reactor.advance(0)
        door.dataReceived(b"two")
        self.assertEqual(target.value(), b"one two")

    def test_tooMuchTooEarly(self):
        door, client = self.connect()
        door.dataReceived(b"x" * 70000)
        self.assertTrue(client.half)
        self.assertEqual(self.recordings.opened[-1].closed, "violation")

    def test_recordingFails(self):
        """What can not be recorded is not forwarded; this session ends, the others go on."""
        door, client, leg, target, recording = self.session()
        other, _, _, otherTarget, _ = self.session()
        recording.fail()
        door.dataReceived(b"secret")
        self.assertEqual((target.value(), client.half, target.disconnecting), (b"", True, True))
        other.dataReceived(b"fine")
        self.assertEqual(otherTarget.value(), b"fine")
        self.assertIn(("alarm", None), self.told)
        self.assertEqual(recording.closed, "recording-failed")

    def test_slowRecording(self):
        """Bytes wait until they are safe, and are delivered even when the target has left meanwhile."""
        door, client, leg, target, recording = self.session()
        recording.slow = True
        leg.dataReceived(b"last words")
        leg.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((client.value(), client.half), (b"", False))
        recording.release()
        self.assertEqual((client.value(), client.half, recording.closed), (b"last words", True, "target-left"))

    def test_noRecordingNoSession(self):
        self.recordings.trouble = "the disk is full"
        door, client = self.connect()
        self.assertTrue(client.half)
        self.assertEqual(self.reactor.tcpClients, [])

    def test_recordingCanNotBegin(self):
        self.recordings.failure = RecordingFailed("I/O error")
        door, client = self.connect()
        self.assertTrue(client.half)
        self.assertEqual(self.reactor.tcpClients, [])

    # The leaf of the opening.

    def ledger(self):
        """A ledger that answers when the test says so."""
        opened = []

        def open(recording):
            opened.append((recording, Deferred()))
            return opened[-1][1]

        self.broker.ledger = SimpleNamespace(opened=open)
        return opened

    def test_leafBeforeConnecting(self):
        """Nothing connects to the target before the opening is in the ledger."""
        opened = self.ledger()
        door, client = self.connect()
        door.dataReceived(b"hello")
        self.assertIs(opened[0][0], self.recordings.opened[0])
        self.assertEqual(self.reactor.tcpClients, [])
        opened[0][1].callback(7)
        leg, target = self.answer()
        self.reactor.advance(0)
        self.assertEqual(target.value(), b"hello")

    def test_credentialMeanwhile(self):
        """The credential is fetched while the ledger writes."""
        opened, fetched = self.ledger(), []
        self.fetch = lambda reference, identity, target: fetched.append(reference) or Deferred()
        self.admit = lambda identity, claim, target: Grant("all", Account("default", "", {"password": Reference("file", "/pw")}))
        self.connect()
        self.assertEqual((len(opened), fetched), (1, [Reference("file", "/pw")]))
        opened[0][1].callback(7)
        self.assertEqual(self.reactor.tcpClients, [])

    def test_noLeafNoSession(self):
        """The ledger can not be written: the client is refused, the target never hears of it."""
        opened = self.ledger()
        door, client = self.connect()
        opened[0][1].errback(CuratorFailed("the curator has not answered within 5 s"))
        self.assertEqual(self.reactor.tcpClients, [])
        self.assertTrue(client.half)
        recording = self.recordings.opened[0]
        self.assertEqual(recording.closed, "refused")
        self.assertIn(("refused", "unrecordable"), [(each["event"], each.get("code")) for each in recording.events()])
        self.assertIn(("alarm", None), self.told)

    def test_credentialFails(self):
        """Nobody waits for the leaf any more."""
        cancelled = []
        self.broker.ledger = SimpleNamespace(opened=lambda recording: Deferred(lambda _: cancelled.append(True)))
        self.fetch = lambda reference, identity, target: fail(TargetFailed("no such file"))
        self.admit = lambda identity, claim, target: Grant("all", Account("default", "", {"password": Reference("file", "/pw")}))
        door, client = self.connect()
        self.assertEqual((cancelled, client.half), ([True], True))

    def test_leftWhileLogging(self):
        opened = self.ledger()
        door, client = self.connect()
        door.connectionLost(Failure(ConnectionDone()))
        opened[0][1].callback(7)
        self.assertEqual(self.reactor.tcpClients, [])
        self.assertEqual(self.recordings.opened[0].closed, "client-left")

    def test_refusedHasNoLeaf(self):
        """What the policy refuses never connects: HEAD without a leaf says so."""
        opened = self.ledger()
        self.refusal = Refusal("not-found", "no")
        self.connect()
        self.assertEqual(opened, [])

    def test_unauthorized(self):
        """A failed login has no recording; it is counted."""
        self.verified = fail(Unauthorized())
        door, client = self.connect()
        self.assertEqual((client.half, self.recordings.opened, self.failedLogins), (True, [], ["raw"]))

    def test_refused(self):
        """An identified client that is refused has a recording that says so, and nobody is connected to."""
        self.refusal = Refusal("not-found", "there is no such target")
        door, client = self.connect()
        self.assertEqual((client.half, self.reactor.tcpClients), (True, []))
        self.assertEqual(self.recordings.opened[0].closed, "refused")
        self.assertEqual(self.recordings.opened[0].events()[-1]["code"], "not-found")

    def test_leftBeforeAdmission(self):
        """A client that leaves while its recording begins leaves nothing open."""
        self.recordings.slow = True
        door, client = self.connect()
        door.connectionLost(Failure(ConnectionDone()))
        self.recordings.release()
        self.assertEqual((self.recordings.opened[0].closed, self.reactor.tcpClients), ("client-left", []))

    def test_leftBeforeVerification(self):
        self.verified = Deferred()
        door, client = self.connect()
        door.connectionLost(Failure(ConnectionDone()))
        self.verified.callback(self.identity)
        self.assertEqual(self.recordings.opened, [])

    def test_targetHangs(self):
        door, client = self.connect()
        self.reactor.advance(LIMITS.loginTimeout + 1)
        self.assertTrue(client.half)
        self.assertEqual(self.recordings.opened[0].closed, "target-failed")

    def test_silence(self):
        """Connections that say nothing are dropped, the oldest first."""
        self.verified = Deferred()
        first, client = self.connect()
        for _ in range(UNADMITTED_LIMIT):
            self.mitm.buildProtocol(None)
        self.assertTrue(client.aborted)

    def test_refusedAndSilent(self):
        """A refused client that does not close its side counts among the silent ones."""
        self.verified = fail(Unauthorized())
        first, client = self.connect()
        self.verified = Deferred()
        for _ in range(UNADMITTED_LIMIT):
            self.mitm.buildProtocol(None)
        self.assertTrue(client.aborted)

    def test_refusedAndDeaf(self):
        """It is cut off in the end."""
        self.verified = fail(Unauthorized())
        _, client = self.connect()
        self.assertFalse(client.aborted)
        self.reactor.advance(LINGER + 1)
        self.assertTrue(client.aborted)

    def test_halfClose(self):
        door, client, leg, target, recording = self.session()
        door.readConnectionLost()
        leg.dataReceived(b"the answer")
        self.assertTrue(target.half)
        self.assertEqual(client.value(), b"the answer")

    def alarmsIn(self, recording):
        return [event["alarm"] for event in recording.events() if event["event"] == "alarm"]

    def test_alarms(self):
        """One that speaks of a session that lives stands in its recording; not one that speaks of the recording's own disk."""
        door, client, leg, target, recording = self.session()
        other = self.session()[-1]
        before = len(self.alarmsIn(other))
        name = door.session.id
        self.broker.tell("alarm", alarm="quarantined", why=f"the recording {name} can not be processed")
        self.broker.tell("alarm", alarm="odd", session=name)
        for alarm in ("disk", "recording-failed"):
            self.broker.tell("alarm", alarm=alarm, session=name, why="EIO")
        self.broker.tell("alarm", alarm="ledger", why="nobody's")
        self.assertEqual(self.alarmsIn(recording), ["quarantined", "odd"])
        self.assertEqual(len(self.alarmsIn(other)), before)
        recording.fail("EIO")
        self.broker.tell("alarm", alarm="odd", session=name)
        self.assertEqual(recording.closed or door.session.ending, "recording-failed")

    def test_idle(self):
        door, client, leg, target, recording = self.session()
        leg.dataReceived(b"x")
        recording.lastActivity = int(self.reactor.seconds() * 1e9)
        for _ in range(70):
            self.reactor.advance(1)
        self.assertEqual(recording.closed, "idle")

    def test_waitingIsNotIdle(self):
        """A client that waits for its answer is not idle."""
        door, client, leg, target, recording = self.session()
        door.dataReceived(b"a long question")
        for _ in range(130):
            self.reactor.advance(1)
        self.assertIsNone(recording.closed)

    def test_maximum(self):
        door, client, leg, target, recording = self.session()
        door.dataReceived(b"x")
        for _ in range(602):
            self.reactor.advance(1)
        self.assertEqual(recording.closed, "deadline")

    def test_lingering(self):
        """A peer that does not take in what was said is cut off in the end."""
        door, client, leg, target, recording = self.session()
        door.session.end("killed")
        self.assertFalse(client.aborted)
        self.reactor.advance(31)
        self.assertTrue(client.aborted)

    def test_endAll(self):
        done = []
        door, client, leg, target, recording = self.session()
        self.broker.endAll("shutdown").addCallback(lambda _: done.append(recording.closed))
        self.assertEqual((done, self.broker.sessions), (["shutdown"], {}))

    def test_protocolsAreNotMixed(self):
        """A target of another protocol is unknown here."""
        seen = []
        self.admit = lambda identity, claim, target: seen.append(target) or Grant("all", Account("default", ""))
        self.broker.access = SimpleNamespace(admit=self.admit)
        self.broker.targets = {"legacy": Target("legacy", "postgres", "tcp:127.0.0.1:5432")}
        self.connect()
        self.assertEqual(seen, [None])
