"""The index's process: it does what the index does, comes back when it was killed, and ends with the curator."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator import apart as module
from hoopx.curator import overseer
from hoopx.curator.apart import GIVEN_UP, NICE, Apart, IndexFailed, Stuck, start
from hoopx.curator.indexer import serve
from hoopx.curator.overseer import Overseer, used
from hoopx.curator.settings import CuratorSettings, load
from hoopx.frames import segmentName
from hoopx.index.store import address, openForReading
from hoopx.index.writer import BLIND
from tests.curator.rig import Recorded


class ApartTests(SynchronousTestCase):
    def setUp(self):
        self.data = os.path.abspath(self.mktemp())
        self.recording = Recorded(self.data).session(3)
        self.children = []
        self.apart = Apart(CuratorSettings(self.data, "gw"), self.spawn)

    def spawn(self):
        child = start()
        self.children.append(child)
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        child.stdin.close()
        self.assertIsNotNone(child.wait(60))
        child.stdout.close()

    def segment(self, number):
        self.apart.segment(self.recording.session, os.path.join(self.recording.path, segmentName(number)), number)

    def said(self, question):
        engine = openForReading(address("sqlite:", Path(self.data)))
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            return connection.execute(text(question)).scalar()

    def test_segments(self):
        """It ends when its input does: L{end} would wait in vain."""
        for number in (0, 0, 1, 2):
            self.segment(number)
        self.assertEqual(self.said("SELECT segments FROM sessions"), 3)
        self.assertEqual(self.apart.head(self.recording.session)["target"], "orders")
        self.assertTrue(self.apart.erase(self.recording.session))
        self.assertEqual(self.said("SELECT count(*) FROM sessions"), 0)
        self.assertEqual(len(self.children), 1)

    def test_looksAround(self):
        """What the curator asks it besides: whose sessions there are, what is on the disk, what is left of those that were erased."""
        self.assertIsNone(self.apart.head(self.recording.session))
        self.assertIs(self.apart.sweep(), True)
        self.assertEqual(self.apart.head(self.recording.session)["target"], "orders")
        self.assertEqual(self.said("SELECT count(*) FROM days"), 1)
        self.assertTrue(self.apart.clean())
        self.assertEqual(len(self.children), 1)

    def test_close(self):
        """The index is closed: nothing stands in its log any more, which is gone. And it can be asked again."""
        self.segment(0)
        self.assertTrue(os.path.exists(os.path.join(self.data, "index.sqlite-wal")))
        self.apart.close()
        self.assertEqual(self.children[0].returncode, 0)
        self.assertEqual([name for name in os.listdir(self.data) if "-wal" in name or "-shm" in name], [])
        self.apart.close()
        self.segment(1)
        self.assertEqual(self.said("SELECT segments FROM sessions"), 2)

    def test_hangs(self):
        """One that does not answer is not waited for without end, and the next question has a process that does."""
        self.patch(module, "ANSWER", 0.2)
        self.assertRaises(IndexFailed, self.stopped)
        self.patch(module, "ANSWER", 60.0)
        self.segment(0)
        self.assertEqual(len(self.children), 2)

    def stopped(self):
        spawn = self.apart._spawn

        def stop():
            child = spawn()
            child.send_signal(signal.SIGSTOP)
            return child

        self.apart._spawn = stop
        try:
            self.apart.sweep()
        finally:
            self.apart._spawn = spawn

    def test_killed(self):
        """It is started again, and nothing is missing."""
        self.segment(0)
        self.children[0].send_signal(signal.SIGKILL)
        self.children[0].wait()
        self.segment(1)
        self.assertEqual(self.said("SELECT segments FROM sessions"), 2)
        self.assertEqual(len(self.children), 2)

    def test_priority(self):
        self.segment(0)
        here = os.getpriority(os.PRIO_PROCESS, 0)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, self.children[0].pid), min(19, here + NICE))

    def test_streams(self):
        """None of them is the curator's: the gateway waits for the end of those when the curator has ended."""
        self.segment(0)
        child = self.children[0]
        theirs = [os.readlink(f"/proc/{child.pid}/fd/{number}") for number in (0, 1, 2)]
        stdin, stderr = (os.readlink(f"/proc/self/fd/{stream.fileno()}") for stream in (child.stdin, child.stderr))
        self.assertEqual(theirs, [stdin, stderr, stderr])

    def test_fails(self):
        """What goes wrong there is told here, and it goes on."""
        missing = os.path.join(self.recording.path, segmentName(7))
        error = self.assertRaises(IndexFailed, self.apart.segment, self.recording.session, missing, 7)
        self.assertIn("FileNotFoundError", str(error))
        self.segment(0)
        self.assertEqual(len(self.children), 1)


