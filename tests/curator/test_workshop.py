"""All parts of the curator together, on a real ledger: recovery, what is sealed, what is opened, the end."""

import os
from types import SimpleNamespace

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import CuratorFailed
from hoopx.curator.custody import BREATH, SWEEP
from hoopx.curator.making import Given
from hoopx.curator.parts import Parts
from hoopx.curator.settings import CuratorSettings
from hoopx.curator.workshop import LOCKED, Workshop
from hoopx.frames import segmentName
from hoopx.ledger.errors import LedgerFailed
from hoopx.ledger.leaf import parse
from hoopx.ledger.reader import LedgerReader
from hoopx.recording import locks
from hoopx.recording.verify import verifySession
from hoopx.retention.rules import Rule
from hoopx.values import CLIENT, PASSED, Receipt, Reference
from tests.curator.rig import WALL, FakeBackend, Now, Recorded
from tests.recording.rig import crash, letGo


class WorkshopCase:
    """What a test of it needs."""

    def setUp(self):
        self.data = self.mktemp()
        self.clock = Clock()
        self.alarms = []
        self.backend = FakeBackend()
        self.recorded = Recorded(self.data)

    def workshop(self, begin=True, index=lambda settings: None, **settings):
        parts = Parts(
            Now(), Now(), Now(), lambda function, *arguments: function(*arguments), lambda settings: succeed(self.backend), index
        )
        workshop = Workshop(self.clock, parts, lambda alarm, text: self.alarms.append((alarm, text)), wall=lambda: WALL)
        self.addCleanup(self.close, workshop)
        if begin:
            self.successResultOf(workshop.begin(CuratorSettings(self.data, "gw", **settings)))
        return workshop

    def close(self, workshop):
        if workshop._ledger is not None:
            workshop._ledger.close()
        if workshop._book is not None:
            workshop._book.close()

    def leaves(self, workshop, session):
        found = [parse(line) for line in workshop._ledger.entries(0, workshop._ledger.size)]
        return [leaf["type"] for leaf in found if leaf.get("session") == session]


