"""The program: it ends with its input, its output is the pipe's alone, and signals are the gateway's business."""

import os
import signal
import subprocess
import sys

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hoopx.curator import asking
from hoopx.curator.commands import CuratorFailed
from hoopx.curator.pipes import spawner
from hoopx.curator.process import Curator
from hoopx.curator.settings import CuratorSettings, dump
from tests.curator.rig import PATIENT
from tests.peers.harness.waiting import until


class ProgramTests(SynchronousTestCase):
    def start(self):
        child = subprocess.Popen(
            [sys.executable, "-m", "hoopx.curator"], stdin=-1, stdout=-1, stderr=-1,
            env={"PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path)}, cwd="/",
        )  # fmt: skip
        self.addCleanup(lambda: child.poll() is None and child.kill())
        return child

    def test_endsWithInput(self):
        child = self.start()
        output, log = child.communicate(timeout=PATIENT)
        self.assertEqual((child.returncode, output), (0, b""), log)

    def test_endsWithGateway(self):
        """A gateway that is killed reads no log any more: the curator ends all the same, and lets go of the ledger."""
        child = self.start()
        for stream in (child.stderr, child.stdout, child.stdin):
            stream.close()
        self.assertEqual(child.wait(PATIENT), 0)

    def test_signals(self):
        """Ctrl-C reaches the whole process group: the gateway ends its sessions first, and needs the curator for it."""
        child = self.start()
        wanted = {"SIGINT", "SIGTERM", "SIGHUP"}
        until(lambda: wanted <= self.ignored(child.pid), "all of its signals to be ignored", PATIENT)
        child.communicate(timeout=PATIENT)

    def ignored(self, pid):
        """Names of the signals that the process ignores at this moment."""
        with open(f"/proc/{pid}/status") as file:
            (mask,) = [int(line.split()[1], 16) for line in file if line.startswith("SigIgn")]
        return {number.name for number in signal.Signals if mask >> number - 1 & 1}


class RealTests(TestCase):
    timeout = PATIENT

    def setUp(self):
        self.patch(asking, "PATIENCE", PATIENT)  # a new start takes a second, but not on every machine
        self.data = os.path.abspath(self.mktemp())
        os.makedirs(self.data)
        self.alarms = []

    def curator(self, **settings):
        configuration = dump(CuratorSettings(self.data, "gw", **settings))
        curator = Curator(spawner(reactor), reactor, lambda: configuration, lambda alarm, fields: self.alarms.append(alarm))
        self.addCleanup(curator.stop)
        return curator

    @inlineCallbacks
    def test_killed(self):
        """A real one: a leaf, killed, a leaf again, the end."""
        curator = self.curator()
        self.assertEqual((yield curator.recover()), [])
        first = yield curator.audit("00" * 32)
        curator._pipes.transport.signalProcess("KILL")
        second = yield curator.audit("01" * 32)
        self.assertEqual((first, second), (0, 1))
        self.assertEqual(curator.status()["starts"], 2)
        self.assertEqual(self.alarms, ["curator-down"])

    @inlineCallbacks
    def test_nothingWorks(self):
        """It says why, and the start fails."""
        curator = self.curator(signingKey=b"no key at all")
        failed = yield self.assertFailure(curator.recover(), CuratorFailed)
        self.assertIn("signing key", str(failed))