LOOPS = """
import sys, time
sys.setswitchinterval({switch})
from hoopx import registry
found = dict(registry.protocols())

class View:
    def __init__(self, view):
        self.view = view
    def feed(self, frame):
        if {where}:
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
"""The index's program, with a view that does not come to an end."""
REGEX = "import re; re.match('(a+)+b', 'a' * 60)"
"""Nothing else runs in a process meanwhile, no thread and no signal's handler."""


class StuckTests(SynchronousTestCase):
    """A view that never comes to an end, in a process of its own: one session is not indexed, and everything else goes on."""

    timeout = 60

    def setUp(self):
        self.data = os.path.abspath(self.mktemp())
        self.recorded = Recorded(self.data)
        self.children = []

    def made(self, how, where="b'the end' in frame.payload", idle=60.0):
        program = LOOPS.format(how=how, where=where, switch=0.005)

        def spawn():
            child = subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, stderr=-1)
            self.children.append(child)
            self.addCleanup(self.end, child)
            return child

        return Apart(CuratorSettings(self.data, "gw"), spawn, lambda child: Overseer(child, 0.5, idle, 0.05))

    def end(self, child):
        child.kill()
        child.wait(60)
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
        apart = self.made("time.sleep(0.4)", "len(frame.payload) > 4000", idle=1.0)
        self.segment(apart, recording, 4)
        self.assertEqual(self.rows("SELECT segments, partial FROM sessions"), [(5, 0)])
        self.assertEqual(len(self.children), 1)


class DeadTests(SynchronousTestCase):
    def test_givesUp(self):
        """A process that dies at once is tried again once, and not for ever."""
        children = []

        def spawn():
            children.append(subprocess.Popen([sys.executable, "-c", ""], stdin=-1, stdout=-1, stderr=-1))
            return children[-1]

        apart = Apart(CuratorSettings("/nowhere", "gw"), spawn)
        self.assertRaises(IndexFailed, apart.segment, "S", "/nowhere/000000.hxr", 0)
        self.assertEqual(len(children), 2)
        self.assertTrue(all(child.returncode is not None for child in children))

    def test_notStarted(self):
        """One that was killed for a session is followed by none that can be started: that is not the next session's fault."""

        class Killed:
            stuck = "it has worked for 60 s without coming to an end"
            close = begin = end = lambda self, *arguments: None

        def spawn():
            if children:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            children.append(subprocess.Popen([sys.executable, "-c", ""], stdin=-1, stdout=-1, stderr=-1))
            return children[-1]

        children = []
        apart = Apart(CuratorSettings("/nowhere", "gw"), spawn, lambda child: Killed())
        self.assertRaises(IndexFailed, apart.segment, "S", "/nowhere/000000.hxr", 0)
        self.assertNotIsInstance(self.assertRaises(IndexFailed, apart.segment, "T", "/nowhere/000000.hxr", 0), Stuck)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_used(self):
        """Also where the kernel keeps no count of who waits for a processor."""
        self.assertGreater(used(os.getpid())[0], 0)
        real = open

        def without(name, *arguments):
            if name.endswith("schedstat"):
                raise FileNotFoundError(2, "No such file", name)
            return real(name, *arguments)

        overseer.open = without
        self.addCleanup(delattr, overseer, "open")
        self.assertGreater(used(os.getpid())[0], 0)
        self.assertRaises(OSError, used, 2**22 + 1)

    def test_secrets(self):
        """It is told the index's secret, and no other one."""
        settings = CuratorSettings("/d", "gw", indexUrl="postgresql://u:p@h/d", signingKey=b"k", secrets={"s3.secret_key": b"s"})
        told = load(Apart(settings)._settings)
        self.assertEqual((told.indexUrl, told.signingKey, dict(told.secrets)), (settings.indexUrl, None, {}))


class ServeTests(SynchronousTestCase):
    def test_serve(self):
        class Fake:
            def segment(self, *arguments):
                raise ValueError("no")

            def erase(self, *sessions):
                return len(sessions) == 2

        asked = [{"do": "segment", "with": ["S", "p", 0]}, {"do": "erase", "with": ["S", "T"]}]
        sink = io.BytesIO()
        serve(io.BytesIO(b"".join(json.dumps(each).encode() + b"\n" for each in asked)), sink, Fake())
        self.assertEqual([json.loads(each) for each in sink.getvalue().splitlines()], [{"error": "ValueError: no"}, {"answer": True}])
