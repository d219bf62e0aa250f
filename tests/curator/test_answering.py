"""Both ends of the pipe together, without a process: what one says the other understands."""

import os

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.answering import PAGE, Answers
from hoopx.curator.commands import CuratorFailed
from hoopx.curator.parts import Parts
from hoopx.curator.process import Curator
from hoopx.curator.settings import CuratorSettings, dump
from hoopx.curator.workshop import Workshop
from hoopx.errors import TargetFailed
from hoopx.ledger.leaf import parse
from hoopx.recording.recovery import Recovered
from tests.curator.rig import WALL, Now, Recorded
from tests.recording.rig import crash, letGo


class Pipe:
    """Both directions, pumped by the test."""

    def __init__(self, pipes, answers):
        self.queue = []
        self.pipes, self.answers = pipes, answers
        self.gateway, self.curator = End(self.queue, answers.dataReceived), End(self.queue, pipes.outReceived)
        answers.makeConnection(self.curator)
        pipes.makeConnection(self.gateway)

    def pump(self):
        while self.queue:
            deliver, data = self.queue.pop(0)
            deliver(data)


class End:
    def __init__(self, queue, deliver):
        self._queue, self._deliver = queue, deliver

    def write(self, data):
        self._queue.append((self._deliver, data))

    def writeSequence(self, data):
        self.write(b"".join(data))

    def loseConnection(self):
        raise AssertionError("AMP gives up")

    def signalProcess(self, name):
        raise AssertionError("it is killed")


class AnsweringTests(SynchronousTestCase):
    def setUp(self):
        self.data = self.mktemp()
        self.clock = Clock()
        self.alarms = []
        self.over = []
        self.workshops = []
        self.settings = dump(CuratorSettings(self.data, "gw", labels={f"t{n}": {"a": "b" * 50} for n in range(3000)}))
        self.curator = Curator(self.spawn, self.clock, lambda: self.settings, lambda alarm, fields: self.alarms.append(alarm))

    def spawn(self, pipes):
        self.pipe = Pipe(pipes, Answers(self.workshop, lambda: self.over.append(True)))

    def workshop(self, alarm, progress, renew):
        self.renew = renew
        parts = Parts(Now(), Now(), Now(), lambda function, *arguments: function(*arguments))
        workshop = Workshop(self.clock, parts, alarm, progress, wall=lambda: WALL)
        self.workshops.append(workshop)
        self.addCleanup(lambda: workshop._ledger and workshop._ledger.close())
        self.addCleanup(lambda: workshop._book and workshop._book.close())
        return workshop

    def started(self, progress=None):
        recovered = self.curator.recover(progress)
        self.pipe.pump()
        return self.successResultOf(recovered)

    def test_session(self):
        recorded = Recorded(self.data)
        self.assertEqual(self.started(), [])
        recording = recorded.session(2, close=False)
        opened = self.curator.opened(recording)
        self.assertNoResult(opened)
        self.pipe.pump()
        self.assertEqual(self.successResultOf(opened), 0)
        self.curator.sealed(recording.session, recording.path, 0)
        recording.close("client-left")
        self.curator.recordingEnded(recording.session, recording.path)
        audit = self.curator.audit("ab" * 32)
        self.pipe.pump()
        self.assertEqual(self.successResultOf(audit), 4)
        ledger = self.workshops[0]._ledger
        types = [parse(line)["type"] for line in ledger.entries(0, ledger.size)]
        self.assertEqual(types, ["opened", "sealed", "sealed", "done", "audit"])
        self.clock.advance(1)
        self.pipe.pump()
        self.clock.advance(2)
        self.pipe.pump()
        self.assertEqual(self.curator.status()["ledger"]["size"], 5)

    def test_manyRecovered(self):
        """More than one message holds."""
        recorded = Recorded(self.data)
        left = [recorded.session(close=False) for _ in range(PAGE + 7)]
        for recording in left:
            crash(recording)
        letGo(recorded.rig.store)
        told = []
        found = self.started(lambda done, count: told.append((done, count)))
        self.assertEqual({one.session for one in found}, {one.session for one in left})
        self.assertEqual({type(one) for one in found}, {Recovered})
        self.assertEqual(told[-1], (len(left), len(left)))

    def test_refuses(self):
        """What can not work is said in words, and the connection stays."""
        os.makedirs(os.path.join(self.data, "keys"))
        with open(os.path.join(self.data, "keys", "ledger.key"), "wb") as file:
            file.write(b"nonsense")
        self.pipe = None
        self.curator._kill = lambda pipes: None
        recovered = self.curator.recover()
        self.pipe.pump()
        self.assertIn("ledger.key", str(self.failureResultOf(recovered, CuratorFailed).value))

    def test_badSettings(self):
        self.settings = b"{}"
        self.curator._kill = lambda pipes: None
        recovered = self.curator.recover()
        self.pipe.pump()
        self.assertIn("settings", str(self.failureResultOf(recovered, CuratorFailed).value))

    def test_fault(self):
        """A defect of ours is no end of the connection, and its text, which may hold anything, stays in the log."""
        self.started()
        self.workshops[0].opened = lambda **fields: 1 / 0
        opened = self.curator.opened(Recorded(self.data).session(close=False))
        self.pipe.pump()
        self.assertIn("ZeroDivisionError", str(self.failureResultOf(opened, CuratorFailed).value))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_renew(self):
        """Asked from the other end: the settings as they are now come along, with their secrets; or why they do not."""
        self.started()
        self.settings = dump(CuratorSettings(self.data, "gw", secrets={"s3.accessKey": b"new"}))
        asked = self.renew()
        self.assertNoResult(asked)
        self.pipe.pump()
        self.successResultOf(asked)
        self.assertEqual(self.workshops[0].settings.secrets, {"s3.accessKey": b"new"})
        self.curator._configuration = lambda: fail(TargetFailed("the secret file:x can not be had"))
        asked = self.renew()
        self.pipe.pump()
        self.assertIn("file:x", str(self.failureResultOf(asked, CuratorFailed).value))
        self.pipe.answers.transport = None
        self.failureResultOf(self.renew(), CuratorFailed)

    def test_alarm(self):
        self.started()
        self.workshops[0]._alarm("quarantined", "x" * 100_000)
        self.pipe.pump()
        self.assertEqual(self.alarms, ["quarantined"])

    def test_end(self):
        self.started()
        stopped = self.curator.stop()
        self.assertIsInstance(stopped, Deferred)
        self.pipe.gateway.closeStdin = lambda: self.pipe.answers.connectionLost(Failure(ConnectionDone()))
        self.pipe.pump()
        self.assertEqual(self.over, [True])
