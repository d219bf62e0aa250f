"""A view that does not come to an end, in the index's process: its session is not indexed, and everything else goes on."""

import os
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.apart import GIVEN_UP, Apart, IndexFailed
from hoopx.curator.overseer import Overseer, used
from hoopx.curator.settings import CuratorSettings
from hoopx.frames import segmentName
from hoopx.index.store import address, openForReading
from hoopx.index.writer import BLIND
from tests.curator.rig import PATIENT, Recorded

LOOPS = """
import os, sys, time
sys.setswitchinterval({switch})
from hoopx import registry
found = dict(registry.protocols())

def here():
    with open(f"{{sys.argv[1]}}.{{os.getpid()}}", "a"):
        pass

def step():
    with open(f"{{sys.argv[1]}}.steps", "ab", 0) as file:
        file.write(b"x")
        count = file.tell()
    for other in ("looked", "told"):
        while os.path.getsize(f"{{sys.argv[1]}}.{{other}}") < count:
            time.sleep(0.01)

class View:
    def __init__(self, view):
        self.view = view
    def feed(self, frame):
        if {where}:
            here()
            {how}
        return self.view.feed(frame)
    def finish(self):
        return self.view.finish()

class Recorder:
    def view(self):
        return View(found["raw"].view())

registry.protocols = lambda: {{**found, "raw": Recorder()}}
from hoopx.curator.indexer import main
main()
"""
"""
The index's program, with a view that does not come to an end; a file tells when it is there. C{step} goes on when the overseer has looked,
and been told of the progress.
"""
REGEX = "import re; re.match('(a+)+b', 'a' * 60)"
"""Nothing else runs in a process meanwhile, no thread and no signal's handler."""


class Since:
    """What a process has used since its view is where it stays: how long it takes until there, on a slow machine, plays no part."""

    def __init__(self, place):
        self.place = place
        self.began = {}

    def __call__(self, pid):
        run, waited = used(pid)
        now = time.monotonic()
        if not os.path.exists(f"{self.place}.{pid}"):
            return 0.0, now  # as if it had waited for a processor all the time
        began = self.began.setdefault(pid, (run, waited, now))
        return run - began[0], began[2] + waited - began[1]


class Steps:
    """Each step is 0.4 seconds of a processor."""

    def __init__(self, place):
        self.place = place
        for each in ("steps", "looked", "told"):
            with open(f"{place}.{each}", "wb"):
                pass

    def __call__(self, pid):
        used(pid)
        count = os.path.getsize(f"{self.place}.steps")
        os.truncate(f"{self.place}.looked", count)
        return 0.4 * count, time.monotonic()

    def watch(self, child):
        overseer = Overseer(child, 1.0, 60.0, 0.05, self)
        progress = overseer.progress

        def told():
            progress()
            with open(f"{self.place}.told", "ab", 0) as file:
                file.write(b"x")

        overseer.progress = told
        return overseer


class StuckTests(SynchronousTestCase):
    """A view that never comes to an end, in a process of its own: one session is not indexed, and everything else goes on."""

    def setUp(self):
        self.data = os.path.abspath(self.mktemp())
        self.recorded = Recorded(self.data)
        self.children = []

    def made(self, how, where="b'the end' in frame.payload", idle=60.0, watch=None):
        program = LOOPS.format(how=how, where=where, switch=0.005)
        place = os.path.abspath(self.mktemp())

        def spawn():
            child = subprocess.Popen([sys.executable, "-c", program, place], stdin=-1, stdout=-1, stderr=-1)
            self.children.append(child)
            self.addCleanup(self.end, child)
            return child

        since = Since(place)
        watch = watch(place) if watch else lambda child: Overseer(child, 0.5, idle, 0.05, since)
        apart = Apart(CuratorSettings(self.data, "gw"), spawn, watch)
        self.addCleanup(apart.close)
        return apart

    def end(self, child):
        child.kill()
        child.wait(PATIENT)
        for stream in (child.stdin, child.stdout):
            stream.close()

    def segment(self, apart, recording, number):
        apart.segment(recording.session, os.path.join(recording.path, segmentName(number)), number)

    def rows(self, question):
        engine = openForReading(address("sqlite:", Path(self.data)))
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(question))]

    def stuck(self, how, **more):
        """The last segment of a session of three does not come to an end."""
        recording = self.recorded.session(3)
        apart = self.made(how, **more)
        self.segment(apart, recording, 0)
        self.segment(apart, recording, 1)
        error = self.assertRaises(IndexFailed, self.segment, apart, recording, 2)
        self.assertIn("not asked any more", str(error))
        self.flushLoggedErrors()
        (row,) = self.rows("SELECT segments, partial, state, target FROM sessions")
        self.assertEqual(row, (3, 1, "complete", "orders"))
        ((what, why),) = self.rows("SELECT text, parameters FROM items WHERE text LIKE 'not indexed%'")
        self.assertEqual((what, why.startswith("with segment 2 it has ")), (BLIND, True))
        self.assertEqual(len(self.children), 2)
        return apart

    def test_loops(self):
        self.stuck("while True: pass")

    def test_regex(self):
        self.stuck(REGEX)

    def test_sleeps(self):
        self.stuck("time.sleep(1000)", idle=1.0)

    def test_others(self):
        """A session that is marked is not asked again, also by the next process; others are indexed."""
        apart = self.made("while True: pass", "len(frame.payload) > 4000")
        bad, good = self.recorded.session(3), self.recorded.session(1)
        self.assertRaises(IndexFailed, self.segment, apart, bad, 0)
        self.segment(apart, good, 0)
        self.segment(apart, bad, 1)
        self.children[-1].kill()
        self.children[-1].wait()
        self.segment(apart, bad, 2)
        self.assertEqual(self.rows("SELECT segments, partial FROM sessions ORDER BY session"), [(3, 1), (1, 0)])
        self.assertEqual(len(self.children), 3)

    def test_givenUp(self):
        """A protocol whose views do it again and again is not asked any more: each of them would cost a minute."""
        apart = self.made("while True: pass")
        for _ in range(GIVEN_UP):
            self.assertRaises(IndexFailed, self.segment, apart, self.recorded.session(1), 0)
        self.flushLoggedErrors()
        count = len(self.children)
        for _ in range(3):
            self.segment(apart, self.recorded.session(1), 0)
        self.assertEqual(len(self.children), count)
        self.assertEqual(self.rows("SELECT count(*) FROM items WHERE text LIKE 'not indexed%'"), [(GIVEN_UP + 3,)])

    def test_long(self):
        """What is read again is bounded segment by segment, and not together."""
        recording = self.recorded.session(5)
        apart = self.made("step()", "len(frame.payload) > 4000", watch=lambda place: Steps(place).watch)
        self.segment(apart, recording, 4)
        self.assertEqual(self.rows("SELECT segments, partial FROM sessions"), [(5, 0)])
        self.assertEqual(len(self.children), 1)
