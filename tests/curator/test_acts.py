"""Rows of the audit get their leaves in order: where the gateway goes on is never behind one that has none."""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.acts import TOGETHER, Acts
from hoopx.curator.commands import CuratorFailed


class ActsTests(SynchronousTestCase):
    def setUp(self):
        self.writes = []
        self.kept = []
        self.leaves = []
        self.acts = Acts(self.append, lambda row, audit: succeed(self.kept.append((row, audit))))

    def append(self, lines):
        done = Deferred()
        self.writes.append((list(lines), done))
        return done

    def add(self, *rows):
        return [self.acts.add(row, f"h{row}", b"%d" % row) for row in rows]

    def write(self, failure=None):
        """The disk has answered to the oldest write."""
        lines, done = self.writes.pop(0)
        if failure is not None:
            done.errback(failure)
            return
        done.callback([len(self.leaves) + number for number in range(len(lines))])
        self.leaves += [int(line) for line in lines]

    def failed(self, *several):
        for each in several:
            self.failureResultOf(each, CuratorFailed)

    def test_together(self):
        """Whoever comes while a write is under way shares the next one."""
        several = self.add(1, 2, 3)
        self.assertEqual([lines for lines, _ in self.writes], [[b"1"]])
        self.write()
        self.write()
        self.assertEqual([self.successResultOf(each) for each in several], [[0], [1], [2]])
        self.assertEqual((self.kept, self.acts.audited), ([(1, "h1"), (3, "h3")], (3, "h3")))
        self.add(*range(4, TOGETHER + 10))
        self.write()
        self.assertEqual(len(self.writes[0][0]), TOGETHER)

    def test_aGap(self):
        """One fails: those that wait behind it do, too, and those that come, until it is told again."""
        several = self.add(1, 2, 3)
        self.write(CuratorFailed("the disk"))
        self.failed(*several)
        self.assertEqual(self.writes, [])
        self.assertRaises(CuratorFailed, self.add, 2)
        self.assertRaises(CuratorFailed, self.add, 4)
        self.assertEqual((self.kept, self.acts.audited), ([], (0, "")))
        several = self.add(1, 2, 3, 4)
        self.write()
        self.write()
        self.assertEqual((len(list(map(self.successResultOf, several))), self.leaves), (4, [1, 2, 3, 4]))
        self.assertEqual(self.acts.audited, (4, "h4"))

    def test_gapInTheMiddle(self):
        first, *rest = self.add(1, 2, 3)
        self.write()
        self.write(CuratorFailed("the disk"))
        self.assertEqual(self.successResultOf(first), [0])
        self.failed(*rest)
        self.assertEqual(self.acts.audited, (1, "h1"))
        (again,) = self.add(1)
        self.write()
        self.successResultOf(again)
        self.assertRaises(CuratorFailed, self.add, 3)
        (again,) = self.add(2)
        self.write()
        self.successResultOf(again)
        self.assertEqual(self.acts.audited, (2, "h2"))

    def test_notKept(self):
        """What is not written down does not count as being there: it is told again."""
        self.acts._keep = lambda row, audit: fail(OSError(28, "No space left on device"))
        several = self.add(1)
        self.write()
        self.failureResultOf(several[0], OSError)
        self.assertEqual(self.acts.audited, (0, ""))
        self.assertRaises(CuratorFailed, self.add, 2)

    def test_alone(self):
        """A hold has several steps: when one of them fails, the row counts as not told."""
        self.assertEqual(self.successResultOf(self.acts.alone(1, "h1", lambda: succeed([7]))), [7])
        self.failureResultOf(self.acts.alone(2, "h2", lambda: fail(CuratorFailed("the list"))), CuratorFailed)
        self.assertRaises(CuratorFailed, self.add, 3)
        self.failureResultOf(self.acts.alone(3, "h3", lambda: succeed([8])), CuratorFailed)
        self.assertEqual(self.acts.audited, (1, "h1"))
        self.successResultOf(self.acts.alone(2, "h2", lambda: succeed([8])))
        self.assertEqual((self.kept, self.acts.audited), ([(1, "h1"), (2, "h2")], (2, "h2")))

    def test_withoutNumber(self):
        (done,) = self.add(0)
        self.write(CuratorFailed("the disk"))
        self.failed(done)
        (done,) = self.add(1)
        self.write()
        self.successResultOf(done)
