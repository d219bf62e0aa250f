"""
The gateway's last word to a client: between two units, never within one, and not reset away.
"""

from struct import pack
from types import SimpleNamespace

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from hoopx.errors import RecordingFailed
from hoopx.mitm import Mitm
from hoopx.protocols.postgres.codec import TARGET_KINDS, MessageCodec
from hoopx.protocols.raw.conversation import RawConversation
from hoopx.values import CLIENT, MADE, TARGET
from tests.test_door import Gateway

WORD = b"<the end>"


def message(kind, size=1):
    return kind + pack(">I", size + 4) + b"x" * size


ROW = message(b"D", 100)
DONE = message(b"C", 5)


class Conversation(RawConversation):
    """The target speaks in messages of PostgreSQL, of which C{Z} is cut out; the gateway has a word for every end."""

    def __init__(self):
        super().__init__()
        self.targetCodec = MessageCodec({b"Z"}, TARGET_KINDS)
        self.targetHandlers = {b"Z": lambda raw: self.lane.forward(TARGET, raw)}

    def end(self, reason, message):
        return WORD


class LastWordTests(Gateway):
    def setUp(self):
        super().setUp()
        self.mitm = Mitm(self.broker, self.mitm.listener, SimpleNamespace(name="raw", conversation=Conversation))

    def ends(self, said, word, recorded=None):
        """The client has C{said}, then the word or not; and its side of the connection stays open until it has closed its own."""
        self.assertEqual(self.client.value(), said + word)
        self.assertEqual((self.client.half, self.client.disconnecting), (True, False))
        self.assertIsNotNone(self.recording.closed)
        if recorded is not None:
            self.assertEqual(self.recording.received(CLIENT), recorded)

    def begin(self):
        self.door, self.client, self.leg, self.server, self.recording = self.session()

    def test_everySplit(self):
        """
        The recording fails at the second of two reads, wherever they were split: the word comes where the first one ended with a
        message, and nowhere else.
        """
        data = ROW + ROW + message(b"Z") + DONE + ROW
        ends = {0, 105, 210, 216, 226, 331}
        for split in range(1, len(data)):
            self.setUp()
            self.begin()
            self.leg.dataReceived(data[:split])
            kept = len(self.client.value())
            self.recording.fail()
            self.leg.dataReceived(data[split:])
            # Headers, and messages that are cut out, are given out whole: the client may stand where they begin.
            self.assertLessEqual(kept, split)
            self.ends(data[:kept], WORD if kept in ends else b"", data[:kept])

    def test_everyUnit(self):
        """The recording fails at one unit of several in a read that began within a message: what was sent ends with one."""
        for failing, said in ((1, b""), (2, ROW[50:]), (3, ROW[50:] + message(b"Z"))):
            self.setUp()
            self.begin()
            self.leg.dataReceived(ROW[:50])
            append, count = self.recording.append, [0]

            def failingAppend(*arguments, append=append, count=count, failing=failing):
                count[0] += 1
                if count[0] == failing:
                    self.recording.fail()
                return append(*arguments)

            self.door.conversation.lane._append = failingAppend
            self.leg.dataReceived(ROW[50:] + message(b"Z") + ROW[:20])
            self.ends(ROW[:50] + said, WORD if said else b"")

    def test_queued(self):
        """What waits for the disk and will never be sent: the word stands where the first of it would have stood."""
        for first, word in ((ROW, WORD), (ROW[:50], b"")):
            self.setUp()
            self.begin()
            self.leg.dataReceived(first)
            self.recording.slow = True
            self.leg.dataReceived(first[50:105] if first is ROW else ROW[50:])
            self.leg.dataReceived(ROW[:10])
            self.recording.fail()
            self.ends(first, word)

    def test_queuedInPart(self):
        """Some of what waited is sent before the rest fails."""
        self.begin()
        self.recording.slow = True
        for part in (ROW[:50], ROW[50:], ROW[:50]):
            self.leg.dataReceived(part)
        self.recording.release(1)
        self.recording.fail()
        self.ends(ROW[:50], b"")
        self.begin()
        self.recording.slow = True
        for part in (ROW[:50], ROW[50:], ROW[:50]):
            self.leg.dataReceived(part)
        self.recording.release(2)
        self.recording.fail()
        self.ends(ROW, WORD)

    def test_askedInVain(self):
        """It is the client's own words that can not be recorded."""
        self.begin()
        self.leg.dataReceived(ROW)
        self.recording.fail()
        self.door.dataReceived(b"a question")
        self.ends(ROW, WORD)
        self.assertEqual(self.server.value(), b"")

    def test_askedInVainWithinAMessage(self):
        self.begin()
        self.leg.dataReceived(ROW[:50])
        self.recording.fail()
        self.door.dataReceived(b"a question")
        self.ends(ROW[:50], b"")

    def test_killed(self):
        """An end for another reason is recorded like everything else."""
        self.begin()
        self.leg.dataReceived(ROW)
        self.door.session.end("killed")
        self.ends(ROW, WORD, ROW + WORD)
        self.assertEqual([frame.origin for frame in self.recording.frames if frame.payload == WORD], [MADE])
        self.begin()
        self.leg.dataReceived(ROW[:50])
        self.door.session.end("killed")
        self.ends(ROW[:50], b"", ROW[:50])

    def test_killedAndUnrecorded(self):
        """The word about an end waits for the disk, and then the disk fails: there is a word all the same, once."""
        self.begin()
        self.recording.slow = True
        self.leg.dataReceived(ROW)
        self.door.session.end("killed")
        self.assertEqual((self.client.value(), self.client.half), (b"", False))
        self.recording.fail()
        self.ends(b"", WORD)
        self.assertEqual(self.recording.closed, "recording-failed")

    def test_targetLeft(self):
        """What the target said last is not reset away either."""
        self.begin()
        self.leg.dataReceived(ROW)
        self.leg.connectionLost(Failure(ConnectionDone()))
        self.ends(ROW, b"", ROW)

    def test_clientLeft(self):
        """A client that has closed its direction waits for nothing more."""
        self.begin()
        self.recording.failure = RecordingFailed("disk full")
        self.door.dataReceived(b"a question")
        self.door.readConnectionLost()
        self.assertTrue(self.client.disconnecting)
