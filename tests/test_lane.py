"""
Tests of lanes: recorded before sent, held in order, refused on any doubt.
"""

from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import RecordingFailed
from hoopx.interfaces import ILane
from hoopx.lane import HELD_LIMIT, REPEAT, UNSAFE_LIMIT, Lane
from hoopx.values import ALLOW, ATTEMPTED, CLIENT, HOLD, MADE, ORIGINAL, TARGET, Command, block
from tests.doubles import MemoryRecording


class Flow:
    """A door's part: pauses, and a conversation that says what it is told."""

    def __init__(self):
        self.said = []
        self.conversation = self

    def pauseBoth(self, reason):
        self.said.append(("pause", reason))

    def resumeBoth(self, reason):
        self.said.append(("resume", reason))

    def pauseClient(self, reason):
        self.said.append(("pauseClient", reason))

    def resumeClient(self, reason):
        self.said.append(("resumeClient", reason))

    def refuse(self, lane, command, verdict):
        self.said.append(("refuse", command.text, verdict.reason))

    def waiting(self, lane, approval):
        self.said.append("waiting")


class Base(SynchronousTestCase):
    masks: tuple = ()

    def setUp(self):
        self.clock = Clock()
        self.recording = MemoryRecording()
        self.flow = Flow()
        self.sent = []
        self.failures = []
        self.answer = Deferred()
        self.verdict = ALLOW
        broker = SimpleNamespace(
            clock=self.clock, wall=lambda: 0.0, newId=lambda: "A1", tell=lambda kind, **fields: None, policy=self, approver=self
        )
        self.session = SimpleNamespace(
            broker=broker, recording=self.recording, id="S", identity=None, target=SimpleNamespace(name="t"), dead=False,
            ending=None, unsafe=0, recordingFailed=self.failures.append, failed=self.failures.append,
            note=lambda kind, **fields: self.recording.note(kind, **fields),
        )  # fmt: skip
        out = (None, lambda data: self.send(b">" + data), lambda data: self.send(b"<" + data))
        self.lane = Lane(self.session, 0, out, self.flow, self.masks)

    def send(self, data):
        self.sent.append((data, len(self.recording.frames)))

    def judge(self, command, session):
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    def request(self, approval):
        return self.answer

    def submit(self, text):
        self.lane.submit(text, Command(0, 0, "sql", text.decode()), lambda raw: self.lane.forward(CLIENT, raw))


