"""The list was lost: what a session is, is learned again, and until then it is not erased."""

import json
import os

import pyrage
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.heads import EVERY, Heads
from hoopx.curator.rebuilding import catchUp
from hoopx.frames import HEAD, START, encode, pack, segmentName
from hoopx.ledger.leaf import leaf
from hoopx.recording.elsewhere import MARKER
from hoopx.recording.files import Files
from hoopx.retention.erasing import Eraser, NotErased
from hoopx.retention.rules import Keeping, Rule
from hoopx.values import Receipt
from tests.curator.rig import WALL, FakeBackend, ListLedger, Now, Recorded, bench, book, scribe

AUDIT = "ab" * 32
RULES = [Rule(10.0), Rule(1e9, ("orders",), {"run": "7"})]


class Log:
    """What a session's leaves are."""

    def __init__(self, lines):
        self.lines = lines
        self.size = len(lines)

    def entries(self, begin, end):
        return self.lines[begin:end]


class Known:
    def __init__(self, **heads):
        self.heads = heads

    def head(self, session):
        return self.heads.get(session)


class HeadsTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.recorded = Recorded(self.mktemp())
        self.backend = FakeBackend()
        self.alarms = []
        self.lines = []

    def packed(self, recipients=()):
        """A recording that the ledger has, and a list that was lost afterwards."""
        recording = self.recorded.session(2)
        listed = book()
        table = bench(listed, recipients=recipients)
        while (step := table.step(recording.session, recording.path)) is not None:
            begin = len(self.lines)
            self.lines += step.leaves
            table.logged(step, list(range(begin, len(self.lines))))
        listed.close()
        return recording

    def lost(self):
        found = book()
        self.addCleanup(found.close)
        catchUp(found, Log(self.lines), self.recorded.data)
        return found

    def heads(self, book, index=None):
        made = Heads(book, self.backend, index, Now(), Now(), self.clock, lambda alarm, text: self.alarms.append(alarm))
        self.addCleanup(made.stop)
        made.start()
        return made

    def eraser(self, book):
        class Guard:
            def look(self):
                return None

        return Eraser(
            book, Keeping(RULES, {}), Guard(), scribe(ListLedger()), Now(), lambda: WALL + 1e6, Files(), self.backend, None
        )

    def test_failsClosed(self):
        """Without HEAD the short rule would be its, though it is not."""
        recording = self.packed()
        found = self.lost()
        self.assertEqual(found.session(recording.session)["head"], None)
        eraser = self.eraser(found)
        self.assertEqual(eraser.expired(""), [])
        error = self.failureResultOf(eraser.erase(recording.session, AUDIT), NotErased)
        self.assertIn("not known", error.getErrorMessage())
        self.assertTrue(os.path.exists(recording.path))

    def test_here(self):
        recording = self.packed()
        found = self.lost()
        heads = self.heads(found)
        row = found.session(recording.session)
        self.assertEqual((heads.unknown, self.alarms, row["target"], row["labels"]), (0, [], "orders", {"run": "7"}))
        self.failureResultOf(self.eraser(found).erase(recording.session, AUDIT), NotErased)  # its own rule keeps it
        self.assertEqual(self.eraser(found).expired(""), [])

    def test_inTheStore(self):
        """No local copy: from the object; from the marker, where the store is not to be had."""
        recording = self.packed()
        found = self.lost()
        path = os.path.join(recording.path, segmentName(0))
        self.backend.put("gw/0", path, None)
        os.remove(path)
        heads = self.heads(found)
        self.assertEqual((heads.unknown, self.alarms), (1, ["retention-unknown"]))  # its receipt is not found again yet
        found.stored(recording.session, 0, Receipt("gw/0", None, "", None))
        self.clock.advance(EVERY)
        self.assertEqual((heads.unknown, found.session(recording.session)["target"]), (0, "orders"))
        again = self.lost()
        with open(os.path.join(recording.path, MARKER), "w") as file:
            json.dump({"session": recording.session, "store": "s3:b", "objects": {}, "summary": {"head": {"target": "billing"}}}, file)
        self.assertEqual((self.heads(again).unknown, again.session(recording.session)["target"]), (0, "billing"))

    def test_nonsense(self):
        """What somebody else has put into the store, or into a directory, stays unknown, and keeps no other session from being learned."""
        sessions = sorted((self.packed(), self.packed()), key=lambda each: each.session)
        for where in ("store", "marker"):
            found = self.lost()
            strange = {"started": 1.0, "target": "orders", "labels": ["run"]}
            path = os.path.join(sessions[0].path, segmentName(0))
            if where == "store":
                os.remove(path)
                with open(path + ".put", "wb") as file:
                    file.write(START + encode(0, 0, 0, HEAD, payload=pack(strange)))
                self.backend.put("gw/0", path + ".put", None)
                found.stored(sessions[0].session, 0, Receipt("gw/0", None, "", None))
            else:
                self.backend.objects.clear()
                with open(os.path.join(sessions[0].path, MARKER), "w") as file:
                    json.dump({"session": sessions[0].session, "store": "s3:b", "objects": {}, "summary": {"head": strange}}, file)
            heads = self.heads(found)
            self.assertEqual(heads.unknown, 1, where)
            self.assertEqual([found.session(each.session)["head"] is None for each in sessions], [True, False], where)
        self.assertEqual(self.alarms, ["retention-unknown"] * 2)

    def test_encrypted(self):
        """Nobody here can read it: it stays unknown, and is told, unless the index has its names."""
        recording = self.packed([str(pyrage.x25519.Identity.generate().to_public())])
        found = self.lost()
        heads = self.heads(found)
        self.clock.advance(EVERY)
        self.assertEqual((heads.unknown, self.alarms), (1, ["retention-unknown"]))
        self.assertEqual(self.eraser(found).expired(""), [])
        names = {recording.session: {"target": "orders", "labels": {"run": "7"}}}
        self.assertEqual((self.heads(found, Known(**names)).unknown, found.session(recording.session)["target"]), (0, "orders"))

    def test_manyLeaves(self):
        """Those that were erased are nobody's trouble."""
        recording = self.packed()
        self.lines.append(leaf("erased", WALL, session=recording.session, audit=AUDIT))
        self.assertEqual((self.lost().headless(), self.heads(self.lost()).unknown), (0, 0))
