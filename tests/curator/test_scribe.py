"""The ledger's writer: whoever waits shares one write; a failure reaches them all, and the next write opens the ledger anew."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.scribe import WAITING, Scribe
from hoopx.ledger.errors import LedgerFailed
from hoopx.ledger.leaf import leaf
from tests.curator.rig import WALL, ListLedger
from tests.recording.rig import Later


def audit(number):
    return leaf("audit", WALL, audit=f"{number:064x}")


class ScribeTests(SynchronousTestCase):
    def setUp(self):
        self.ledger = ListLedger()
        self.threads = Later()
        self.opened = []
        self.told = []
        self.scribe = Scribe(self.ledger, self.threads, self.reopen, lambda: self.told.append(self.scribe.size))

    def reopen(self):
        self.opened.append(True)
        self.ledger.failure = None
        return self.ledger

    def test_together(self):
        waiting = [self.scribe.append([audit(number)]) for number in range(5)]
        self.threads.run()
        self.assertEqual(self.successResultOf(waiting[0]), [0])
        self.assertNoResult(waiting[1])
        self.threads.run()
        self.assertEqual([self.successResultOf(each) for each in waiting[1:]], [[1], [2], [3], [4]])
        self.assertEqual(self.ledger.batches, [1, 4])
        self.assertEqual(self.told, [1, 5])
        self.assertTrue(self.scribe.idle)

    def test_fails(self):
        self.ledger.failure = LedgerFailed("No space left on device")
        failed = self.scribe.append([audit(1)])
        behind = self.scribe.append([audit(2)])
        self.threads.run()
        self.assertIn("No space", str(self.failureResultOf(failed, CuratorFailed).value))
        self.assertEqual(self.scribe.trouble, "No space left on device")
        self.assertEqual(self.opened, [])
        self.threads.run()
        self.assertEqual(self.successResultOf(behind), [0])
        self.assertIs(self.scribe.trouble, None)
        self.assertEqual(self.opened, [True])
        self.assertEqual(self.successResultOf(self.again()), [1])
        self.assertEqual(self.opened, [True])

    def again(self):
        done = self.scribe.append([audit(3)])
        self.threads.runAll()
        return done

    def test_bound(self):
        self.scribe.append([audit(1)])
        self.scribe.append([audit(0)] * WAITING)
        self.failureResultOf(self.scribe.append([audit(2)]), CuratorFailed)
