"""
Tests of doors, admissions and sessions: a whole gateway of fakes, with the raw protocol.
"""

from types import SimpleNamespace

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.broker import Broker
from hoopx.curator.commands import CuratorFailed
from hoopx.door import ASIDES, LINGER
from hoopx.errors import HoopxError, RecordingFailed, Refusal, TargetFailed, Unauthorized
from hoopx.frames import unpack
from hoopx.interfaces import IConversation, IDoor, ISession
from hoopx.mitm import UNADMITTED_LIMIT, Mitm
from hoopx.protocols.raw.conversation import RawConversation
from hoopx.values import CLIENT, ORIGINAL, TARGET, Account, Claim, Grant, Identity, Reference, Target
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

    def test_maxSessions(self):
        """Who is about to get in takes a place already: however many come at once, no more than the limit get in."""
        self.broker.limits = SimpleNamespace(**{**vars(LIMITS), "maxSessions": 3})
        self.recordings.slow = True
        clients, verified = [], []
        for _ in range(10):
            self.verified = Deferred()
            verified.append(self.verified)
            clients.append(self.connect()[1])
        for one in verified:
            one.callback(self.identity)
        self.assertEqual(len(self.recordings.waiting), 3)
        self.assertEqual([client.half for client in clients], [False] * 3 + [True] * 7)
        self.recordings.release()
        self.assertEqual((len(self.broker.sessions), self.broker.beginning), (3, 0))

    def test_placeOfNoRecording(self):
        """A recording that could not begin takes no place."""
        self.recordings.failure = RecordingFailed("no")
        self.connect()
        self.flushLoggedErrors()
        self.assertEqual(self.broker.beginning, 0)

    def test_drainedMeanwhile(self):
        """A session whose recording began too late for the end of all sessions does not begin."""
        self.recordings.slow = True
        door, client = self.connect()
        self.broker.draining = True
        self.successResultOf(self.broker.endAll("shutdown"))
        self.recordings.release()
        self.assertEqual((self.recordings.opened[0].closed, self.broker.sessions, self.reactor.tcpClients), ("shutdown", {}, []))
        self.assertTrue(client.half)

    def test_grantLostMeanwhile(self):
        """A grant that is gone by the time its session begins lets nobody in."""
        self.recordings.slow = True
        door, client = self.connect()

        class Nothing:
            def admit(self, identity, claim, target):
                raise Refusal("not-found", "there is no such target")

        self.broker.access = Nothing()
        self.recordings.release()
        self.assertEqual((client.half, self.reactor.tcpClients), (True, []))
        self.assertEqual(self.recordings.opened[0].events()[0]["verdict"], "refused")

    def test_undecodable(self):
        """What a client says in no encoding stands in the recording as text that everybody can write: ledger, index, listings."""
        self.refusal = Refusal("not-found", "there is no such target")
        claim = Claim("raw", "x\udcff", "y\udcff", None, "z\udcff", {"run\udcff": "\udcff"}, "10.0.0.1:5")

        class Claiming(RawConversation):
            def begin(self, door):
                door.admit(claim)

        self.mitm.protocol.conversation = Claiming
        self.connect()
        head = unpack(self.recordings.opened[0].frames[0].payload)
        said = [head["target"], head["account"], head["database"], *head["labels"].items()]
        self.assertEqual(said, ["x\\udcff", "y\\udcff", "z\\udcff", ("run\\udcff", "\\udcff")])

    def test_liveTooLate(self):
        """A session that was ended while its target's login went on does not come alive: its deadlines would keep it."""
        door, *_ = self.session()
        door.session.end("killed")
        timers = len(self.reactor.getDelayedCalls())
        self.assertRaises(HoopxError, door.live)
        self.assertEqual(len(self.reactor.getDelayedCalls()), timers)

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

    def test_refusedAndLoud(self):
        """A refused client that goes on sending is cut off."""
        self.verified = fail(Unauthorized())
        door, client = self.connect()
        for _ in range(16):
            door.dataReceived(bytes(64 * 1024))
        self.assertFalse(client.aborted)
        door.dataReceived(b"x")
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
        """
        One that speaks of a session that lives stands in its recording, one that speaks of none in all; not one that speaks of the
        recording's own disk.
        """
        door, client, leg, target, recording = self.session()
        other = self.session()[-1]
        before = len(self.alarmsIn(other))
        name = door.session.id
        self.broker.tell("alarm", alarm="quarantined", why=f"the recording {name} can not be processed")
        self.broker.tell("alarm", alarm="odd", session=name)
        for alarm in ("disk", "recording-failed"):
            self.broker.tell("alarm", alarm=alarm, session=name, why="EIO")
        self.assertEqual(len(self.alarmsIn(other)), before)
        self.broker.tell("alarm", alarm="ledger", why="everybody's")
        self.assertEqual(self.alarmsIn(recording), ["quarantined", "odd", "ledger"])
        self.assertEqual(len(self.alarmsIn(other)), before + 1)
        recording.fail("EIO")
        self.broker.tell("alarm", alarm="odd", session=name)
        self.assertEqual(recording.closed or door.session.ending, "recording-failed")

    def test_halfCloseBeforeTheTarget(self):
        """A client that has said all before its target is there is served like any other."""
        door, client = self.connect()
        door.dataReceived(b"request")
        door.readConnectionLost()
        self.assertFalse(client.disconnecting)
        leg, target = self.answer()
        self.reactor.advance(0)
        self.assertEqual((target.value(), target.half), (b"request", True))
        leg.dataReceived(b"reply")
        self.assertEqual((client.value(), client.disconnecting), (b"reply", False))

    def test_halfCloseOfASlowRecording(self):
        """What a side has said before it closed its direction is sent first, however long it takes to be recorded."""
        door, client, leg, target, recording = self.session()
        recording.slow = True
        door.dataReceived(b"last words")
        door.readConnectionLost()
        leg.dataReceived(b"answer")
        leg.readConnectionLost()
        self.assertEqual((target.value(), target.half, client.value(), client.half), (b"", False, b"", False))
        recording.release(1)
        self.assertEqual((target.value(), target.half, client.half), (b"last words", True, False))
        recording.release()
        self.assertEqual((client.value(), client.half), (b"answer", True))

    def test_halfCloseOfAFailedRecording(self):
        """Nothing is half closed after the end."""
        door, client, leg, target, recording = self.session()
        recording.slow = True
        door.dataReceived(b"last words")
        door.readConnectionLost()
        recording.fail()
        self.flushLoggedErrors()
        self.assertEqual((target.value(), target.half, target.disconnecting), (b"", False, True))

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

    def test_asides(self):
        """However often a client asks for one more connection to its target, few are under way at once."""
        door, *_ = self.session()
        before = len(self.reactor.tcpClients)
        for _ in range(ASIDES + 5):
            door.aside(RawConversation())
        self.assertEqual(len(self.reactor.tcpClients) - before, ASIDES)
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectionDone()))
        self.flushLoggedErrors()
        for _ in range(3):
            door.aside(RawConversation())
        self.assertEqual(len(self.reactor.tcpClients) - before, ASIDES + 1)

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


