"""To the backend: in order within a session, once, unchanged, whatever the backend does; then the local copy goes."""

import json
import os

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.storing import AWAY, FIRST, LONGEST, MARKER, STUCK, SWEEP, Storing
from hoopx.curator.tail import Ends
from hoopx.frames import segmentName
from hoopx.recording.files import Files
from hoopx.storage.errors import StorageConflict, StorageRefused, StorageUnavailable
from hoopx.values import Receipt
from tests.curator.rig import WALL, FakeBackend, Now, Recorded, bench, book


class StoringBase(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.book = book()
        self.addCleanup(self.book.close)
        self.backend = FakeBackend()
        self.alarms = []

    def storing(self, localKeep=None, **more):
        return Storing(
            self.book, self.backend, "s3:b", "gw", lambda target, labels: 86400.0, localKeep, Now(), self.clock,
            lambda: WALL + self.clock.seconds(), lambda alarm, text: self.alarms.append(alarm), Files(), **more,
        )  # fmt: skip

    def recorded(self, *counts):
        """Recordings that are packed and in the ledger."""
        recorded = Recorded(self.mktemp())
        table, leaf = bench(self.book), 0
        found = []
        for count in counts:
            recording = recorded.session(count)
            while (step := table.step(recording.session, recording.path)) is not None:
                table.logged(step, [leaf, leaf + 1][: len(step.leaves)])
                leaf += len(step.leaves)
            found.append(recording)
        return found

    def names(self, recording, count):
        day = "/".join(recording.path.split(os.sep)[-4:])
        return [f"gw/{day}/{segmentName(number)}" for number in range(count)]


class StoringTests(StoringBase):
    def test_stored(self):
        one, two = self.recorded(3, 1)
        storing = self.storing()
        storing.start()
        self.assertEqual(sorted(self.backend.puts), sorted(self.names(one, 3) + self.names(two, 1)))
        for number, name in enumerate(self.names(one, 3)):
            with open(os.path.join(one.path, segmentName(number)), "rb") as file:
                self.assertEqual(self.backend.objects[name], file.read())
        receipts = self.book.receipts(one.session)
        self.assertEqual([receipt.name for receipt in receipts.values()], self.names(one, 3))
        ended = self.book.session(one.session)["ended"]
        self.assertEqual({receipt.retainUntil for receipt in receipts.values()}, {ended + 86400.0})
        storing.wake()
        self.assertEqual(len(self.backend.puts), 4)

    def test_held(self):
        """What is stored after the hold was set is held there, too; a store that can not do that is told of, and gets it all the same."""
        held, free = self.recorded(2, 1)
        self.book.hold(held.session, 1, True)
        holds = []
        self.backend.hold = lambda receipt, on: holds.append((receipt.name, on)) or succeed(None)
        self.storing().start()
        self.assertEqual(sorted(holds), [(name, True) for name in self.names(held, 2)])
        self.assertEqual(len(self.backend.puts), 3)
        (other,) = self.recorded(1)
        self.book.hold(other.session, 1, True)
        self.backend.hold = lambda receipt, on: fail(StorageRefused("no Object Lock"))
        self.storing().start()
        self.assertEqual((self.alarms, self.book.backlog()[0]), (["hold"], 0))

    def test_away(self):
        """Asked again with growing pauses; an alarm when it lasts; everything arrives when it is back."""
        (one,) = self.recorded(3)
        self.backend.failure = StorageUnavailable("503")
        storing = self.storing()
        storing.start()
        self.clock.pump([1] * int(AWAY + 2 * LONGEST))
        self.assertEqual(self.alarms, ["store-away"])
        self.assertEqual(storing.state, "503")
        self.assertEqual(self.book.backlog()[0], 3)
        self.backend.failure = None
        self.clock.pump([1] * int(LONGEST))
        self.assertEqual(self.backend.puts, self.names(one, 3))
        self.assertEqual((storing.state, self.book.backlog()[0]), ("ok", 0))

    def test_stuck(self):
        """A store that neither takes nor refuses, for ever: a person is told, once; when it takes something after all, all is well."""
        self.recorded(2)
        put, answers = self.backend.put, []

        def slow(*arguments):
            answers.append((Deferred(), arguments))
            return answers[-1][0]

        self.backend.put = slow
        storing = self.storing()
        storing.start()
        self.clock.advance(STUCK - 1)
        self.assertEqual((self.alarms, storing.state), ([], "ok"))
        put(*answers[0][1]).chainDeferred(answers[0][0])  # one that takes its time
        self.clock.advance(STUCK - 1)
        self.assertEqual((self.alarms, storing.state), ([], "ok"))
        self.clock.advance(1)
        self.assertEqual(self.alarms, ["store-away"])
        self.assertIn("nothing has arrived", storing.state)
        self.clock.advance(2 * STUCK)
        self.assertEqual(self.alarms, ["store-away"])
        put(*answers[1][1]).chainDeferred(answers[1][0])
        self.clock.advance(2 * STUCK)
        self.assertEqual((self.alarms, storing.state, self.book.backlog()[0]), (["store-away"], "ok", 0))
        storing.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self):
        """Wrong credentials: a person is told at once, and it goes on asking."""
        (one,) = self.recorded(1)
        self.backend.failure = StorageRefused("InvalidAccessKeyId")
        self.storing().start()
        self.assertEqual(self.alarms, ["store-refused"])
        self.backend.failure = None
        self.clock.advance(FIRST)
        self.assertEqual(self.backend.puts, self.names(one, 1))

    def test_claim(self):
        """The name is another gateway's: a person is told once, nothing is put among its recordings, and all arrives when it is free."""
        said = [StorageConflict("taken by other bytes"), StorageUnavailable("503")] + [StorageConflict("taken by other bytes")] * 3 + [None]
        asked = []

        def claim():
            asked.append(self.clock.seconds())
            error = said.pop(0)
            return fail(error) if error else succeed(None)

        storing = self.storing(claim=claim)
        storing.start()
        self.assertEqual(asked, [])  # there is nothing to store
        one, two = self.recorded(2, 1)
        storing.wake()
        self.assertIn("another gateway keeps its recordings under the name gw", storing.state)
        self.clock.pump([1] * 20)
        self.assertEqual((self.alarms, self.backend.puts), (["store-name"], []))
        self.clock.pump([1] * int(LONGEST))
        self.assertEqual(sorted(self.backend.puts), sorted(self.names(one, 2) + self.names(two, 1)))
        self.assertEqual((len(asked), storing.state), (6, "ok"))
        self.recorded(1)
        storing.wake()
        self.assertEqual((len(asked), len(self.backend.puts)), (6, 4))

    def test_conflict(self):
        """Other bytes under the name: left alone, told, and nobody else waits."""
        one, two = self.recorded(2, 1)
        put = self.backend.put

        def conflicting(name, path, retain, checksum=None):
            if name == self.names(one, 1)[0]:
                raise StorageConflict("other bytes")
            return put(name, path, retain, checksum)

        self.backend.put = conflicting
        storing = self.storing()
        storing.start()
        self.clock.advance(0)
        self.assertEqual(self.alarms, ["store-conflict"])
        self.assertEqual(self.backend.puts, self.names(two, 1) + self.names(one, 2)[1:])
        self.assertEqual(self.book.problems(), 1)
        self.backend.put = put
        self.book.problems(clear=True)
        storing.wake()
        self.clock.advance(0)
        self.assertEqual(self.backend.puts[-1], self.names(one, 1)[0])

    def test_localCopies(self):
        """They go when they are stored and old enough, and say where the segments are."""
        (one,) = self.recorded(2)
        self.backend.failure = StorageUnavailable("503")
        storing = self.storing(localKeep=100.0)
        old = WALL + 50 - os.stat(os.path.join(one.path, segmentName(0))).st_mtime
        self.book._database.execute("UPDATE segments SET sealed = sealed + ?", (old - 50,))
        storing.start()
        self.clock.pump([SWEEP] * 5)
        self.assertEqual(len(os.listdir(one.path)), 2)  # not stored: not removed
        self.backend.failure = None
        self.clock.pump([SWEEP] * 3)
        self.assertEqual(os.listdir(one.path), [MARKER])
        with open(os.path.join(one.path, MARKER)) as file:
            said = json.load(file)
        self.assertEqual((said["store"], list(said["objects"].values())), ("s3:b", self.names(one, 2)))
        self.assertEqual(storing.removed, 2)

    def test_anHour(self):
        """The store is down for an hour at 20 sessions a second: all of it arrives later, once, in order."""

        class Counting(FakeBackend):
            def put(self, name, path, retainUntil, checksum=None):
                return super().put(name, os.devnull, retainUntil, checksum)

        self.backend = Counting()
        self.patch(os.path, "exists", lambda path: True)
        self.backend.failure = StorageUnavailable("no route")
        storing = self.storing()
        storing.start()
        leaf = 0
        total = 3600 * 20
        self.book._database.execute("BEGIN")
        for second in range(3600):
            for number in range(20):
                session = f"{second:04}-{number:02}"
                self.book._database.execute(
                    "INSERT INTO segments (session, number, seal, ended, end, sealed, object, size, leaf) VALUES (?,0,'','','',?,?,9,?)",
                    (session, WALL + second, session, leaf),
                )
                self.book._database.execute("INSERT INTO sessions (session, path) VALUES (?, ?)", (session, f"/r/2026/11/27/{session}"))
                leaf += 2
            if not second % 60:
                storing.wake()
                self.clock.advance(60)
        self.book._database.execute("COMMIT")
        self.assertEqual(self.book.backlog()[:2], (total, total * 9))
        self.assertEqual(self.backend.puts, [])
        self.assertEqual(self.alarms, ["store-away"])
        self.backend.failure = None
        self.clock.advance(LONGEST)
        for _ in range(total):
            if len(self.backend.puts) == total:
                break
            self.clock.advance(0)
        self.assertEqual(len(self.backend.puts), total)
        self.assertEqual(self.backend.puts, sorted(self.backend.puts))
        self.assertEqual(len(set(self.backend.puts)), total)
        self.assertEqual(self.book.backlog()[0], 0)

    def test_stop(self):
        self.backend.failure = StorageUnavailable("503")
        self.recorded(1)
        storing = self.storing(localKeep=1.0)
        storing.start()
        self.successResultOf(storing.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class BookTests(SynchronousTestCase):
    def test_problem(self):
        book_ = book()
        self.addCleanup(book_.close)
        book_.began("s", "/p", {"target": "t", "labels": {"a": 1}}, 0, Ends("00"), WALL)
        book_.logged("s", 0, "11", 5, 7, None, None)
        self.assertEqual([each.labels for each in book_.unstored(9)], [{"a": "1"}])
        book_.problem("s", 0, "x")
        self.assertEqual(book_.unstored(9), [])


class ReceiptTests(StoringBase):
    def test_onlyThere(self):
        """The list was lost and the local copy is gone: the store is asked, and believed when the bytes are the ledger's."""
        (one,) = self.recorded(1)
        (unstored,) = self.book.unstored(9)
        os.remove(os.path.join(one.path, segmentName(0)))
        name = self.names(one, 1)[0]
        found = [Receipt(name, "v2", "other", None), Receipt(name, "v1", unstored.digest, WALL), Receipt(name + "x", "v0", "", None)]
        self.backend.list = lambda prefix: succeed(found)
        self.backend.stat = succeed
        self.storing().start()
        self.assertEqual(self.book.receipts(one.session), {0: found[1]})
        self.assertEqual((self.backend.puts, self.alarms), ([], []))

    def test_nowhere(self):
        (one,) = self.recorded(1)
        os.remove(os.path.join(one.path, segmentName(0)))
        self.backend.list = lambda prefix: succeed([])
        self.storing().start()
        self.assertEqual(self.alarms, ["store-conflict"])
