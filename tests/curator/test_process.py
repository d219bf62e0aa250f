"""The gateway's side: the curator is started, told its settings, and started again; what it is told in between is not lost."""

import json
import os
import sys

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator import commands
from hoopx.curator.alarms import ALARMS
from hoopx.curator.commands import CuratorFailed
from hoopx.curator.pipes import spawner
from hoopx.curator.process import EXIT, FINISH, FIRST, HINTS, HUNG, LOOK, SILENT, STEADY, TRIES, Curator
from hoopx.recording.recovery import Recovered


class Transport:
    def __init__(self):
        self.signals = []
        self.closed = False

    def write(self, data):
        pass

    def writeSequence(self, data):
        pass

    def signalProcess(self, name):
        self.signals.append(name)

    def closeStdin(self):
        self.closed = True


class Child:
    """A curator that answers what the test says."""

    def __init__(self, pipes, script):
        self.pipes = pipes
        self.asked = []
        self.script = script
        self.transport = Transport()
        pipes.peer.callRemote = self.callRemote
        pipes.makeConnection(self.transport)

    def callRemote(self, command, **fields):
        answer = Deferred()
        self.asked.append((command, fields, answer))
        said = self.script.get(command)
        if isinstance(said, Exception):
            answer.errback(Failure(said))
        elif said is not None:
            answer.callback(said)
        return answer

    def of(self, command):
        return [fields for asked, fields, _ in self.asked if asked is command]

    def answerAll(self, command):
        for asked, _, answer in self.asked:
            if asked is command and not answer.called:
                answer.callback({})

    def die(self, reason=None):
        for _, _, answer in self.asked:
            if not answer.called:
                answer.addErrback(lambda _: None)
                answer.errback(Failure(ConnectionDone()))
        self.pipes.processEnded(Failure(reason or ProcessTerminated(signal=9)))


READY = {
    commands.Configure: {},
    commands.Recover: {"found": b"[]", "more": False},
    commands.Status: {"status": b'{"waiting": 3}'},
}


class Recording:
    session, path, key, head = "S", "/p/S", "ab", "cd"


class CuratorTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.children = []
        self.script = dict(READY)
        self.alarms = []
        self.curator = Curator(self.spawn, self.clock, lambda: b"{}" * 50_000, lambda alarm, fields: self.alarms.append(alarm))

    def spawn(self, pipes):
        self.children.append(Child(pipes, self.script))

    def started(self):
        self.successResultOf(self.curator.recover())
        return self.children[-1]

    def test_start(self):
        line = ["S", "/p", "recovered", 5, ""]
        self.script[commands.Recover] = {"found": json.dumps([line]).encode(), "more": False}
        self.assertEqual(self.curator.state, "down")
        found = self.successResultOf(self.curator.recover())
        self.assertEqual(found, [Recovered(*line)])
        child = self.children[0]
        self.assertEqual(b"".join(each["piece"] for each in child.of(commands.Configure)), b"{}" * 50_000)
        self.assertEqual([each["last"] for each in child.of(commands.Configure)], [False, True])
        self.assertEqual(child.of(commands.Recover), [{"fresh": True}])
        self.clock.advance(0)
        self.assertEqual(self.curator.status(), {"waiting": 3, "state": "ready", "starts": 1})

    def test_again(self):
        """It died: a new start, later each time; a session that waited gets its leaf; only the first start recovers."""
        child = self.started()
        opened = self.curator.opened(Recording)
        child.die()
        self.assertEqual((self.curator.state, self.alarms), ("down", ["curator-down"]))
        self.clock.advance(FIRST)
        again = self.children[1]
        self.assertEqual(again.of(commands.Recover), [{"fresh": False}])
        self.assertEqual(again.of(commands.Opened), [{"session": "S", "path": "/p/S", "key": "ab", "head": "cd"}])
        again.asked[[each[0] for each in again.asked].index(commands.Opened)][2].callback({"index": 9})
        self.assertEqual(self.successResultOf(opened), 9)
        again.die()
        self.clock.advance(FIRST)
        self.assertEqual(len(self.children), 2)
        self.clock.advance(FIRST)
        self.assertEqual(len(self.children), 3)
        self.clock.advance(STEADY + 1)
        self.children[2].die()
        self.clock.advance(FIRST)
        self.assertEqual(len(self.children), 4)

    def test_neverStarts(self):
        """The gateway's own start fails when it dies again and again, and says so."""
        del self.script[commands.Configure]
        started = self.curator.recover()
        for _ in range(TRIES):
            self.children[-1].die()
            self.clock.pump([1] * 3)
        self.failureResultOf(started, CuratorFailed)
        self.assertEqual(len(self.children), TRIES)

    def test_canNotWork(self):
        """What it says itself is told at once."""
        self.script[commands.Configure] = CuratorFailed("data/ledger is damaged")
        started = self.curator.recover()
        self.assertIn("damaged", str(self.failureResultOf(started, CuratorFailed).value))
        self.assertEqual(self.children[0].transport.signals, ["KILL"])
        self.children[0].die()
        self.clock.advance(60)
        self.assertEqual(len(self.children), 1)

    def test_noProcess(self):
        spawn = self.spawn
        self.curator._spawn = lambda pipes: (_ for _ in ()).throw(OSError(11, "Resource temporarily unavailable"))
        started = self.curator.recover()
        self.assertNoResult(started)
        self.curator._spawn = spawn
        self.clock.advance(FIRST)
        self.successResultOf(started)

    def test_hints(self):
        """More than it answers are not sent; it looks for itself instead."""
        child = self.started()
        for number in range(HINTS + 10):
            self.curator.sealed("S", "/p", number)
        self.assertEqual(len(child.of(commands.Sealed)), HINTS)
        child.answerAll(commands.Sealed)
        self.assertEqual(child.of(commands.Survey), [{}])
        child.answerAll(commands.Survey)
        self.curator.recordingEnded("S", "/p")
        self.assertEqual(child.of(commands.Ended), [{"session": "S", "path": "/p", "segment": -1, "digest": ""}])
        child.die()
        self.curator.sealed("S", "/p", 1)  # nobody is there: it looks when it starts

    def test_hung(self):
        child = self.started()
        self.clock.advance(0)
        del self.script[commands.Status]
        self.clock.pump([LOOK] * int(HUNG / LOOK + 2))
        self.assertEqual(child.transport.signals, ["KILL"])
        self.assertEqual(self.alarms, ["curator-hung"])

    def test_stop(self):
        """It finishes what it has, its input ends, and nobody is started again."""
        child = self.started()
        stopped = self.curator.stop()
        self.assertFalse(child.transport.closed)
        self.assertEqual(child.of(commands.Stop), [{"seconds": FINISH}])
        child.answerAll(commands.Stop)
        self.assertTrue(child.transport.closed)
        self.assertNoResult(stopped)
        child.die(ProcessDone(0))
        self.successResultOf(stopped)
        self.assertEqual((self.clock.getDelayedCalls(), self.alarms), ([], []))

    def test_stopHung(self):
        child = self.started()
        stopped = self.curator.stop()
        self.clock.advance(FINISH + 1)
        self.assertTrue(child.transport.closed)
        self.clock.advance(EXIT)
        self.assertEqual(child.transport.signals, ["KILL"])
        child.die()
        self.successResultOf(stopped)

    def test_stopBeforeStart(self):
        self.successResultOf(self.curator.stop())
        self.failureResultOf(self.curator.opened(Recording), CuratorFailed)

    def test_itsLog(self):
        child = self.started()
        child.pipes.errReceived(b"info all ")
        child.pipes.errReceived(b"well\nTraceback: x\nwarn " + b"y" * 10_000)
        self.assertLess(len(child.pipes._rest), 5000)

    def test_silent(self):
        """It lives and does not answer: no session can begin, and nobody is told otherwise until it is killed, or answers."""
        child = self.started()
        self.clock.advance(0)
        del self.script[commands.Status]
        self.clock.pump([1] * int(SILENT))
        self.assertEqual(self.curator.status()["state"], "ready")
        self.clock.pump([1] * int(LOOK))
        self.assertEqual((self.curator.status()["state"], self.curator.state), ("silent", "ready"))
        next(answer for asked, _, answer in child.asked if asked is commands.Status and not answer.called).callback(
            {"status": b'{"waiting": 0}'}
        )
        self.assertEqual(self.curator.status()["state"], "ready")

    def test_alarmsPaced(self):
        """A ledger that takes nothing is told some times a minute, not once for each session that is refused."""
        self.script[commands.Opened] = CuratorFailed("the ledger can not be written: No space left on device")
        self.started()
        for _ in range(10 * ALARMS):
            self.failureResultOf(self.curator.opened(Recording), CuratorFailed)
        self.assertEqual(self.alarms, ["ledger"] * ALARMS)

    def test_alarm(self):
        child = self.started()
        child.pipes.peer.alarm("quarantined", "S")
        child.pipes.peer.progress(1, 2)
        self.assertEqual(self.alarms, ["quarantined"])


class SpawnTests(SynchronousTestCase):
    def test_environment(self):
        """Nothing of the gateway's environment reaches it, and no secret stands in its arguments."""
        made = []

        class Reactor:
            def spawnProcess(self, *arguments, **more):
                made.append((arguments, more))

        os.environ["HOOPX_TEST_SECRET"] = "s3cret"
        self.addCleanup(os.environ.pop, "HOOPX_TEST_SECRET")
        spawner(Reactor())("protocol")
        ((arguments, more),) = made
        self.assertEqual(arguments, ("protocol", sys.executable, [sys.executable, "-m", "hoopx.curator"]))
        self.assertEqual(set(more["env"]), {"PYTHONPATH"})
        self.assertEqual(more["path"], "/")