class Masking(RawConversation):
    """Hides digits of what the target says; can not do so with what has an X in it."""

    def _begin(self, session):
        self._door.live()
        self.lane = session.lane(0, masks=(TARGET,))
        self.targetHandlers = {None: self._mask}

    def _mask(self, raw):
        if b"X" in raw:
            raise ValueError(f"what is this: {raw!r}")
        self.lane.masked(TARGET, bytes(ord("*") if chr(byte).isdigit() else byte for byte in raw), raw)


class MaskedTests(Gateway):
    def setUp(self):
        super().setUp()
        self.mitm.protocol = SimpleNamespace(name="raw", conversation=Masking)

    def test_masked(self):
        door, client, leg, target, recording = self.session()
        recording.keeps = True
        leg.dataReceived(b"card 4111")
        self.assertEqual(client.value(), b"card ****")
        self.assertEqual(recording.received(CLIENT), b"card ****")
        self.assertEqual([frame.payload[::-1] for frame in recording.frames if frame.origin == ORIGINAL], [b"card 4111"])

    def test_failure(self):
        """A mask that fails lets nothing through, and tells nobody what it was about."""
        said = []
        observer = said.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        door, client, leg, target, recording = self.session()
        leg.dataReceived(b"X 4111")
        self.assertEqual((client.value(), recording.closed), (b"", "internal-error"))
        (line,) = [formatEvent(event) + str(event.get("log_failure", "")) for event in said if "fault" in formatEvent(event)]
        self.assertIn("ValueError at ", line)
        self.assertIn("in _mask", line)
        for event in said:
            self.assertNotIn("4111", repr(event) + str(event.get("log_failure", "")))

    def test_elsewhere(self):
        """Other sessions' faults are told in full, as ever."""
        self.mitm.protocol = SimpleNamespace(name="raw", conversation=RawConversation)
        door, client, leg, target, recording = self.session()
        door.session.failed(Failure(ValueError("what is this")))
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertIn("what is this", str(failure))