class LaneTests(Base):
    def test_interface(self):
        verifyObject(ILane, self.lane)

    def test_recordedFirst(self):
        before = len(self.recording.frames)
        self.lane.forward(CLIENT, b"a")
        self.lane.forward(TARGET, b"b")
        self.assertEqual(self.sent, [(b">a", before + 1), (b"<b", before + 2)])

    def test_unrecordedIsUnsent(self):
        self.recording.failure = RecordingFailed("disk full")
        self.assertRaises(RecordingFailed, self.lane.forward, CLIENT, b"a")
        self.assertEqual(self.sent, [])

    def test_slowRecording(self):
        """Nothing leaves before it is safe; what comes later waits its turn; both sides are paused at the limit."""
        self.recording.slow = True
        self.lane.forward(CLIENT, b"a")
        self.lane.forward(TARGET, b"b" * UNSAFE_LIMIT)
        self.assertEqual((self.sent, self.flow.said), ([], [("pause", "recording")]))
        self.recording.release()
        self.assertEqual([data[:2] for data, _ in self.sent], [b">a", b"<b"])
        self.assertEqual(self.flow.said[-1], ("resume", "recording"))

    def test_failsWhileWaiting(self):
        self.recording.slow = True
        self.lane.forward(CLIENT, b"a")
        self.recording.fail()
        self.assertEqual((self.sent, len(self.failures)), ([], 1))
        self.failures[0].trap(RecordingFailed)

    def test_blocked(self):
        self.verdict = block("no", "rule")
        self.submit(b"x")
        self.assertEqual((self.sent, self.flow.said), ([], [("refuse", "x", "no")]))
        self.assertEqual(self.recording.sent(CLIENT), b"x")
        self.assertEqual(self.recording.received(TARGET), b"")

    def test_anythingElseRefuses(self):
        for verdict in (None, True, "ALLOW", RuntimeError("broken")):
            self.verdict = verdict
            self.submit(b"x")
        self.assertEqual([said[0] for said in self.flow.said], ["refuse"] * 4)
        self.assertEqual(self.sent, [])
        self.flushLoggedErrors(RuntimeError)

    def test_holdAndRelease(self):
        """Only success releases, and in order; the other direction flows on."""
        self.verdict = HOLD
        self.submit(b"x")
        self.assertTrue(self.lane.held)
        self.lane.later(None, b"y")
        self.lane.forward(TARGET, b"z")
        self.clock.advance(REPEAT)
        self.answer.callback(ALLOW)
        self.assertEqual([data for data, _ in self.sent], [b"<z", b">x", b">y"])
        self.assertEqual(self.flow.said, ["waiting", "waiting", ("resumeClient", "hold")])
        self.assertFalse(self.lane.held)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failureDoesNotRelease(self):
        self.verdict = HOLD
        self.submit(b"x")
        self.answer.errback(RuntimeError("no answer"))
        self.assertEqual([data for data, _ in self.sent], [])
        self.assertEqual(self.flow.said[1][0], "refuse")
        self.flushLoggedErrors(RuntimeError)

    def test_heldClientIsPausedAtTheLimit(self):
        self.verdict = HOLD
        self.submit(b"x")
        self.lane.later(None, b"y" * HELD_LIMIT)
        self.assertNotIn(("pauseClient", "hold"), self.flow.said)
        self.lane.later(None, b"y")
        self.assertIn(("pauseClient", "hold"), self.flow.said)

    def test_withdraw(self):
        self.assertFalse(self.lane.withdraw("nothing is held"))
        self.verdict = HOLD
        self.submit(b"x")
        self.assertTrue(self.lane.withdraw("given up"))
        self.assertEqual((self.sent, self.flow.said[1]), ([], ("refuse", "x", "given up")))

    def test_abandon(self):
        """The end of the session takes a held command along, and records it as attempted."""
        self.verdict = HOLD
        self.submit(b"x")
        self.lane.later(None, b"y")
        self.session.ending = "client-left"
        self.lane.abandon()
        self.assertEqual((self.sent, self.recording.sent(CLIENT)), ([], b"xy"))
        self.assertEqual(self.clock.getDelayedCalls(), [])


def kept(data):
    """As L{MemoryRecording} turns it around."""
    return data[::-1]


