"""Checkpoints: how often, with whose signatures, and who is told when witnesses are silent or refuse."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.publishing import AGAIN, MISSED, PATIENCE, Publisher, sizeOf
from hoopx.curator.settings import Witness
from hoopx.ledger.leaf import leaf
from hoopx.witness.errors import WitnessRefused
from tests.curator.rig import WALL, ListLedger, scribe

ONE, TWO = Witness("https://one/", "one+k"), Witness("https://two/", "two+k")


class PublisherTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.ledger = ListLedger()
        self.alarms = []
        self.asked = []
        self.published = []
        self.answers = {}

    def publisher(self, *witnesses, quorum=0):
        self.scribe = scribe(self.ledger)
        publisher = Publisher(
            self.scribe, self.clock, lambda: WALL, lambda alarm, text: self.alarms.append(alarm), witnesses, quorum, self.submit,
            lambda size, note: self.published.append(size),
        )  # fmt: skip
        self.scribe.told = publisher.told
        return publisher

    def submit(self, url, vkey, note, proofFor, old):
        self.asked.append((url, old, self.successResultOf(proofFor(old))))
        answer = self.answers.get(url, b"- cosigned by " + url.encode())
        return fail(answer) if isinstance(answer, Exception) else answer if isinstance(answer, Deferred) else succeed(answer)

    def leaves(self, count=1):
        for _ in range(count):
            self.scribe.append([leaf("audit", WALL, audit=f"{self.ledger.size:064x}")])

    def test_onceASecond(self):
        self.publisher()
        self.leaves(3)
        self.assertEqual(self.ledger.signed, 0)
        self.clock.advance(0)
        self.assertEqual((self.ledger.signed, self.published), (1, [3]))
        self.leaves(2)
        self.clock.advance(0.9)
        self.assertEqual(self.ledger.signed, 1)
        self.clock.advance(0.1)
        self.assertEqual((self.ledger.signed, self.published), (2, [3, 5]))
        self.clock.pump([1] * 100)
        self.assertEqual(self.ledger.signed, 2)  # nothing new, nothing signed

    def test_witnessed(self):
        publisher = self.publisher(ONE, TWO, quorum=2)
        self.leaves(3)
        self.clock.advance(0)
        self.assertEqual(self.asked, [("https://one/", 0, [b"0-3"]), ("https://two/", 0, [b"0-3"])])
        self.assertTrue(self.ledger.published.endswith(b"- cosigned by https://one/\n- cosigned by https://two/\n"))
        self.assertEqual(sizeOf(self.ledger.published), 3)
        self.leaves(1)
        self.clock.advance(1)
        self.assertEqual(self.asked[2:], [("https://one/", 3, [b"3-4"]), ("https://two/", 3, [b"3-4"])])
        self.assertEqual([each["size"] for each in publisher.status()["witnesses"]], [4, 4])

    def test_quorum(self):
        """One of two is enough when that is said; below it, asked again, and an alarm once it lasts."""
        publisher = self.publisher(ONE, TWO, quorum=1)
        self.answers[TWO.url] = RuntimeError("connection refused")
        self.leaves(1)
        self.clock.advance(0)
        self.assertEqual(self.published, [1])
        self.answers[ONE.url] = RuntimeError("connection refused")
        self.leaves(1)
        self.clock.advance(1)
        count = len(self.asked)
        self.clock.advance(AGAIN - 1)
        self.assertEqual(len(self.asked), count)
        self.clock.advance(1)
        self.assertEqual(len(self.asked), count + 2)
        self.assertEqual(self.alarms, [])
        self.clock.pump([1] * int(2 * MISSED))
        self.assertEqual(self.alarms, ["witness-quorum"])
        self.assertEqual(publisher.status()["published"], 1)
        del self.answers[ONE.url]
        self.clock.advance(AGAIN)
        self.assertEqual(self.published, [1, 2])

    def test_refused(self):
        """A fork or rollback is told at once, once."""
        self.publisher(ONE, quorum=1)
        self.answers[ONE.url] = WitnessRefused("rollback", ONE.url, "it has witnessed 900 leaves, and the ledger has 1")
        self.leaves(1)
        self.clock.advance(0)
        self.assertEqual(self.alarms, ["witness-refused"])
        self.clock.pump([1] * 30)
        self.assertEqual(self.alarms, ["witness-refused"])
        self.assertEqual(self.published, [])

    def test_silent(self):
        """A witness that never answers keeps the others' signatures for so long and no longer."""
        self.publisher(ONE, TWO, quorum=1)
        cancelled = []
        self.answers[TWO.url] = Deferred(lambda _: cancelled.append(True))
        self.leaves(1)
        self.clock.advance(0)
        self.assertEqual(self.published, [])
        self.clock.advance(PATIENCE)
        self.assertEqual((self.published, cancelled), ([1], [True]))

    def test_diskFails(self):
        self.publisher()
        self.leaves(1)
        self.ledger.failure = OSError(28, "No space left on device")
        self.clock.advance(0)
        self.assertEqual(self.alarms, ["checkpoint"])
        self.ledger.failure = None
        self.clock.advance(AGAIN)
        self.assertEqual(self.published, [1])

    def test_finish(self):
        publisher = self.publisher()
        self.leaves(1)
        self.clock.advance(0)
        self.leaves(1)
        self.successResultOf(publisher.finish())
        self.assertEqual(self.published, [1, 2])
        self.leaves(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
