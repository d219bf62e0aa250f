"""
The index in a real PostgreSQL, made again while others write, erase, and damage.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.index.rebuild import Rebuild
from hoopx.index.search import search
from hoopx.index.segments import Segments
from hoopx.index.store import address, openForWriting
from hoopx.registry import protocols
from hoopx.state.engine import close
from tests.index.rig import BEGAN, asked, contents, feed, folder, record, writer
from tests.peers.harness.postgres import embedded
from tests.peers.test_stores import database


class RebuildTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.url = database(self, embedded())
        self.place = Path(self.mktemp())
        self.engine = openForWriting(address(self.url, self.place))
        self.addCleanup(close, self.engine)
        self.writer, _, self.reads = writer(self.place, engine=self.engine)

    def texts(self, said: str) -> list[str]:
        return [one["text"] for one in search(self.engine, said)]

    def test_rebuildKeepsUnreadable(self) -> None:
        """A session of which a later part can not be read (any longer) stays whole; one that is erased meanwhile does not come back."""
        damaged = record(self.place, [asked("SELECT 1"), asked("SELECT 2")])
        gone = record(self.place, [asked("SELECT 'gone'")], started=BEGAN - 1)
        for session in (damaged, gone):
            feed(self.writer, self.reads, session)
        before = contents(self.engine)
        path = Path(folder(self.place, damaged)) / "000001.hxr"
        path.write_bytes(path.read_bytes()[:-10])
        rebuild = Rebuild(address(self.url, self.place), str(self.place), "gw1", Segments(str(self.place)), protocols())
        self.assertEqual((rebuild.run(), list(rebuild.failed)), (2, [damaged]))
        self.assertEqual(contents(self.engine), before)
        self.assertEqual([path.name for path in self.place.iterdir() if "index" in path.name], [])
        reads = Segments(str(self.place))

        def read(session: str, number: int) -> Any:
            frames = list(reads(session, number))
            if session == gone:
                shutil.rmtree(folder(self.place, gone))
                self.writer.erase(gone)
            return frames

        Rebuild(address(self.url, self.place), str(self.place), "gw1", read, protocols()).run()
        self.assertEqual((self.texts("gone"), len(self.texts("select"))), ([], 2))

    def test_rebuildBesideAWriter(self) -> None:
        """What is written while a session is read again is not lost."""
        session = record(self.place, [asked("SELECT 1"), asked("SELECT 2")], done=False)
        path = Path(folder(self.place, session))
        path.joinpath("000001.hxr").rename(path / "later")
        self.writer.segment(session, 0, self.reads(session, 0))
        reads = Segments(str(self.place))

        def read(session: str, number: int) -> Any:
            frames = list(reads(session, number))
            if number == 0 and path.joinpath("later").exists():
                path.joinpath("later").rename(path / "000001.hxr")
                self.writer.segment(session, 1, self.reads(session, 1))
            return frames

        Rebuild(address(self.url, self.place), str(self.place), "gw1", read, protocols()).run()
        self.assertEqual(sorted(self.texts("select")), ["SELECT 1", "SELECT 2"])