class WorkshopTests(WorkshopCase, SynchronousTestCase):
    def test_life(self):
        """A session from its opening to its end, as the gateway tells it."""
        workshop = self.workshop()
        self.assertEqual(self.successResultOf(workshop.recover(True)), [])
        recording = self.recorded.session(3, close=False)
        (index,) = self.successResultOf(workshop.opened(recording.session, recording.path, recording.key, recording.head))
        (again,) = self.successResultOf(workshop.opened(recording.session, recording.path, recording.key, recording.head))
        self.assertEqual(index, again)
        workshop.sealed(recording.session, recording.path, 1, "")
        self.assertEqual(self.leaves(workshop, recording.session), ["opened", "sealed", "sealed"])
        recording.close("client-left")
        workshop.sealed(recording.session, recording.path, -1, "")
        self.assertEqual(self.leaves(workshop, recording.session), ["opened", "sealed", "sealed", "sealed", "done"])
        self.clock.advance(1)
        status = workshop.status()
        self.assertEqual((status["ledger"]["size"], status["ledger"]["signed"], status["processed"]), (5, 5, 3))
        self.assertEqual((status["waiting"], status["store"], status["backlog"]), (0, None, None))

    def test_index(self):
        """The index is opened, and looked after, from the start; what is wrong with it is told once."""
        swept = []

        class Index:
            failure = None

            def sweep(self):
                swept.append(1)
                if self.failure is not None:
                    raise self.failure

        index = Index()
        workshop = self.workshop(index=lambda settings: index)
        self.assertEqual(len(swept), 1)
        index.failure = ValueError("of another version")
        self.clock.pump([SWEEP] * 3)
        self.assertEqual((len(swept), [alarm for alarm, _ in self.alarms]), (4, ["index"]))
        self.flushLoggedErrors(ValueError)
        self.successResultOf(workshop.stop(1.0))
        self.clock.pump([SWEEP] * 3)
        self.assertEqual(len(swept), 4)

    def test_sweepsInParts(self):
        """What takes long is done a part at a time, and the next one soon; until the curator stops."""
        swept = []

        class Index:
            def sweep(self):
                swept.append(1)
                return len(swept) >= 4

        workshop = self.workshop(index=lambda settings: Index())
        self.clock.pump([BREATH] * 3)
        self.assertEqual(len(swept), 4)
        self.clock.pump([BREATH] * 3)
        self.assertEqual(len(swept), 4)
        self.clock.advance(SWEEP)
        self.assertEqual(len(swept), 5)
        del swept[:]
        self.clock.advance(SWEEP)
        self.successResultOf(workshop.stop(1.0))
        self.clock.pump([BREATH] * 5)
        self.assertEqual(len(swept), 1)

    def test_erasingIsNotWaitedFor(self):
        """However long the index takes to forget a session: a new one has its leaf, and what is sealed is seen to."""

        class Index:
            def segment(self, session, path, number):
                pass

            def erase(self, session):
                pass

        class Stuck(Now):
            def call(self, work, *arguments):
                return Deferred() if work == index.erase else Now.call(self, work, *arguments)

        index = Index()
        parts = Parts(
            Now(), Now(), Stuck(), lambda function, *arguments: function(*arguments), lambda settings: succeed(None), lambda settings: index
        )
        workshop = Workshop(self.clock, parts, lambda alarm, text: self.alarms.append((alarm, text)), wall=lambda: WALL)
        self.addCleanup(self.close, workshop)
        self.successResultOf(workshop.begin(CuratorSettings(self.data, "gw")))
        erasing = workshop._cleaning.erase("0" * 26)
        recording = self.recorded.session(2)
        self.successResultOf(workshop.opened(recording.session, recording.path, recording.key, recording.head))
        workshop.pipeline.look(recording.session, recording.path)
        self.assertEqual(self.leaves(workshop, recording.session), ["opened", "sealed", "sealed", "done"])
        self.assertNoResult(erasing)

    def test_closes(self):
        """At its end everything is let go of: the ledger, the index, the list."""
        closed = []

        class Index:
            def close(self):
                closed.append("index")

        workshop = self.workshop(index=lambda settings: Index())
        self.successResultOf(workshop.stop(1.0))
        workshop.close()
        self.assertEqual(closed, ["index"])
        self.assertEqual([name for _, _, names in os.walk(self.data) for name in names if name.endswith(("-wal", "-shm"))], [])

    def test_opening(self):
        """What the leaf of the opening says is what stands in HEAD."""
        workshop = self.workshop()
        recording = self.recorded.session(close=False)
        self.successResultOf(workshop.opened(recording.session, recording.path, recording.key, recording.head))
        leaf = parse(workshop._ledger.entries(0, 1)[0])
        self.assertEqual((leaf["key"], leaf["head"]), (recording.key, recording.head))
        from hashlib import sha256

        from hoopx.frames import unpack
        from hoopx.reading import readSession

        head = next(iter(readSession(recording.path)))
        self.assertEqual(leaf["head"], sha256(head.payload).hexdigest())
        self.assertEqual(leaf["key"], unpack(head.payload)["key"])

    def test_recovers(self):
        """What a crash left gets its RECOVERED, signed by the ledger's key, and its leaves; also what was sealed and never told."""
        crashed, missed = self.recorded.session(2, close=False), self.recorded.session(2)
        crash(crashed)
        letGo(self.recorded.rig.store)
        workshop = self.workshop()
        (found,) = self.successResultOf(workshop.recover(True))
        self.assertEqual((found.session, found.outcome), (crashed.session, "recovered"))
        self.assertEqual(self.leaves(workshop, crashed.session), ["sealed", "sealed", "recovered"])
        self.assertEqual(self.leaves(workshop, missed.session), ["sealed", "sealed", "done"])
        public = workshop._key.public_key().public_bytes_raw()
        self.assertEqual(verifySession(crashed.path, public).state, "recovered")
        self.assertEqual(verifySession(missed.path, public).state, "complete")

    def test_inMidLife(self):
        """A new curator beside live sessions leaves their open segment alone, and misses nothing that is sealed."""
        live = self.recorded.session(3, close=False)
        first = self.workshop()
        self.successResultOf(first.recover(True))
        self.close(first)
        live.append(0, CLIENT, PASSED, os.urandom(5000))
        self.recorded.rig.advance(12)
        again = self.workshop()
        self.assertEqual(self.successResultOf(again.recover(False)), [])
        self.assertEqual(self.leaves(again, live.session), ["sealed"] * 3)
        live.append(0, CLIENT, PASSED, b"goes on")
        live.close("client-left")
        again.sealed(live.session, live.path, -1, "")
        self.assertEqual(self.leaves(again, live.session), ["sealed"] * 4 + ["done"])

    def test_bookLost(self):
        """Nothing gets a second leaf."""
        recording = self.recorded.session(3)
        first = self.workshop()
        self.successResultOf(first.recover(True))
        size = first._ledger.size
        self.close(first)
        for name in os.listdir(self.data):
            if name.startswith("curator.sqlite"):
                os.remove(os.path.join(self.data, name))
        again = self.workshop()
        self.successResultOf(again.recover(True))
        self.assertEqual(again._ledger.size, size)
        self.assertEqual(self.leaves(again, recording.session), ["sealed"] * 3 + ["done"])
        self.assertEqual(again.pipeline.quarantined, {})

    def test_killedAnywhere(self):
        """Killed between any two steps of a session's way: each step is done, none twice."""
        for steps in range(8):
            recording = self.recorded.session(2)
            workshop = self.workshop(begin=False)
            left = [steps]

            def call(work, *arguments, left=left):
                left[0] -= 1
                return Deferred() if left[0] < 0 else succeed(work(*arguments))

            self.successResultOf(workshop.begin(CuratorSettings(self.data, "gw")))
            for part in (workshop._parts.bench, workshop._parts.ledger):
                part.call = call
            workshop.pipeline.look(recording.session, recording.path)
            self.close(workshop)
            again = self.workshop()
            self.successResultOf(again.recover(True))
            self.assertEqual(self.leaves(again, recording.session), ["sealed", "sealed", "done"])
            self.close(again)

    def test_store(self):
        recording = self.recorded.session(2)
        workshop = self.workshop(store="fake:")
        self.successResultOf(workshop.recover(True))
        self.clock.advance(0)
        self.assertEqual(self.backend.puts.pop(0), "gw/ledger/origin")
        self.assertEqual(len(self.backend.puts), 2)
        self.assertEqual(self.backend.puts[0].split("/")[-2:], [recording.session, segmentName(0)])
        workshop.status()
        self.assertEqual(workshop.status()["store"]["stored"], 2)
        self.assertEqual(workshop.status()["backlog"]["segments"], 0)

    def test_fastened(self):
        """What is stored of the ledger is locked as long as what is stored of sessions, also under a rule that came later."""
        self.recorded.session(2)
        workshop = self.workshop(store="fake:", rules=(Rule(86400.0, (), {}),))
        self.successResultOf(workshop.recover(True))
        self.backend.list = lambda prefix: succeed([Receipt(name, None, "", None) for name in self.backend.objects if name.startswith(prefix)])
        self.clock.pump([1.0] * 120)
        stored = {name for name in self.backend.objects if "/ledger/" in name}
        self.assertGreater(len(stored), 3)
        self.assertEqual({until for name, until in self.backend.retained if "/ledger/" in name}, {WALL + 395 * 86400.0})
        workshop.reload(CuratorSettings(self.data, "gw", store="fake:", rules=(Rule(9000 * 86400.0, (), {}),)))
        self.clock.pump([1.0] * 61)
        untils = {name: until for name, until in self.backend.retained if "/ledger/" in name}
        self.assertEqual(untils.keys(), stored)
        self.assertEqual(set(untils.values()), {WALL + 9030 * 86400.0})

    def test_locked(self):
        """The ledger belongs to another one for a while, or for ever."""
        self.patch(locks, "TRIES", 1)  # no real time
        first = self.workshop()
        second = self.workshop(begin=False)
        begun = second.begin(CuratorSettings(self.data, "gw"))
        self.assertNoResult(begun)
        self.clock.advance(1)
        self.assertNoResult(begun)
        self.close(first)
        self.clock.advance(0.1)
        self.successResultOf(begun)
        third = self.workshop(begin=False)
        begun = third.begin(CuratorSettings(self.data, "gw"))
        self.clock.pump([0.1] * int(10 * LOCKED + 10))
        self.failureResultOf(begun, CuratorFailed)

    def test_lockedIsTold(self):
        """Who has it, and what to do: once, and again in the end."""
        self.patch(locks, "TRIES", 1)  # no real time
        first = self.workshop()
        said = []
        second = self.workshop(begin=False)
        second.log = SimpleNamespace(warn=lambda text, **fields: said.append(text.format(**fields)))
        begun = second.begin(CuratorSettings(self.data, "gw"))
        self.clock.pump([0.1] * 20)
        who = f"{self.data}/ledger is written by process {os.getpid()}: stop that gateway first"
        self.assertEqual(said, [f"{who}. It is waited for, 20 s at the most."])
        self.clock.pump([0.1] * int(10 * LOCKED))
        self.assertIn(who, str(self.failureResultOf(begun, CuratorFailed).value))
        self.close(first)

    def test_auditGap(self):
        """A row of the audit whose write fails, one behind it that does not, and the end: the next gateway is told of both again."""
        workshop = self.workshop()
        append, failing = workshop._ledger.append, [LedgerFailed("the disk")]

        def once(leaves):
            if failing:
                raise failing.pop()
            return append(leaves)

        workshop._ledger.append = once
        workshop._reopen = workshop.scribe._reopen = lambda: workshop._ledger
        first = workshop.audit("01" * 32, 1)
        self.failureResultOf(first, CuratorFailed)
        self.assertRaises(CuratorFailed, workshop.audit, "02" * 32, 2)
        self.assertEqual(workshop.status()["audit"], 0)
        self.close(workshop)
        again = self.workshop()
        self.assertEqual(again.status()["audit"], 0)
        for row in (1, 2):
            self.successResultOf(again.audit(f"0{row}" * 32, row))
        self.assertEqual((again.status()["audit"], again.status()["audited"]), (2, "02" * 32))
        found = [parse(line) for line in again._ledger.entries(0, again._ledger.size)]
        self.assertEqual([leaf["audit"][:2] for leaf in found if leaf["type"] == "audit"], ["01", "02"])

    def test_canNotWork(self):
        for name, content in (("keys/ledger.key", b"nonsense"), ("ledger", b"a file")):
            path = os.path.join(self.mktemp(), name)
            os.makedirs(os.path.dirname(path))
            with open(path, "wb") as file:
                file.write(content)
            workshop = self.workshop(begin=False)
            data = path[: -len(name) - 1]
            failure = self.failureResultOf(workshop.begin(CuratorSettings(data, "gw")), CuratorFailed)
            self.assertNotIn("Traceback", str(failure.value))

    def test_nothingBeforeSettings(self):
        workshop = self.workshop(begin=False)
        self.assertRaises(CuratorFailed, workshop.opened, "S", "/p", "k", "h")
        workshop.sealed("S", "/p", 0, "")
        workshop.survey()
        self.assertEqual(workshop.status(), {})
        self.successResultOf(workshop.stop(1.0))

    def test_stop(self):
        workshop = self.workshop(store="fake:")
        recording = self.recorded.session(2)
        workshop.sealed(recording.session, recording.path, -1, "")
        self.successResultOf(workshop.stop(5.0))
        reader = LedgerReader(os.path.join(self.data, "ledger"))
        self.assertEqual(reader.audit(reader.checkpoint([reader.first()])), [])
        self.assertIn(b"\n3\n", workshop._ledger.published)

    def test_rotatedSecrets(self):
        """New credentials reach the backend that was made with the old ones."""
        workshop = self.workshop(secrets={"s3.access_key": b"old", "s3.secret_key": b"old too"})
        given = Given(workshop.settings.secrets)
        workshop.reload(CuratorSettings(self.data, "gw", secrets={"s3.access_key": b"new", "s3.secret_key": b"new too"}))
        reference = Reference("given", "s3.access_key")
        self.assertEqual(self.successResultOf(given.fetch(reference, None, None)), b"new")
