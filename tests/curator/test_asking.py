"""Questions wait for the curator, for a while, and survive its death."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.asking import PATIENCE, WAITING, Openings
from hoopx.curator.commands import Audit, CuratorFailed


class Peer:
    def __init__(self):
        self.asked = []

    def callRemote(self, command, **fields):
        answer = Deferred()
        self.asked.append((fields["audit"], answer))
        return answer


class OpeningsTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.said = []
        self.openings = Openings(self.clock, lambda alarm, text: self.said.append(text))
        self.peer = Peer()

    def ask(self, audit="a"):
        return self.openings.add(Audit, audit=audit)

    def test_answered(self):
        self.openings.use(self.peer)
        asked = self.ask()
        self.peer.asked[0][1].callback({"index": 7})
        self.assertEqual(self.successResultOf(asked), 7)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits(self):
        """Before the curator is there, and over its death."""
        asked = self.ask()
        self.clock.advance(PATIENCE / 3)
        self.openings.use(self.peer)
        self.peer.asked[0][1].errback(Failure(ConnectionDone()))
        self.openings.lose()
        self.clock.advance(PATIENCE / 3)
        self.assertNoResult(asked)
        again = Peer()
        self.openings.use(again)
        again.asked[0][1].callback({"index": 1})
        self.assertEqual(self.successResultOf(asked), 1)
        self.assertEqual(self.said, [])

    def test_tooLong(self):
        asked = self.ask()
        self.openings.use(self.peer)
        self.clock.advance(PATIENCE)
        self.failureResultOf(asked, CuratorFailed)
        self.assertEqual(len(self.said), 1)
        self.peer.asked[0][1].callback({"index": 1})  # late: nobody waits any more

    def test_refused(self):
        self.openings.use(self.peer)
        asked = self.ask()
        self.peer.asked[0][1].errback(Failure(CuratorFailed("the ledger can not be written")))
        self.failureResultOf(asked, CuratorFailed)
        self.assertEqual(self.said, ["the ledger can not be written"])

    def test_cancelled(self):
        self.openings.use(self.peer)
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.peer.asked[0][1].callback({"index": 1})

    def test_bound(self):
        waiting = [self.ask() for _ in range(WAITING)]
        self.failureResultOf(self.ask(), CuratorFailed)
        self.openings.stop()
        for each in waiting:
            self.failureResultOf(each, CuratorFailed)
        self.failureResultOf(self.ask(), CuratorFailed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
