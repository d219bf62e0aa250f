"""Segments reach the index, in order, and not twice."""

import os
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator import indexing as module
from hoopx.curator.indexer import made
from hoopx.curator.indexing import Indexing
from hoopx.curator.leisure import Leisure
from hoopx.curator.settings import CuratorSettings
from hoopx.errors import ConfigurationError
from hoopx.frames import segmentName
from hoopx.index.days import strangers
from hoopx.registry import protocols
from hoopx.ulid import ulidTime
from tests.curator.rig import PATIENT, Recorded


class Asked:
    """
    A lock that tells that somebody wants to have it.

    @ivar lock: the lock itself.
    """

    def __init__(self, lock):
        self.lock = lock
        self.asked = Event()

    def __enter__(self):
        self.asked.set()
        return self.lock.__enter__()

    def __exit__(self, *how):
        return self.lock.__exit__(*how)


class IndexingTests(SynchronousTestCase):
    def setUp(self):
        self.patch(module, "SWEEP", PATIENT)  # in one go, however slow the machine is

    def test_segments(self):
        data = self.mktemp()
        recording = Recorded(data).session(3)
        indexing = Indexing(CuratorSettings(data, "gw"), protocols())
        for number in (0, 0, 1, 2, 1):
            indexing.segment(recording.session, os.path.join(recording.path, segmentName(number)), number)
        with indexing._writer.engine.connect() as connection:
            rows = connection.execute(text("SELECT session, target, segments FROM sessions")).all()
        self.assertEqual(rows, [(recording.session, "orders", 3)])
        self.assertTrue(indexing.erase(recording.session))
        with indexing._writer.engine.connect() as connection:
            self.assertEqual(connection.execute(text("SELECT count(*) FROM sessions")).scalar(), 0)
        indexing._writer.engine.dispose()

    def test_pauses(self):
        """Its process takes its time; it is asked to while a session's view is fed, and locks nothing in the database meanwhile."""
        data = self.mktemp()
        recording = Recorded(data).session(1)
        indexing = made(CuratorSettings(data, "gw"))
        self.assertIsInstance(indexing.pause, Leisure)
        looked = []

        def pause():
            with indexing._writer.engine.begin() as connection:
                looked.append(connection.execute(text("DELETE FROM labels")).rowcount)

        indexing.pause = pause
        indexing.segment(recording.session, os.path.join(recording.path, segmentName(0)), 0)
        self.assertEqual(looked, [0])
        indexing.close()

    def test_sweep(self):
        """What is on the disk and was never told is put down; then nothing is left to be looked for on the disk."""
        data = self.mktemp()
        recording = Recorded(data).session(2)
        indexing = Indexing(CuratorSettings(data, "gw"), protocols())
        indexing.sweep()
        engine = indexing._sweeper.engine
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT session, state FROM sessions")).all()
            self.assertEqual(rows, [(recording.session, "complete")])
            self.assertEqual(list(strangers(connection, data, "gw")), [])
        found = indexing.head(recording.session)
        self.assertEqual((found["target"], found["labels"]), ("orders", {"run": "7"}))
        self.assertIsNone(indexing.head("nothing"))
        self.addCleanup(indexing._writer.engine.dispose)

    def test_lost(self):
        """Where there are recordings and no index, it is said how to have it again; not where there is nothing yet."""
        data = self.mktemp()
        for expected in (False, True, False):
            said = []
            indexing = Indexing(CuratorSettings(data, "gw"), protocols(), said.append)
            self.assertTrue(indexing.sweep())
            indexing.close()
            self.assertEqual("hoopx reindex" in "".join(said), expected)
            if not os.path.exists(os.path.join(data, "recordings")):
                Recorded(data).session(1)
                os.unlink(os.path.join(data, "index.sqlite"))

    def test_fresh(self):
        """Sessions of a new data directory may begin before its index is made: none was lost. Of those before this start, it was."""
        for later, lost in ((-1, False), (1, True)):
            data, said = self.mktemp(), []
            recording = Recorded(data).session(1)
            indexing = Indexing(CuratorSettings(data, "gw", since=ulidTime(recording.session) + later), protocols(), said.append)
            indexing.segment(recording.session, os.path.join(recording.path, segmentName(0)), 0)
            indexing.close()
            self.assertEqual("hoopx reindex" in "".join(said), lost)

    def test_clean(self):
        """Step by step, until nothing is left."""
        data = self.mktemp()
        recording = Recorded(data).session(1)
        indexing = Indexing(CuratorSettings(data, "gw"), protocols())
        self.addCleanup(indexing.close)
        indexing.segment(recording.session, os.path.join(recording.path, segmentName(0)), 0)
        self.assertTrue(indexing.erase(recording.session))
        self.assertFalse(indexing.erase(recording.session))
        for _ in range(10):
            if indexing.clean():
                break
        else:
            self.fail("it comes to no end")
        raw = b"".join(path.read_bytes() for path in Path(data).glob("index.sqlite*"))
        self.assertNotIn(recording.session.encode(), raw)

    def test_beside(self):
        """No segment waits for a sweep that takes long; whoever erases does, for the sweep might put it down again."""
        data = self.mktemp()
        recording = Recorded(data).session(1)
        indexing = Indexing(CuratorSettings(data, "gw"), protocols())
        indexing.sweep()
        self.addCleanup(indexing._sweeper.engine.dispose)
        indexing._sweeping = Asked(indexing._sweeping)
        with indexing._sweeping.lock:
            indexing.segment(recording.session, os.path.join(recording.path, segmentName(0)), 0)
            self.addCleanup(indexing._writer.engine.dispose)
            done = []
            thread = Thread(target=lambda: done.append(indexing.erase(recording.session)))
            thread.start()
            self.assertTrue(indexing._sweeping.asked.wait(PATIENT))
            with indexing._writer.engine.connect() as connection:
                self.assertEqual(connection.execute(text("SELECT count(*) FROM sessions")).scalar(), 1)
            self.assertEqual(done, [])
        thread.join(PATIENT)
        self.assertEqual(done, [True])

    def test_noDatabase(self):
        data = self.mktemp()
        recording = Recorded(data).session(1)
        indexing = Indexing(CuratorSettings(data, "gw", indexUrl="mysql://u:secret@h/d"), protocols())
        path = os.path.join(recording.path, segmentName(0))
        error = self.assertRaises(ConfigurationError, indexing.segment, recording.session, path, 0)
        self.assertNotIn("secret", str(error))
