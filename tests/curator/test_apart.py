"""The index's process: it does what the index does, comes back when it was killed, and ends with the curator."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator import apart as module
from hoopx.curator import overseer
from hoopx.curator.apart import NICE, Apart, IndexFailed, Stuck, start
from hoopx.curator.indexer import serve
from hoopx.curator.overseer import Overseer, used
from hoopx.curator.settings import CuratorSettings, load
from hoopx.frames import segmentName
from hoopx.index.store import address, openForReading
from tests.curator.rig import PATIENT, Recorded


class ApartTests(SynchronousTestCase):
    def setUp(self):
        self.data = os.path.abspath(self.mktemp())
        self.recording = Recorded(self.data).session(3)
        self.children = []
        self.apart = Apart(CuratorSettings(self.data, "gw"), self.spawn)
        self.patch(module, "CLOSING", PATIENT)
        self.addCleanup(self.apart.close)

    def spawn(self):
        child = start()
        self.children.append(child)
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        child.stdin.close()
        self.assertIsNotNone(child.wait(PATIENT))
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
        until = time.monotonic() + PATIENT
        while (swept := self.apart.sweep()) is False:  # it is done a part at a time, by the clock
            self.assertLess(time.monotonic(), until)
        self.assertIs(swept, True)
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

    def test_killedWhileItAnswers(self):
        """It took too long for one session, and has answered all the same: the next one is not said to be at fault."""

        class Late(Overseer):
            def end(self):
                super().end()
                self.stuck = "it has worked for 60 s without coming to an end"
                self._child.kill()

        late = [Late]
        self.apart._watch = lambda child: (late.pop() if late else Overseer)(child)
        self.segment(0)
        self.segment(1)
        self.assertEqual((self.said("SELECT segments FROM sessions"), len(self.children)), (2, 2))


class DeadTests(SynchronousTestCase):
    def setUp(self):
        self.patch(module, "CLOSING", PATIENT)

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
        told = load(Apart(settings, now=lambda: 7.5)._settings)
        self.assertEqual(told.since, 7.5)
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