class MaskedTests(Base):
    masks = (TARGET,)

    def setUp(self):
        super().setUp()
        self.recording.keeps = True

    def origins(self):
        return [(frame.side, frame.origin, frame.payload) for frame in self.recording.frames[1:]]

    def test_recordedFirst(self):
        """Both are there before a byte leaves: what was sent, and what it was, in this order of certainty."""
        self.lane.masked(TARGET, b"c***", b"card")
        self.assertEqual(self.sent, [(b"<c***", 3)])
        self.assertEqual(self.origins(), [(TARGET, ORIGINAL, kept(b"card")), (TARGET, MADE, b"c***")])
        self.assertEqual(self.lane.last, TARGET)

    def test_notKept(self):
        """Without the setting the original is in no recording."""
        self.recording.keeps = False
        self.lane.masked(TARGET, b"c***", b"card")
        self.assertEqual((self.sent, self.origins()), ([(b"<c***", 2)], [(TARGET, MADE, b"c***")]))

    def test_keptBack(self):
        """Nothing is left of it: nothing is sent, and that is recorded."""
        self.lane.masked(TARGET, b"", b"card")
        self.assertEqual((self.sent, self.origins()), ([], [(TARGET, ORIGINAL, kept(b"card")), (TARGET, MADE, b"")]))

    def test_undeclared(self):
        """Who has not said that a side is masked would have its torn units recorded in plain: found at the first try."""
        self.assertRaises(ValueError, self.lane.masked, CLIENT, b"x", b"y")
        self.assertEqual((self.sent, self.origins()), ([], []))

    def test_unsealedIsUnsent(self):
        """The original can not be recorded, or not be sealed: nothing leaves."""

        def broken(channel, side, payload):
            raise failure

        for failure in (RecordingFailed("disk full"), RuntimeError("no cipher")):
            self.recording.seal = broken
            self.assertRaises(type(failure), self.lane.masked, TARGET, b"c***", b"card")
            self.assertRaises(type(failure), self.lane.attempt, TARGET, b"card")
        self.assertEqual((self.sent, self.origins()), ([], []))

    def test_noSeal(self):
        """An embedder's recordings that know of no originals: nothing leaves."""
        self.session.recording = SimpleNamespace(append=self.recording.append)
        self.assertRaises(AttributeError, self.lane.masked, TARGET, b"c***", b"card")
        self.assertEqual((self.sent, self.origins()), ([], []))

    def test_unrecordedIsUnsent(self):
        """The original is recorded, what is sent can not be."""
        append = self.recording.append

        def once(*arguments):
            self.recording.failure = self.recording.failure or (RecordingFailed("disk full") if self.origins() else None)
            return append(*arguments)

        self.recording.append = self.lane._append = once
        self.assertRaises(RecordingFailed, self.lane.masked, TARGET, b"c***", b"card")
        self.assertEqual((self.sent, self.origins()), ([], [(TARGET, ORIGINAL, kept(b"card"))]))

    def test_slowRecording(self):
        """Nothing leaves before original and replacement are safe, in order, and the original counts for the limit."""
        self.recording.slow = True
        self.lane.masked(TARGET, b"*", b"x" * UNSAFE_LIMIT)
        self.assertEqual((self.sent, self.flow.said), ([], [("pause", "recording")]))
        self.lane.forward(TARGET, b"after")
        self.lane.masked(TARGET, b"", b"kept back")
        done = []
        self.lane.after(lambda: done.append(len(self.sent)))
        self.recording.release(1)
        self.assertEqual(self.sent, [])
        self.recording.release()
        self.assertEqual([data for data, _ in self.sent], [b"<*", b"<after"])
        self.assertEqual((self.lane.unsafe, done), (0, [2]))
        self.assertEqual(self.flow.said[-1], ("resume", "recording"))

    def test_failsWhileWaiting(self):
        self.recording.slow = True
        self.lane.masked(TARGET, b"*", b"card")
        self.recording.fail()
        self.assertEqual(self.sent, [])
        for failure in self.failures:
            failure.trap(RecordingFailed)
        self.assertTrue(self.failures)

    def test_attempted(self):
        """What never became a unit might be what is hidden; of the side that is not masked it is recorded as ever."""
        self.lane.attempt(TARGET, b"car")
        self.lane.attempt(CLIENT, b"GE")
        expected = [(TARGET, ORIGINAL, kept(b"car")), (TARGET, ATTEMPTED, b""), (CLIENT, ATTEMPTED, b"GE")]
        self.assertEqual((self.sent, self.origins()), ([], expected))

    def test_attemptedNotKept(self):
        self.recording.keeps = False
        self.lane.attempt(TARGET, b"car")
        self.assertEqual(self.origins(), [(TARGET, ATTEMPTED, b"")])

    def test_attemptFails(self):
        """While the disk is waited for; told once it has failed."""
        self.recording.slow = True
        self.lane.attempt(TARGET, b"car")
        self.recording.fail()
        self.assertTrue(self.failures)

    def test_faults(self):
        """A policy or an approver that fails may say what the command was: that is in no log."""
        said = []
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        globalLogPublisher.addObserver(said.append)
        self.verdict = ValueError("no number: 'card'")
        self.submit(b"card")
        self.verdict = HOLD
        self.submit(b"card")
        self.answer.errback(ValueError("no number: 'card'"))
        self.patch(self, "request", lambda approval: int("card"))
        self.submit(b"card")
        self.assertEqual(len(said), 3)
        for event in said:
            self.assertIn("ValueError at ", formatEvent(event))
            self.assertNotIn("card", repr(event))

    def test_whole(self):
        """Whether the gateway's own words may follow is asked of the unit as it came, not of what was made of it."""
        self.flow.targetCodec = SimpleNamespace(wasAtBoundary=False, atBoundary=True)
        raw = b"card"
        self.lane.units = [(None, raw)]
        self.recording.slow = True
        self.lane.masked(TARGET, b"c***", raw)
        self.assertFalse(self.lane.speakable(True))
        self.recording.release()
