"""
C{kill -9} at random moments: everything that was acknowledged is in the recovered recording, which says that it is one.

Short by default; C{HOOPX_LONG=1} kills 200 times.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import DATA, DONE, RECOVERED
from hoopx.ledger.keys import publicKey
from hoopx.reading import readSession
from hoopx.recording.verify import verifySession
from tests.recording.rig import Rig

TIMES = 200 if os.environ.get("HOOPX_LONG") else 8
CHILD = """
import os, sys, time
from twisted.internet.task import Clock
from twisted.internet.defer import maybeDeferred
from hoopx.recording.store import Recordings
from hoopx.recording.settings import RecordingSettings
class Now:
    def call(self, work, *arguments):
        return maybeDeferred(work, *arguments)
def fail(failure):
    failure.printTraceback()
    os._exit(3)
clock = Clock()
store = Recordings(sys.argv[1], node="n", version="1", plugins={}, clock=clock, threads=Now(),
    settings=RecordingSettings(reserve=0, refuseBelow=0, size=20000, age=0.05, durability=sys.argv[2]))
store.start().addErrback(fail)
recordings = []
for _ in range(3):
    store.open({}).addCallbacks(recordings.append, fail)
number = 0
while True:
    for recording in recordings:
        number += 1
        size = 400000 if number % 97 == 0 else number % 400
        safe = recording.append(0, 1 + number % 2, 1, b"%012d" % number + b"x" * size)
        if safe is not None:
            safe.addErrback(fail)
            assert safe.called
        os.write(1, b"%s %012d\\n" % (recording.session.encode(), number))  # what the peer received
    if number % 30 == 0:
        clock.advance(1)
    if number % 700 == 0:
        recordings.pop(0).close("enough")
        store.open({}).addCallbacks(recordings.append, fail)
"""


class KillTests(SynchronousTestCase):
    def test_kill(self):
        for number in range(TIMES):
            self.killOnce(random.uniform(0.0, 0.25), "synced" if number % 4 == 3 else "written")

    def killOnce(self, delay, durability):
        data = self.mktemp()
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, data, durability],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path)),
        )
        said = b""
        wanted = random.randrange(1, 2 + int(delay * 20000))
        while said.count(b"\n") < wanted and (data_ := os.read(child.stdout.fileno(), 8192)):
            said += data_
        child.send_signal(signal.SIGKILL)
        more, errors = child.communicate()
        self.assertEqual((child.returncode, errors), (-9, b""))
        acknowledged = {}
        for line in (said + more).decode().splitlines():
            if len(line) == 39:
                session, payload = line.split()
                acknowledged.setdefault(session, []).append(payload)
        rig = Rig(data, reserve=0)
        self.successResultOf(rig.store.start())
        self.assertEqual({one.outcome for one in rig.store.recovered} - {"recovered", "finished", "removed"}, set())
        paths = {}
        for place, _, names in os.walk(os.path.join(data, "recordings")):
            if names:
                paths[os.path.basename(place)] = place
        self.assertLessEqual(set(acknowledged), set(paths))
        for session, expected in acknowledged.items():
            frames = list(readSession(paths[session]))
            found = [frame.payload[:12].decode() for frame in frames if frame.kind == DATA]
            self.assertEqual(found[: len(expected)], expected)
            self.assertLessEqual(len(found), len(expected) + 1)  # recorded, not yet forwarded
            verdict = verifySession(paths[session], publicKey(data))
            self.assertEqual((verdict.state, verdict.problems), ("complete" if frames[-2].kind == DONE else "recovered", []))
            self.assertIn(frames[-2].kind, (DONE, RECOVERED))
        self.assertTrue(any(one.outcome == "recovered" for one in rig.store.recovered))
        again = Rig(data)
        self.assertIn("belongs", str(self.failureResultOf(again.store.start()).value))
        self.successResultOf(rig.store.stop())
        self.successResultOf(again.store.start())
        self.assertEqual(again.store.recovered, [])
        self.successResultOf(again.store.stop())
