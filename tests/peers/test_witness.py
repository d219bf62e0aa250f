"""
C{hoopx witness} as a process: over HTTP, killed again and again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from http.client import HTTPConnection

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.note import Verifier, openNote, split
from tests.peers.harness.finding import LONG, require
from tests.peers.harness.ports import freePort
from tests.peers.harness.waiting import PATIENCE
from tests.witness.rig import LEDGER, checkpoint, request
from tests.witness.test_witness import FORK

KILLS = 30 if LONG else 4


class Process:
    def __init__(self, data, port, program=()):
        self.url = f"http://127.0.0.1:{port}"
        argv = [*(program or [require("hoopx")]), "witness", "--data", data, "--name", "w.example", "--ledger", LEDGER.vkey]
        argv += ["--listen", f"tcp:{port}:interface=127.0.0.1"]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("Its key is "):
                self.verifier = Verifier.parse(line.split()[-1])
                return
        raise AssertionError("".join(self.said))

    def add(self, body):
        """@return: status and body."""
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{self.url}/add-checkpoint", body), timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def end(self, number):
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, "".join(self.said) + rest


class WitnessTests(SynchronousTestCase):
    def start(self, *program):
        process = Process(self.data, self.port, program)
        self.addCleanup(process.process.stderr.close)
        self.addCleanup(process.process.wait)
        self.addCleanup(process.process.kill)
        return process

    def setUp(self):
        self.data = os.path.abspath(self.mktemp())
        self.port = freePort()

    def test_killed(self):
        """What it has cosigned it remembers, whenever it is killed; it never cosigns another story."""
        size = 0
        for _ in range(KILLS):
            witness = self.start()
            for new in range(size + 1, size + 4):
                status, body = witness.add(request(new - 1, new))
                self.assertEqual(status, 200, body)
                openNote(split(checkpoint(new))[0] + b"\n" + body, [witness.verifier])
            size += 3
            self.assertEqual(witness.add(request(0, 1))[:2], (409, b"%d\n" % size))
            if size > 5:
                self.assertEqual(witness.add(request(size, size + 5, FORK))[0], 422)
            witness.end(signal.SIGKILL)

    def test_alarm(self):
        """Its log says who has forked; it ends when it is told to."""
        witness = self.start()
        witness.add(request(0, 1000))
        self.assertEqual(witness.add(request(1000, 1000, FORK))[0], 409)
        self.assertEqual(witness.add(request(0, 7))[0], 409)
        status, said = witness.end(signal.SIGTERM)
        self.assertEqual(status, 0, said)
        self.assertIn("ALARM: the ledger gw1.00000000 has forked", said)
        self.assertIn("shows 7 leaves after 1000", said)

    def test_clockSet(self):
        """The clock is set forward by a day: no connection is over its time for that."""
        script = (
            "import os, signal, time\nreal, ahead = time.time, []\ntime.time = lambda: real() + 86400 * len(ahead)\n"
            "signal.signal(signal.SIGUSR1, lambda *_: ahead.append(1))\nfrom hoopx.cli.main import main; main()"
        )
        witness = self.start(sys.executable, "-c", script)
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as idle:
            idle.request("GET", "/")
            self.assertIn(b"w.example", idle.getresponse().read())
            socket = idle.sock
            witness.process.send_signal(signal.SIGUSR1)
            for size in (1, 2, 3):  # turns of its reactor, and signatures that say when
                status, body = witness.add(request(size - 1, size))
                self.assertEqual(status, 200, body)
            _, (signature,) = openNote(split(checkpoint(3))[0] + b"\n" + body, [witness.verifier])
            self.assertGreater(signature.timestamp, time.time() + 80000)
            idle.request("GET", "/")
            self.assertIn(b"w.example", idle.getresponse().read())
            self.assertIs(idle.sock, socket)  # the same connection

    def test_portTaken(self):
        witness = self.start()
        other = subprocess.run(
            [require("hoopx"), "witness", "--data", self.data + "2", "--name", "x.example", "--ledger", LEDGER.vkey]
            + ["--listen", f"tcp:{self.port}:interface=127.0.0.1"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(other.returncode, 1)
        self.assertIn("Couldn't listen", other.stderr)
        again = subprocess.run(
            [require("hoopx"), "witness", "--data", self.data, "--ledger", LEDGER.vkey], capture_output=True, text=True, timeout=PATIENCE
        )
        self.assertEqual((again.returncode, "another witness" in again.stderr), (1, True), again.stderr)
        witness.end(signal.SIGTERM)
